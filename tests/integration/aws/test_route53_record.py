# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Records of every kind, each change in check mode, for real and again; and whose they are."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.aws.account import WRITE, Account, Module, a, names, raw
from tests.support.aws.server import Aws

# Every kind of record, in each of its spellings: what is made, what it becomes, and the same again.
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "A": (a("x.example.com"), a("X.Example.com.", "192.0.2.3", "192.0.2.2")),
    "wildcard": (a("*.db.example.com"), a("\\052.DB.example.com", "192.0.2.2")),
    "ttl": (a("x.example.com"), a("x.example.com", ttl=60)),
    "AAAA": (
        {"name": "x.example.com", "type": "AAAA", "values": ["2001:db8::1"]},
        {"name": "x.example.com", "type": "AAAA", "values": ["2001:DB8:0:0::2"]},
    ),
    "CNAME": (
        {"name": "x.example.com", "type": "CNAME", "values": ["a.org"]},
        {"name": "x.example.com", "type": "CNAME", "values": ["B.org."]},
    ),
    "TXT": (
        {"name": "x.example.com", "type": "TXT", "values": ["x" * 700, 'say "hi" \\ \u00e4']},
        {"name": "x.example.com", "type": "TXT", "values": ['"one" "two"', "y" * 256]},
    ),
    "CAA": (
        {"name": "x.example.com", "type": "CAA", "values": ['0 issue "letsencrypt.org"']},
        {"name": "x.example.com", "type": "CAA", "values": ["0  ISSUE letsencrypt.org", "0 iodef mailto:a@example.com"]},
    ),
    "alias": (
        {"name": "x.example.com", "type": "A", "alias": {"hosted_zone_id": "Z1", "dns_name": "lb.example.org"}},
        {"name": "x.example.com", "type": "A", "alias": {"hosted_zone_id": "Z1", "dns_name": "LB2.example.org."}},
    ),
}


@pytest.mark.parametrize("owner", ["prod", ""])
@pytest.mark.parametrize(("first", "second"), KINDS.values(), ids=KINDS)
def test_create_change_remove(
    module: Module, account: Account, zone: str, owner: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    before = account.records(zone)
    for record, state, action in ((first, "present", "created"), (second, "present", "updated"), (second, "absent", "removed")):
        planned = module(record, owner=owner, state=state, check_mode=True)
        assert account.records(zone) == before, "check mode changes nothing"
        real = module(record, owner=owner, state=state)
        assert planned["changed"]
        assert real["changed"]
        assert planned["changes"] == real["changes"]
        assert planned["diff"] == real["diff"]
        assert real["diff"]["before"] != real["diff"]["after"]
        assert [change["action"] for change in real["changes"]] == [action]
        assert planned["api_calls"]["write"] == 0
        assert real["api_calls"]["write"] == 1
        after = account.records(zone)
        assert after != before
        assert any(name.startswith("_infinite-databases.") for name, _type in after) == bool(owner and state == "present")
        again = module(record, owner=owner, state=state)
        assert not again["changed"]
        assert again["changes"] == []
        assert again["api_calls"]["write"] == 0
        assert again["api_calls"]["wait"] == 0
        assert account.records(zone) == after
        before = after
    assert before == {}


def test_exclusive(module: Module, account: Account, zone: str) -> None:
    account.change(zone, "CREATE", raw("by-hand.db.example.com"), raw("db-x.example.com"), raw("db.example.com", "b.org", "CNAME"))
    account.change(
        zone, "CREATE", *(raw("w.db.example.com", f"192.0.2.{number}", SetIdentifier=str(number), Weight=1) for number in (1, 2))
    )
    stays = account.records(zone)
    module(a("x.db2.example.com"), a("y.example.com"), owner="prod")
    module(a("theirs.db.example.com"), owner="test")
    stays = account.records(zone)
    listed = [a("one.db.example.com"), a("two.db.example.com"), a("*.db.example.com")]
    exclusive = {"owner": "prod", "exclusive": True, "domain": "DB.example.com."}
    assert module(*listed, **exclusive)["api_calls"] == {"list": 2, "write": 1, "wait": 0}
    assert len(account.records(zone)) == len(stays) + 6
    planned = module(*listed[:1], **exclusive, check_mode=True)
    result = module(*listed[:1], **exclusive)
    assert result["changes"] == planned["changes"]
    assert {(change["action"], change["name"]) for change in result["changes"]} == {
        ("removed", "two.db.example.com"),
        ("removed", "*.db.example.com"),
    }
    assert not module(*listed[:1], **exclusive)["changed"]
    assert [change["name"] for change in module(**exclusive)["changes"]] == ["one.db.example.com"]
    assert account.records(zone) == stays
    for wrong in ({"owner": ""}, {"domain": None}, {"state": "absent"}):
        assert module(**exclusive | wrong)["msg"].startswith("exclusive needs state present, domain and owner")
    assert module(a("x.example.com"), **exclusive)["msg"].startswith("x.example.com A is not in the domain db.example.com")


def test_exclusive_reads_only_its_domain(module: Module, account: Account, zone: str) -> None:
    """Of 2,000 records; and neighbours that are sorted in the midst of the domain by some."""
    account.change(zone, "CREATE", *(raw(f"a{number}.example.com") for number in range(1000)))
    account.change(zone, "CREATE", *(raw(f"z{number}.example.com") for number in range(1000)))
    account.change(zone, "CREATE", *(raw(f"db{end}.example.com") for end in ("-", "-x", "0", "x")))
    listed = names(3)
    exclusive = {"owner": "prod", "exclusive": True, "domain": "db.example.com"}
    assert module(*listed, **exclusive)["api_calls"]["list"] == 2
    assert len(module(**exclusive)["changes"]) == 3
    assert len(account.records(zone)) == 2004


def test_what_is_not_ours_needs_force(module: Module, account: Account, zone: str, aws: Aws) -> None:
    account.change(zone, "CREATE", raw("a.example.com", "192.0.2.9"), raw("b.example.com"))
    before = account.records(zone)
    result = module(a("a.example.com"), a("b.example.com"), a("c.example.com"), owner="prod")
    assert result["failed"]
    assert "a.example.com A (no mark)" in result["msg"]
    assert WRITE not in aws.calls
    for name in ("a", "b"):
        assert module(a(f"{name}.example.com"), owner="prod", state="absent")["failed"]
    assert account.records(zone) == before
    assert not module(a("b.example.com"), owner="prod")["changed"], "what is as wanted is left as it is"
    taken = module(a("a.example.com"), a("b.example.com"), owner="prod", force=True)
    assert [change["action"] for change in taken["changes"]] == ["updated", "marked"]
    other = module(a("a.example.com", "192.0.2.2"), owner="test")
    assert "a.example.com A (the mark of 'prod')" in other["msg"]
    assert module(a("a.example.com"), a("b.example.com"), owner="prod", state="absent")["changed"]
    assert account.records(zone) == {}


def test_routing_policies_are_left_alone(module: Module, account: Account, zone: str) -> None:
    account.change(
        zone, "CREATE", raw("w.example.com", SetIdentifier="one", Weight=1), raw("w.example.com", SetIdentifier="two", Weight=2)
    )
    before = account.records(zone)
    for more in ({}, {"force": True, "owner": "prod"}, {"state": "absent"}):
        result = module(a("w.example.com"), **more)
        assert "w.example.com A: the record has a routing policy" in result["msg"]
    assert account.records(zone) == before


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (a("x.example.com", "nonsense"), "x.example.com A: the value 'nonsense' is not an IPv4 address"),
        (a("_infinite-databases.x.example.com"), "are reserved for marks"),
        (a("b\u00fccher.example.com"), "use its Punycode form"),
        ({"name": "x.example.com", "type": "A"}, "x.example.com A: give either values or alias"),
    ],
)
def test_refused_before_any_call(module: Module, aws: Aws, record: dict[str, Any], message: str) -> None:
    result = module(record, owner="prod")
    assert message in result["msg"]
    assert aws.calls == []
    assert "is in the list twice" in module(a("x.example.com"), a("X.example.com"))["msg"]
    assert aws.calls == []
