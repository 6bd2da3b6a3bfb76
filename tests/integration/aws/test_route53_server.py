# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The AWS of the tests itself: what it counts and which faults it shows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

if TYPE_CHECKING:
    from tests.support.aws.server import Aws

ROOT = Path(__file__).resolve().parents[3]


def client(aws: Aws, service: str) -> Any:
    """Through the proxy, without retries."""
    environment = aws.environment
    return boto3.Session(
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], region_name=environment["AWS_REGION"]
    ).client(service, endpoint_url=aws.endpoint, config=Config(retries={"total_max_attempts": 1, "mode": "standard"}))


def test_calls_are_counted_by_service_and_action(aws: Aws) -> None:
    client(aws, "ec2").describe_instances()
    client(aws, "sts").get_caller_identity()
    client(aws, "iam").list_roles()
    route53 = client(aws, "route53")
    zone = route53.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]
    route53.list_hosted_zones_by_name(DNSName="example.com")
    route53.get_hosted_zone(Id=zone)
    route53.list_resource_record_sets(HostedZoneId=zone)
    record = {"Name": "a.example.com", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    changes = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    change = route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=changes)["ChangeInfo"]["Id"]
    assert route53.get_change(Id=change)["ChangeInfo"]["Status"] == "INSYNC"
    assert aws.calls == ["ec2:DescribeInstances", "sts:GetCallerIdentity", "iam:ListRoles"] + [
        f"route53:{name}"
        for name in (
            "CreateHostedZone",
            "ListHostedZonesByName",
            "GetHostedZone",
            "ListResourceRecordSets",
            "ChangeResourceRecordSets",
            "GetChange",
        )
    ]
    aws.boto("route53").list_hosted_zones()
    assert len(aws.calls) == 9, "what a test does itself is not counted"
    aws.clear()
    assert aws.calls == []
    aws.reset()
    assert route53.list_hosted_zones()["HostedZones"] == []


@pytest.mark.parametrize(
    ("service", "call", "code", "status"),
    [
        ("route53", "ListHostedZones", "Throttling", 400),
        ("route53", "ListHostedZones", "PriorRequestNotComplete", 400),
        ("ec2", "DescribeInstances", "RequestLimitExceeded", 503),
        ("iam", "ListRoles", "Throttling", 400),
        ("sts", "GetCallerIdentity", "ExpiredToken", 403),
    ],
)
def test_faults_look_like_those_of_aws(aws: Aws, service: str, call: str, code: str, status: int) -> None:
    aws.fail(f"{service}:{call}", code=code, status=status)
    method = {"ListHostedZones": "list_hosted_zones", "DescribeInstances": "describe_instances"}.get(call)
    method = method or {"ListRoles": "list_roles", "GetCallerIdentity": "get_caller_identity"}[call]
    with pytest.raises(ClientError) as caught:
        getattr(client(aws, service), method)()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["Error"]["Message"] == "Rate exceeded"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    getattr(client(aws, service), method)()


def test_a_lost_answer(aws: Aws) -> None:
    aws.fail("route53:CreateHostedZone", after=True)
    with pytest.raises(ConnectionClosedError):
        client(aws, "route53").create_hosted_zone(Name="example.com", CallerReference="1")
    assert len(aws.boto("route53").list_hosted_zones()["HostedZones"]) == 1


A = {"Name": "A.example.com", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
B = A | {"Name": "*.example.com"}
OTHER = A | {"ResourceRecords": [{"Value": "192.0.2.2"}]}
CNAME = A | {"Type": "CNAME", "ResourceRecords": [{"Value": "b.org"}]}
TXT = A | {"Type": "TXT", "ResourceRecords": [{"Value": "unquoted"}]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([("CREATE", B), ("CREATE", OTHER)], "name='a.example.com.', type='A'] but it already exists"),
        ([("CREATE", B), ("DELETE", OTHER)], "but the values provided do not match the current values"),
        ([("DELETE", A), ("DELETE", A)], "but it was not found"),
        ([("CREATE", CNAME)], "conflicts with other records"),
        ([("CREATE", TXT)], "enclosed in quotation marks"),
        ([("CREATE", B | {"Name": "badexample.com"})], "not permitted in zone example.com."),
        ([("DELETE", A), ("CREATE", CNAME)], None),
        ([("UPSERT", OTHER)], None),
    ],
)
def test_route53_is_strict(aws: Aws, changes: list[tuple[str, dict[str, Any]]], message: str | None) -> None:
    """A batch is refused as a whole."""
    route53 = aws.boto("route53")
    zone = route53.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]

    def change(*items: tuple[str, dict[str, Any]]) -> None:
        batch = [{"Action": action, "ResourceRecordSet": record} for action, record in items]
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": batch})

    change(("CREATE", A))
    before = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    if message is None:
        change(*changes)
        assert route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"] != before
        return
    with pytest.raises(ClientError) as caught:
        change(*changes)
    assert message in caught.value.response["Error"]["Message"]
    assert caught.value.response["Error"]["Code"] == "InvalidChangeBatch"
    assert route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"] == before


def test_route53_lists_names_in_its_own_way(aws: Aws) -> None:
    route53 = aws.boto("route53")
    zone = route53.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]
    names = ["*.db.example.com", "DB.example.com", "db-x.example.com", "a.db.example.com"]
    batch = [{"Action": "CREATE", "ResourceRecordSet": A | {"Name": name}} for name in names]
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": batch})
    listed = route53.list_resource_record_sets(HostedZoneId=zone, StartRecordName="db-x.example.com")["ResourceRecordSets"]
    expected = ["db-x.example.com.", "db.example.com.", "\\052.db.example.com.", "a.db.example.com."]
    assert [record["Name"] for record in listed] == expected


def test_daemon() -> None:
    daemon = subprocess.Popen([sys.executable, "-m", "tests.support.aws"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert daemon.stdout
        endpoint = daemon.stdout.readline().strip()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
        environment |= {"AWS_DEFAULT_REGION": "eu-west-1"}
        code = "import boto3; boto3.client('sts').get_caller_identity()"
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        for method in ("DELETE", "GET"):
            request = urllib.request.Request(f"{endpoint}/_calls", method=method)  # noqa: S310
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                assert json.load(answer) == (["sts:GetCallerIdentity"] if method == "DELETE" else [])
    finally:
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(10) == 0
