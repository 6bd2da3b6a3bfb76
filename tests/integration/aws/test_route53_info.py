# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What route53_record_info tells."""

from __future__ import annotations

from tests.support.aws.account import Account, Module, a, raw


def test_info(module: Module, info: Module, account: Account, zone: str) -> None:
    account.change(zone, "CREATE", raw("w.db.example.com", SetIdentifier="one", Weight=1), raw("dbx.example.com"))
    txt = {"name": "t.db.example.com", "type": "TXT", "values": ["x" * 300]}
    alias = {"name": "l.db.example.com", "type": "A", "alias": {"hosted_zone_id": "Z1", "dns_name": "lb.example.org"}}
    made = [a("*.db.example.com"), txt, alias]
    module(*made, owner="prod")
    result = info(domain="db.example.com")
    assert [(record["name"], record["owner"], record["routing_policy"]) for record in result["records"]] == [
        ("*.db.example.com", "prod", False),
        ("l.db.example.com", "prod", False),
        ("t.db.example.com", "prod", False),
        ("w.db.example.com", "", True),
    ]
    ours = info(owner="prod")["records"]
    assert len(ours) == 3
    fields = ("name", "type", "ttl", "alias")
    again = [{key: record[key] for key in fields} | {"values": record["values"]} for record in ours]
    assert not module(*again, owner="prod")["changed"], "what it tells is what the other takes"
    by_name = info(names=["T.db.example.com.", "none.example.com"], types=["TXT", "A"])
    assert [record["name"] for record in by_name["records"]] == ["t.db.example.com"]
    assert len(info()["records"]) == 7
    assert info(names=["x.example.org"])["msg"].startswith("x.example.org is not in the zone example.com")
