# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many calls it takes, and which zone is meant."""

from __future__ import annotations

import pytest

from tests.support.aws.account import FIND, LIST, WRITE, Account, Module, a, names, raw
from tests.support.aws.server import Aws


def test_many_records_are_one_write(module: Module, account: Account, zone: str, aws: Aws) -> None:
    assert module(*names(100), owner="prod")["api_calls"] == {"list": 2, "write": 1, "wait": 0}
    assert aws.calls == [FIND, LIST, WRITE]
    assert len(account.records(zone)) == 200
    assert module(*names(100), owner="prod")["api_calls"] == {"list": 2, "write": 0, "wait": 0}
    moved = [a(record["name"], "192.0.2.2") for record in names(100)]
    assert module(*moved, owner="prod")["api_calls"]["write"] == 1
    assert module(*moved, owner="prod", state="absent")["api_calls"]["write"] == 1
    assert account.records(zone) == {}


def test_more_than_one_call_may_take(module: Module, account: Account, zone: str) -> None:
    aws_calls = module(*names(700), owner="prod")["api_calls"]
    assert aws_calls == {"list": 2, "write": 2, "wait": 0}
    assert len(account.records(zone)) == 1400
    # 1,400 records are five pages.
    assert module(*names(700), owner="prod")["api_calls"] == {"list": 6, "write": 0, "wait": 0}
    long = [{"name": f"t{number}.example.com", "type": "TXT", "values": ["x" * 3000]} for number in range(25)]
    assert module(*long)["api_calls"]["write"] == 3, "32,000 characters a call"


@pytest.mark.parametrize("count", [1000, 3000])
def test_one_new_record_in_a_large_zone(module: Module, account: Account, zone: str, count: int) -> None:
    account.change(zone, "CREATE", *(raw(f"h{number}.example.com.") for number in range(count)))
    assert module(a("h500-new.example.com"), owner="prod")["api_calls"] == {"list": 2, "write": 1, "wait": 0}
    assert module(a("*.example.com"), owner="prod")["api_calls"] == {"list": 3, "write": 1, "wait": 0}
    for name in ("h500-new.example.com", "h500.example.com", "h999.example.com", "*.example.com"):
        assert not module(a(name))["changed"], name
    assert module(a("h500-new.example.com"), a("h1.example.com"), owner="prod")["api_calls"]["list"] <= 3


def test_a_name_that_a_page_ends_in(module: Module, account: Account, zone: str) -> None:
    """Its A is on one page of 300 and its TXT on the next."""
    txt = raw("h299.example.com.", '"text"', "TXT")
    account.change(zone, "CREATE", *(raw(f"h{number:03}.example.com.") for number in range(300)), txt)
    wanted = {"name": "h299.example.com", "type": "TXT", "values": ["text"]}
    result = module(a("h000.example.com"), wanted)
    assert not result.get("failed")
    assert not result["changed"]
    assert result["api_calls"]["list"] == 3


def test_zone_by_id_and_names_outside(module: Module, zone: str, aws: Aws) -> None:
    for given in (zone, f"/hostedzone/{zone}", "EXAMPLE.com."):
        assert module(a("x.example.com"), zone=given)["zone_id"] == zone
    result = module(a("x.badexample.com"))
    assert result["failed"]
    assert result["msg"] == f"x.badexample.com is not in the zone example.com ({zone})"
    assert aws.calls == [FIND]
    assert module(zone=zone)["zone_name"] == "example.com"


def test_no_such_zone(module: Module, zone: str, aws: Aws) -> None:
    result = module(a("x.example.org"), zone="example.org")
    assert result["msg"].startswith("zone: this AWS account has no public zone called example.org; create it")
    result = module(a("x.example.org"), zone="ZNOSUCHZONE")
    assert result["msg"].startswith("AWS: route53:GetHostedZone: No hosted zone found with ID: ZNOSUCHZONE (NoSuchHostedZone)")
    assert len(aws.calls) == 1, "not tried again"
    result = module(a("x.example.com"), private_zone=True)
    assert result["msg"] == (
        f"zone: this AWS account has no private zone called example.com (only {zone}; see private_zone and vpc_id)"
    )


def test_private_and_public_zones_of_one_name(module: Module, account: Account, zone: str) -> None:
    one, two = account.zone("example.com", "vpc-1"), account.zone("example.com", "vpc-2")
    assert module(a("x.example.com"))["zone_id"] == zone
    result = module(a("x.example.com"), private_zone=True)
    assert result["msg"] == (
        f"zone: this AWS account has 2 private zones called example.com ({', '.join(sorted([one, two]))}); give the id, or vpc_id"
    )
    assert module(a("x.example.com"), private_zone=True, vpc_id="vpc-2")["zone_id"] == two
    assert module(a("x.example.com"), private_zone=True, vpc_id="vpc-3")["failed"]
    assert module(a("x.example.com"), zone=one)["zone_id"] == one
    assert module(a("x.example.com"), zone=one, vpc_id="vpc-2", private_zone=True)["msg"] == f"zone: {one} is not attached to vpc-2"
    assert module(a("x.example.com"), vpc_id="vpc-1")["msg"].startswith("vpc_id is for private zones")
    second = account.zone("example.com")
    result = module(a("x.example.com"))
    assert f"has 2 public zones called example.com ({', '.join(sorted([zone, second]))}); give the id" in result["msg"]
    assert [len(account.records(found)) for found in (zone, one, two, second)] == [1, 1, 1, 0]
