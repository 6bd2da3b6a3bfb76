# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans: what is ours is made as wanted, what is not ours stays, and a plan that was carried out leaves nothing to do."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.infinite.databases.plugins.module_utils._route53.names import canonical, mark_name
from ansible_collections.infinite.databases.plugins.module_utils._route53.plan import (
    MAX_CHARACTERS,
    MAX_ELEMENTS,
    Plan,
    Rules,
    Write,
    batches,
    plan,
)
from ansible_collections.infinite.databases.plugins.module_utils._route53.record_values import Alias, Key, Record, from_api, quote
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

OURS = Rules("prod")
State = dict[Key, Record]


def record(name: str, value: str = "192.0.2.1", type_: str = "A", **more: Any) -> Record:
    return Record(canonical(f"{name}.db.example.com"), type_, 300, (value,), **more)


def mark(name: str, owner: str = "prod", *types: str) -> Record:
    values = tuple(quote((f"type={type_} owner={owner}".encode(),)) for type_ in types or ("A",))
    return Record(mark_name(canonical(f"{name}.db.example.com")), "TXT", 300, values)


def weighted(name: str) -> Record:
    raw = {"Name": f"{name}.db.example.com.", "Type": "A", "SetIdentifier": "one", "Weight": 1, "TTL": 60}
    return from_api(raw | {"ResourceRecords": [{"Value": "192.0.2.1"}]})


def state(*records: Record) -> State:
    return {item.key: item for item in records}


def done(before: State, todo: Plan) -> State:
    """What Route53 makes of it, and that it lets every change through."""
    after = dict(before)
    for unit in todo.units:
        for action, item in unit:
            if action == "DELETE":
                assert after.pop(item.key) == item, "DELETE needs the current values"
            else:
                assert item.key not in after, "CREATE needs that there is nothing"
                after[item.key] = item
    return after


def summary(todo: Plan) -> list[tuple[str, str, str]]:
    return [(change.action, change.summary["name"].removesuffix(".db.example.com"), change.type) for change in todo.changes]


A, B = record("a"), record("b")
OTHER = record("a", "192.0.2.9")


@pytest.mark.parametrize(
    ("before", "wanted", "rules", "changes", "after"),
    [
        ([], [A], OURS, ["created"], [A, mark("a")]),
        ([A, mark("a")], [A], OURS, [], None),
        ([OTHER, mark("a")], [A], OURS, ["updated"], [A, mark("a")]),
        ([mark("a")], [A], OURS, ["created"], [A, mark("a")]),
        ([A], [A], OURS, [], None),
        ([A, mark("a", "test")], [A], OURS, [], None),
        ([A], [A], Rules("prod", force=True), ["marked"], [A, mark("a")]),
        ([OTHER], [A], Rules("prod", force=True), ["updated"], [A, mark("a")]),
        ([OTHER, mark("a", "test")], [A], Rules("prod", force=True), ["updated"], [A, mark("a")]),
        ([A, mark("a")], [A], Rules("prod", present=False), ["removed"], []),
        ([], [A], Rules("prod", present=False), [], None),
        ([mark("a")], [A], Rules("prod", present=False), ["unmarked"], []),
        ([mark("a", "test")], [A], Rules("prod", present=False), [], None),
        ([OTHER, mark("a")], [A], Rules("prod", present=False), ["removed"], []),
        ([OTHER], [A], Rules("prod", present=False, force=True), ["removed"], []),
        # Without an owner, marks are nobody's concern.
        ([], [A], Rules(), ["created"], [A]),
        ([OTHER], [A], Rules(), ["updated"], [A]),
        ([OTHER, mark("a", "test")], [A], Rules(), ["updated"], [A, mark("a", "test")]),
        ([A], [A], Rules(present=False), ["removed"], []),
        # The mark says whose each type is.
        ([record("a", '"x"', "TXT"), mark("a", "test", "TXT")], [A], OURS, ["created"], None),
        ([], [record("*")], OURS, ["created"], [record("*"), mark("*")]),
    ],
)
def test_plan(before: list[Record], wanted: list[Record], rules: Rules, changes: list[str], after: list[Record] | None) -> None:
    todo = plan(before, wanted, rules)
    assert [change.action for change in todo.changes] == changes
    reached = done(state(*before), todo)
    if after is not None:
        assert reached == state(*after)
    elif not changes:
        assert todo.units == []
    assert not plan(reached.values(), wanted, rules).units, "again: nothing to do"


@pytest.mark.parametrize(
    ("before", "rules", "message"),
    [
        ([OTHER], OURS, "Not made by owner 'prod': a.db.example.com A (no mark); take them over with force, or leave them out"),
        ([OTHER, mark("a", "test")], OURS, "a.db.example.com A (the mark of 'test')"),
        ([mark("a", "test")], OURS, "a.db.example.com A (the mark of 'test')"),
        ([OTHER, mark("a", "prod", "TXT")], OURS, "a.db.example.com A (no mark)"),
        ([A], Rules("prod", present=False), "a.db.example.com A (no mark); remove them with force, or leave them out"),
        ([A, mark("a", "test")], Rules("prod", present=False), "(the mark of 'test')"),
        ([weighted("a")], OURS, "a.db.example.com A: the record has a routing policy"),
        ([weighted("a")], Rules(force=True), "a.db.example.com A: the record has a routing policy"),
        ([weighted("a")], Rules(present=False), "a.db.example.com A: the record has a routing policy"),
        ([record("a", "b.org.", "CNAME")], OURS, "a.db.example.com: a CNAME cannot be beside other records (A)"),
    ],
)
def test_refused(before: list[Record], rules: Rules, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        plan(before, [A], rules)
    assert message in str(caught.value)


def test_all_that_are_refused_are_named_in_one_line() -> None:
    names = [record(f"n{number}", "192.0.2.9") for number in range(9)]
    with pytest.raises(InvalidInput) as caught:
        plan(names, [record(f"n{number}") for number in range(9)], OURS)
    assert "n4.db.example.com A and 4 more (no mark)" in str(caught.value)
    assert "n5." not in str(caught.value)


def test_exclusive() -> None:
    """Ours and not wanted: away. Of others, unmarked, outside, weighted: stays."""
    outside = [
        Record("b.example.com.", "A", 300, ("192.0.2.1",)),
        Record(mark_name("b.example.com."), "TXT", 300, mark("b").values),
    ]
    stays = [record("theirs"), mark("theirs", "test"), record("plain"), weighted("w"), mark("w"), *outside]
    both = [record("both"), record("both", '"x"', "TXT"), mark("both", "prod", "A", "TXT")]
    gone = [B, mark("b"), record("*"), mark("*"), mark("stale")]
    before = state(A, mark("a"), *both, *gone, *stays)
    rules = Rules("prod", exclusive="db.example.com.")
    todo = plan(before.values(), [A, record("both")], rules)
    assert summary(todo) == [
        ("removed", "*", "A"),
        ("removed", "b", "A"),
        ("removed", "both", "TXT"),
        ("unmarked", "stale", "A"),
    ]
    assert done(before, todo) == state(A, mark("a"), record("both"), mark("both"), *stays)


def test_exclusive_replaces_another_type_at_once() -> None:
    """In one unit, the old one first: they could not be beside each other."""
    cname = record("a", "b.org.", "CNAME")
    todo = plan([A, mark("a")], [cname], Rules("prod", exclusive="db.example.com."))
    assert summary(todo) == [("removed", "a", "A"), ("created", "a", "CNAME")]
    assert len(todo.units) == 1
    assert done(state(A, mark("a")), todo) == state(cname, mark("a", "prod", "CNAME"))


def test_marks_of_several_owners_and_what_others_write_there_are_kept() -> None:
    shared = mark("a", "test", "TXT")
    shared = Record(shared.name, "TXT", 60, ('"by hand"', *shared.values))
    reached = done(state(shared), plan([shared], [A], OURS))
    assert set(reached[shared.key].values) == {*shared.values, *mark("a").values}
    reached = done(reached, plan(reached.values(), [A], Rules("prod", present=False)))
    assert set(reached[shared.key].values) == set(shared.values)


@pytest.mark.parametrize("owner", ["a b", "type=A owner=x", 'quo"te\\', "\u00fcber", "x" * 200, " "])
def test_any_text_may_be_an_owner(owner: str) -> None:
    reached = done({}, plan([], [A], Rules(owner)))
    assert not plan(reached.values(), [A], Rules(owner)).units
    assert done(reached, plan(reached.values(), [A], Rules(owner, present=False))) == {}


def test_diff() -> None:
    todo = plan([OTHER, mark("a")], [A, B], OURS)
    assert todo.lines("DELETE") == "a.db.example.com A 300 192.0.2.9\n"
    assert todo.lines("CREATE") == (
        '_infinite-databases.b.db.example.com TXT 300 "type=A owner=prod"\n'
        "a.db.example.com A 300 192.0.2.1\n"
        "b.db.example.com A 300 192.0.2.1\n"
    )


NAMES = st.sampled_from(["a", "b", "*", "a.b"])
RECORDS = st.builds(
    lambda name, type_, number: record(name, f"192.0.2.{number}" if type_ == "A" else f'"{number}"', type_),
    NAMES,
    st.sampled_from(["A", "TXT"]),
    st.integers(1, 2),
)
MARKS = st.builds(mark, NAMES, st.sampled_from(["prod", "test"]), st.sampled_from(["A", "TXT"]))


@given(
    st.lists(st.one_of(RECORDS, MARKS, st.builds(weighted, st.just("w")))),
    st.lists(RECORDS, unique_by=lambda item: item.key),
    st.sampled_from(["prod", ""]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, "db.example.com.", "b.db.example.com."]),
)
def test_any_plan(
    records: list[Record], wanted: list[Record], owner: str, present: bool, force: bool, exclusive: str | None
) -> None:
    before = state(*records)
    rules = Rules(owner, present, force, exclusive if owner and present else None)
    try:
        todo = plan(before.values(), wanted, rules)
    except InvalidInput:
        assert owner
        assert not force, "with force, nothing here is in the way"
        return
    after = done(before, todo)
    assert not plan(after.values(), wanted, rules).units, "again: nothing to do"
    for item in wanted:
        assert after.get(item.key) == (item if present else None)
    marked = {key: item for key, item in before.items() if key[0].startswith("_infinite")}
    for key in set(before) - set(marked) - {item.key for item in wanted}:
        ours = any(f"type={key[1]} owner=prod" in value for value in getattr(marked.get((mark_name(key[0]), "TXT")), "values", ()))
        assert (key in after) or (rules.exclusive and ours), "what was not wanted goes only if it is ours and the list exclusive"
    if not owner:
        assert {key: after[key] for key in marked} == marked


TEXTS = st.text("ab", min_size=1, max_size=4000)
UNITS = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["DELETE", "CREATE"]),
            st.one_of(
                st.builds(lambda text, count: Record("n.", "TXT", 1, (text,) * count), TEXTS, st.integers(1, 3)),
                st.integers(1, 400).map(lambda count: Record("n.", "A", 1, ("192.0.2.1",) * count)),
                st.just(Record("n.", "A", alias=Alias("Z", "x.", False))),
            ),
        ),
        min_size=1,
        max_size=2,
    ),
    max_size=40,
)


def weights(batch: list[Write]) -> tuple[int, int]:
    values = [item.values for _action, item in batch]
    return sum(max(1, len(one)) for one in values), sum(len(value) for one in values for value in one)


@given(UNITS)
def test_batches_keep_the_limits(units: list[list[Write]]) -> None:
    found = batches(units)
    assert [write for batch in found for write in batch] == [write for unit in units for write in unit]
    ends = {sum(map(len, units[:number])) for number in range(len(units) + 1)}
    assert {sum(map(len, found[:number])) for number in range(len(found) + 1)} <= ends, "no unit is torn apart"
    for batch in found:
        elements, characters = weights(batch)
        assert elements <= MAX_ELEMENTS
        assert characters <= MAX_CHARACTERS
    for one, following in itertools.pairwise(found):
        elements, characters = weights(one + following)
        assert elements > MAX_ELEMENTS or characters > MAX_CHARACTERS, "two that fit in one call are one"


@pytest.mark.parametrize(("count", "calls"), [(1, 1), (100, 1), (500, 1), (501, 2), (1000, 2), (1001, 3)])
def test_calls_for_new_records_with_marks(count: int, calls: int) -> None:
    todo = plan([], [record(f"n{number}") for number in range(count)], OURS)
    assert len(batches(todo.units)) == calls
