# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Records: equal values compare equal, and what is written is read back as the same."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.infinite.databases.plugins.module_utils._route53.record_values import (
    Record,
    from_api,
    from_params,
    meaning,
    quote,
    split,
    unquote,
    written,
)
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput


def wanted(type_: str, *values: str, **more: Any) -> Record:
    return from_params({"name": "a.example.com", "type": type_, "values": list(values)} | more, 300, True)


def current(type_: str, *values: str, ttl: int = 300) -> Record:
    """As Route53 lists it."""
    records = [{"Value": value} for value in values]
    return from_api({"Name": "a.example.com.", "Type": type_, "TTL": ttl, "ResourceRecords": records})


@given(st.lists(st.binary(max_size=255), min_size=1, max_size=4).map(tuple))
def test_strings_survive_quotes(strings: tuple[bytes, ...]) -> None:
    text = quote(strings)
    assert unquote(text) == strings
    assert text.isascii()
    assert text.isprintable()


@given(st.text().filter(lambda text: not text.lstrip().startswith('"')))
def test_text_survives(text: str) -> None:
    strings = split(text)
    assert b"".join(strings) == text.encode("utf-8", "surrogateescape")
    assert all(len(string) <= 255 for string in strings)
    sent = written("TXT", text)
    assert meaning("TXT", sent) == meaning("TXT", text)
    assert wanted("TXT", text).same(current("TXT", sent))


@given(st.ip_addresses(v=6))
def test_every_spelling_of_an_address(address: ipaddress.IPv6Address) -> None:
    for text in (address.exploded, address.compressed.upper(), f" {address} "):
        assert wanted("AAAA", text).same(current("AAAA", str(address)))


@given(st.lists(st.ip_addresses(v=4).map(str), min_size=1, unique=True), st.randoms())
def test_values_have_no_order(values: list[str], random: Any) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    assert wanted("A", *shuffled, values[0]).same(current("A", *values))
    assert not wanted("A", *values).same(current("A", *values[1:]))


LONG = "k=rsa; p=" + "Ab+/" * 100
SAME = [
    ("CNAME", "Target.Example.ORG", "target.example.org."),
    ("CNAME", "\\100.example.org.", "@.example.org"),
    ("TXT", "v=spf1 -all", '"v=spf1 -all"'),
    ("TXT", '"v=spf1 -all"', '"v=spf1 -all"'),
    ("TXT", "a\tb", '"a\\011b"'),
    ("TXT", 'say "hi"', '"say \\"hi\\""'),
    ("TXT", "back\\slash", '"back\\134slash"'),
    ("TXT", "back\\slash", '"back\\\\slash"'),
    ("TXT", "\u00e4", '"\\303\\244"'),
    ("TXT", "", '""'),
    ("TXT", LONG, f'"{LONG[:255]}" "{LONG[255:]}"'),
    ("TXT", LONG, f'"{LONG[:200]}"  "{LONG[200:]}"'),
    ("TXT", '"a" "b"', '"a"  "b"'),
    ("CAA", '0 issue "letsencrypt.org"', '0 issue "letsencrypt.org"'),
    ("CAA", "0  Issue\tletsencrypt.org ", '0 issue "letsencrypt.org"'),
    ("CAA", "128 iodef mailto:a@example.com", '128 iodef "mailto:a@example.com"'),
    ("CAA", "0 issue ;", '0 issue ";"'),
    ("AAAA", "2001:DB8:0::10", "2001:0db8::0010"),
]
DIFFERENT = [
    ("TXT", "A", '"a"'),
    ("TXT", "a b", '"a" "b"'),
    ("TXT", '"a" "b"', '"ab"'),
    ("CAA", "0 issue a.org", '1 issue "a.org"'),
    ("CAA", "0 issue a.org", '0 issuewild "a.org"'),
    ("CNAME", "a.org", "b.org."),
    ("A", "192.0.2.1", "192.0.2.2"),
    # What Route53 would not have let in, but is there.
    ("A", "192.0.2.1", "192.0.2.01"),
    ("TXT", "a", "a b"),
    ("CAA", "0 issue a.org", "nonsense"),
]


@pytest.mark.parametrize(("type_", "one", "other"), SAME)
def test_same(type_: str, one: str, other: str) -> None:
    assert wanted(type_, one).same(current(type_, other))
    assert meaning(type_, written(type_, one)) == meaning(type_, one)


@pytest.mark.parametrize(("type_", "one", "other"), DIFFERENT)
def test_different(type_: str, one: str, other: str) -> None:
    assert not wanted(type_, one).same(current(type_, other))


def test_ttl_and_alias_count() -> None:
    assert not wanted("A", "192.0.2.1").same(current("A", "192.0.2.1", ttl=60))
    assert wanted("A", "192.0.2.1", ttl=60).same(current("A", "192.0.2.1", ttl=60))
    assert wanted("A", "192.0.2.1", ttl=0).ttl == 0
    target = {"hosted_zone_id": "Z1", "dns_name": "LB.example.org", "evaluate_target_health": False}
    alias = from_params({"name": "a.example.com", "type": "A", "alias": target}, 300, True)
    raw = {"HostedZoneId": "Z1", "DNSName": "lb.example.org.", "EvaluateTargetHealth": False}
    listed = {"Name": "a.example.com.", "Type": "A", "AliasTarget": raw, "ResourceRecords": []}
    assert alias.same(from_api(listed))
    assert "ResourceRecords" not in from_api(listed).api(), "AWS lists an empty element, and refuses it in a DELETE"
    assert not alias.same(from_api(listed | {"AliasTarget": raw | {"EvaluateTargetHealth": True}}))
    assert not alias.same(current("A", "192.0.2.1"))
    assert alias.api() == {"Name": "a.example.com.", "Type": "A", "AliasTarget": raw}


def test_routing_policies() -> None:
    raw = {"Name": "a.example.com.", "Type": "A", "TTL": 300, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    assert not from_api(raw).routed
    assert from_api(raw | {"SetIdentifier": "x", "Weight": 1}).routed
    assert from_api(raw | {"TrafficPolicyInstanceId": "x"}).routed


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"type": "A", "values": ["2001:db8::1"]}, "a.example.com A: the value '2001:db8::1' is not an IPv4 address"),
        ({"type": "A", "values": ["10.0.0.01"]}, "is not an IPv4 address"),
        ({"type": "AAAA", "values": ["192.0.2.1"]}, "is not an IPv6 address"),
        ({"type": "AAAA", "values": ["fe80::1%eth0"]}, "is not an IPv6 address"),
        ({"type": "CNAME", "values": ["a.org", "b.org"]}, "a.example.com CNAME: a CNAME has one value, not 2"),
        ({"type": "CNAME", "values": ["a b"]}, "'a b' is not a domain name"),
        ({"type": "TXT", "values": ['"a" b']}, "a.example.com TXT: the value '\"a\" b' begins with a quote but is not strings"),
        ({"type": "TXT", "values": ['"']}, "begins with a quote"),
        ({"type": "TXT", "values": ['"' + "x" * 256 + '"']}, "begins with a quote but is not strings of up to 255"),
        ({"type": "TXT", "values": ["x" * 4000]}, "is longer than Route53 allows (4000 characters, quotes included)"),
        ({"type": "CAA", "values": ["issue a.org"]}, "is not FLAGS TAG"),
        ({"type": "CAA", "values": ["256 issue a.org"]}, "is not FLAGS TAG"),
        ({"type": "CAA", "values": ['0 issue "a" "b"']}, "is not one string in quotes"),
        ({"type": "A", "values": []}, "a.example.com A: give either values or alias"),
        ({"type": "A"}, "give either values or alias"),
        ({"type": "A", "values": ["192.0.2.1"], "alias": {"hosted_zone_id": "Z"}}, "give either values or alias"),
        ({"type": "A", "values": ["192.0.2.1"], "ttl": -1}, "a.example.com A: ttl -1 is not between 0 and 2147483647"),
        ({"type": "A", "values": ["192.0.2.1\n"], "name": "a\nb"}, "is not a domain name"),
    ],
)
def test_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        from_params({"name": "A.example.com"} | given, 300, True)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_nothing_but_name_and_type_is_needed_to_remove() -> None:
    assert from_params({"name": "a.example.com", "type": "A", "values": ["whatever"]}, 300, False) == Record("a.example.com.", "A")
