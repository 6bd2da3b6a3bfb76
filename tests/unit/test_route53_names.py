# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names: equal ones compare equal, and a list is read to its end in either order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.infinite.databases.plugins.module_utils._route53.names import (
    MARK_WILDCARD,
    beyond,
    canonical,
    mark_name,
    marked_name,
    order,
    readable,
    within,
)
from ansible_collections.infinite.databases.plugins.module_utils._route53.zone import Range
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

LABELS = st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5)
# Few letters, so that names are often neighbours or below each other; and those that are sorted before a dot.
CLOSE = st.lists(st.text("ab-", min_size=1, max_size=3), min_size=0, max_size=3).map(lambda found: ".".join([*found, "x.org."]))


@st.composite
def spellings(draw: st.DrawFn, labels: list[bytes]) -> str:
    """One of the ways to write a name."""

    def character(byte: int) -> str:
        text = draw(st.sampled_from([chr(byte).lower(), chr(byte).upper()])) if byte < 128 else ""
        plain = len(text) == 1 and "!" <= text <= "~" and text not in ".\\"
        return text if plain and draw(st.booleans()) else f"\\{ord(text) if len(text) == 1 else byte:03o}"

    return ".".join("".join(map(character, label)) for label in labels) + draw(st.sampled_from(["", "."]))


@given(st.data(), LABELS)
def test_every_spelling_is_the_same_name(data: st.DataObject, labels: list[bytes]) -> None:
    first = canonical(data.draw(spellings(labels)))
    assert canonical(data.draw(spellings(labels))) == first
    assert canonical(first) == first
    assert canonical(readable(first)) == first
    assert first == first.lower()
    assert first.endswith(".")
    assert len(first.removesuffix(".").split(".")) == len(labels)


@given(LABELS, LABELS)
def test_other_names_are_other_names(one: list[bytes], other: list[bytes]) -> None:
    same = [label.lower() for label in one] == [label.lower() for label in other]
    names = [canonical(".".join("".join(f"\\{byte:03o}" for byte in label) for label in labels)) for labels in (one, other)]
    assert (names[0] == names[1]) == same


@pytest.mark.parametrize(
    ("name", "expected", "shown"),
    [
        ("MyDB.Example.COM", "mydb.example.com.", "mydb.example.com"),
        ("mydb.example.com.", "mydb.example.com.", "mydb.example.com"),
        ("*.example.com", "\\052.example.com.", "*.example.com"),
        ("\\052.example.com.", "\\052.example.com.", "*.example.com"),
        ("\\100.example.com", "\\100.example.com.", "@.example.com"),
        ("@.example.com", "\\100.example.com.", "@.example.com"),
        ("\\101.example.com", "a.example.com.", "a.example.com"),
        ("_acme-challenge.example.com", "_acme-challenge.example.com.", "_acme-challenge.example.com"),
        ("a\\056b.example.com", "a\\056b.example.com.", "a\\056b.example.com"),
        ("a\\040b.example.com", "a\\040b.example.com.", "a\\040b.example.com"),
        ("\\134.com", "\\134.com.", "\\134.com"),
        ("com", "com.", "com"),
    ],
)
def test_canonical(name: str, expected: str, shown: str) -> None:
    assert canonical(name) == expected
    assert readable(expected) == shown


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a b.com",
        "a\\b",
        "a\\",
        "a\\9.com",
        "a\\400.com",
        "m\u00fcller.de",
        "x" * 64,
        "a." * 128,
        "a\n",
    ],
)
def test_not_a_name(name: str) -> None:
    with pytest.raises(InvalidInput, match="is not a domain name") as caught:
        canonical(name)
    assert len(str(caught.value)) < 300


def test_longest_name() -> None:
    name = ".".join(["x" * 63, "y" * 63, "z" * 63, "w" * 61])
    assert len(name) == 253
    assert canonical(name) == name + "."
    with pytest.raises(InvalidInput):
        canonical(name + "w")
    with pytest.raises(InvalidInput, match="too long to be marked"):
        mark_name(name + ".")


@given(LABELS)
def test_marks_lead_back(labels: list[bytes]) -> None:
    name = canonical(".".join("".join(f"\\{byte:03o}" for byte in label) for label in labels))
    assert marked_name(mark_name(name)) == name or name.startswith(MARK_WILDCARD)
    assert mark_name(name) == mark_name(canonical(mark_name(name)).removeprefix("_infinite-databases."))


def test_marks_of_wildcards_are_no_wildcards() -> None:
    assert mark_name("\\052.db.example.com.") == "_infinite-databases._wildcard.db.example.com."
    assert mark_name("db.example.com.") == "_infinite-databases.db.example.com."


@given(st.sets(CLOSE, min_size=1), CLOSE, CLOSE, st.integers(1, 4), st.sampled_from([0, 1]))
def test_what_a_page_covers(names: set[str], start: str, asked: str, size: int, which: int) -> None:
    """A name that a page is said to cover is in it or does not exist, whichever of the two orders the list is in."""

    def place(name: str) -> str:
        return order(name)[which]

    listed = sorted((name for name in names if place(name) >= place(start)), key=place)
    following = listed[size] if len(listed) > size else None
    if Range(start, following).covers(asked):
        assert asked in listed[:size] or asked not in names


@given(st.sets(CLOSE, min_size=1), CLOSE, st.sampled_from([0, 1]))
def test_a_domain_is_read_to_its_end(names: set[str], domain: str, which: int) -> None:
    def place(name: str) -> str:
        return order(name)[which]

    listed = sorted((name for name in names if place(name) >= place(domain)), key=place)
    ends = [number for number, name in enumerate(listed) if beyond(name, domain)]
    seen = listed[: ends[0]] if ends else listed
    assert {name for name in names if within(name, domain)} <= set(seen)


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("b.x.org.", True),
        ("ab.x.org.", True),
        ("z.y.a.x.org.", False),
        ("a.x.org.", False),
        ("a-b.x.org.", False),
        ("x.org.", False),
    ],
)
def test_beyond(name: str, end: bool) -> None:
    assert beyond(name, "a.x.org.") == end
