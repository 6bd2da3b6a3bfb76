# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Route53 for the tests of its modules: the records in it, and functions that run the modules and count their calls."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec
from tests.support.aws.server import Aws

Result = dict[str, Any]
Module = Callable[..., Result]
FIND, LIST, WRITE, WAIT = (
    f"route53:{name}" for name in ("ListHostedZonesByName", "ListResourceRecordSets", "ChangeResourceRecordSets", "GetChange")
)


class Account:
    """What a test itself does in Route53. These calls are not counted."""

    def __init__(self, aws: Aws) -> None:
        self.client = aws.boto("route53")

    def zone(self, name: str, vpc: str | None = None) -> str:
        more: dict[str, Any] = {}
        if vpc:
            more = {"VPC": {"VPCRegion": "eu-central-1", "VPCId": vpc}, "HostedZoneConfig": {"PrivateZone": True}}
        made = self.client.create_hosted_zone(Name=name, CallerReference=os.urandom(8).hex(), **more)
        return str(made["HostedZone"]["Id"]).rpartition("/")[2]

    def change(self, zone: str, action: str, *records: dict[str, Any]) -> None:
        for start in range(0, len(records), 400):
            changes = [{"Action": action, "ResourceRecordSet": record} for record in records[start : start + 400]]
            self.client.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})

    def records(self, zone: str) -> dict[tuple[str, str], list[str]]:
        """Return all records except those that every zone has."""
        pages = self.client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone)
        every = [record for page in pages for record in page["ResourceRecordSets"] if record["Type"] not in ("NS", "SOA")]
        found = {}
        for record in every:
            key = record["Name"] + record.get("SetIdentifier", ""), record["Type"]
            assert key not in found
            unusual = [f"TTL {record['TTL']}"] if record.get("TTL", 300) != 300 else []
            target = [record["AliasTarget"]["DNSName"]] if "AliasTarget" in record else []
            found[key] = [item["Value"] for item in record.get("ResourceRecords", [])] + unusual + target
        return found


def raw(name: str, value: str = "192.0.2.1", type_: str = "A", **more: Any) -> dict[str, Any]:
    return {"Name": name, "Type": type_, "TTL": 300, "ResourceRecords": [{"Value": value}]} | more


def a(name: str, *values: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "A", "values": list(values or ["192.0.2.1"])} | more


def caller(aws: Aws, spec: ModuleSpec, monkeypatch: pytest.MonkeyPatch) -> Module:
    """Return a function that runs the module as its action plugin does, with the environment variables of a user."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)

    def run(*records: dict[str, Any], check_mode: bool = False, **params: Any) -> Result:
        given = {"zone": "example.com"} | ({"records": list(records)} if "records" in spec.argument_spec else {}) | params
        validation = ArgumentSpecValidator(dict(spec.argument_spec), **spec.rules()).validate(given)
        assert not validation.error_messages
        aws.clear()
        result = spec.execute(validation.validated_parameters, check_mode)
        if "api_calls" in result:
            write, wait = aws.calls.count(WRITE), aws.calls.count(WAIT)
            assert result["api_calls"] == {"list": len(aws.calls) - write - wait, "write": write, "wait": wait}
        if result.get("failed"):
            assert "\n" not in result["msg"]
        return result

    return run


def names(count: int) -> list[dict[str, Any]]:
    return [a(f"db{number}.db.example.com") for number in range(count)]
