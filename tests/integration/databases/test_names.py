# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names in Route53: a record for each database, or one wildcard and no call at all. AWS is moto's server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.aws.server import Aws
from tests.support.user import NODE, Done, User

MARK = "_infinite-databases."


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with Aws() as aws:
        yield aws


class Names:
    """The local environment as if its names were in Route53; they lead to a documentation address."""

    def __init__(self, user: User, aws: Aws, dns: str) -> None:
        self.user, self.aws = user, aws
        self.zone = aws.boto("route53").create_hosted_zone(Name=user.domain, CallerReference="tests")["HostedZone"]["Id"]
        self.variables: dict[str, Any] = {"database_dns": dns, "database_dns_zone": user.domain}

    def run(self, verb: str, *args: str, address: str = "203.0.113.1", **extra: Any) -> Done:
        self.aws.clear()
        environment = {name: value for name, value in self.aws.environ(os.environ).items() if os.environ.get(name) != value}
        variables = {"database_node_addresses": {NODE: address}} | self.variables | extra
        return self.user.run(verb, *args, env=environment, **variables)

    def records(self) -> dict[str, list[str]]:
        """Address records by name."""
        found = self.aws.boto("route53").list_resource_record_sets(HostedZoneId=self.zone)["ResourceRecordSets"]
        return {
            record["Name"].removesuffix("."): [value["Value"] for value in record["ResourceRecords"]]
            for record in found
            if record["Type"] in ("A", "AAAA")
        }

    def writes(self) -> int:
        return self.aws.calls.count("route53:ChangeResourceRecordSets")


@pytest.fixture
def names(user: User, aws: Aws, request: pytest.FixtureRequest) -> Names:
    aws.reset()
    return Names(user, aws, request.param)


@pytest.mark.parametrize("names", ["record"], indirect=True)
def test_a_record_lives_with_its_database(user: User, names: Names) -> None:
    name = "infinite-test-record"
    host = f"{name}.{user.domain}"
    names.run("provision", db=name)
    assert names.records() == {host: ["203.0.113.1"]}
    assert names.writes() == 1

    assert names.run("provision", db=name).changed == 0
    assert names.writes() == 0

    names.run("provision", db=name, address="203.0.113.2")
    assert names.records() == {host: ["203.0.113.2"]}, "the node has another address"

    stale = {"Name": host, "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "203.0.113.66"}]}
    change = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": stale}]}
    names.aws.boto("route53").change_resource_record_sets(HostedZoneId=names.zone, ChangeBatch=change)
    told = names.run("drift", "--check", address="203.0.113.2")
    assert f"{host}: its A record in Route53 would be updated." in told.out
    assert names.writes() == 0
    mended = names.run("drift", address="203.0.113.2")
    assert f"{host}: its A record in Route53 was updated." in mended.out
    assert names.records()[host] == ["203.0.113.2"]

    names.run("destroy", db=name)
    assert host in names.records(), "a stopped database keeps its name"
    names.run("destroy", db=name, purge=True)
    assert host not in names.records()
    left = names.aws.boto("route53").list_resource_record_sets(HostedZoneId=names.zone)["ResourceRecordSets"]
    assert not [record for record in left if record["Name"].startswith(MARK + host)], "the mark goes with its record"


@pytest.mark.parametrize("names", ["wildcard"], indirect=True)
def test_a_wildcard_costs_no_call_to_aws(user: User, names: Names) -> None:
    name = "infinite-test-wild"
    names.run("provision", db=name)
    assert names.aws.calls == []
    names.run("destroy", db=name, purge=True)
    assert names.aws.calls == []


@pytest.mark.parametrize("names", ["record"], indirect=True)
def test_a_node_without_an_address_is_named(user: User, names: Names) -> None:
    done = names.run("provision", fails=True, db="infinite-test-lost", database_node_addresses={"another": "203.0.113.1"})
    assert f"connection.yml knows no address of {NODE}, where databases are; run site.yml with all hosts" in done.out + done.err
