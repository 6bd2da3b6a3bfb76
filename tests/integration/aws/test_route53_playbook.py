# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The modules by ansible-playbook: in Ansible's process and in one of their own, beside amazon.aws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.aws.conftest import Play, Playbook
    from tests.support.aws.server import Aws

RECORD, INFO = "infinite.databases.route53_record", "infinite.databases.route53_record_info"
WRITE = "route53:ChangeResourceRecordSets"


@pytest.fixture
def zone(aws: Aws) -> str:
    return str(aws.boto("route53").create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"])


def task(value: str = "192.0.2.1", **params: Any) -> dict[str, Any]:
    records = [{"name": name, "type": "A", "values": [value]} for name in ("a.example.com", "*.db.example.com")]
    return {RECORD: {"zone": "example.com", "owner": "prod", "records": records} | params}


@pytest.mark.parametrize("environment", [{}, {"environment": {"UNUSED": "x"}}], ids=["in process", "module process"])
def test_create_change_remove(aws: Aws, zone: str, play: Play, environment: dict[str, Any]) -> None:
    steps = [task(), task("192.0.2.2"), task(state="absent")]
    each = [step | environment | extra for step in steps for extra in ({"check_mode": True}, {}, {})]
    results = play(each)
    for number, action in enumerate(("created", "updated", "removed")):
        checked, done, again = results[number * 3 : number * 3 + 3]
        assert checked["changed"]
        assert done["changed"]
        assert checked["changes"] == done["changes"]
        assert checked["diff"] == done["diff"]
        assert [change["action"] for change in done["changes"]] == [action] * 2
        assert not again["changed"]
        assert [result["api_calls"]["write"] for result in (checked, done, again)] == [0, 1, 0]
    assert aws.calls.count(WRITE) == 3


def test_defaults_for_the_group(aws: Aws, zone: str, play: Play) -> None:
    defaults = {"endpoint_url": aws.endpoint, "access_key": "some-key", "secret_key": "very-secret", "region": "eu-central-1"}
    elsewhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    made, told = play([task(), {INFO: {"zone": "example.com", "owner": "prod"}}], defaults=defaults, **elsewhere)
    assert made["changed"]
    assert [record["name"] for record in told["records"]] == ["a.example.com", "*.db.example.com"]


@pytest.mark.parametrize("environment", [{}, {"environment": {"UNUSED": "x"}}], ids=["in process", "module process"])
def test_secrets_are_not_shown(aws: Aws, zone: str, playbook: Playbook, tmp_path: Path, environment: dict[str, Any]) -> None:
    secrets = {"access_key": "some-key", "secret_key": "very-secret", "session_token": "hidden-token"}
    tasks = [task(**secrets) | environment, task(**secrets, zone="example.org") | environment]
    path = tmp_path / "playbook.yml"
    path.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]))
    interpreter = ("-e", "ansible_python_interpreter={{ ansible_playbook_python }}")
    done = playbook("-i", "localhost,", "-vvv", "--diff", *interpreter, str(path), code=2)
    assert "this AWS account has no public zone called example.org" in done.stdout
    assert "+a.example.com A 300 192.0.2.1" in done.stdout
    for secret in ("very-secret", "hidden-token"):
        assert secret not in done.stdout + done.stderr


def test_beside_amazon_aws(aws: Aws, zone: str, play: Play) -> None:
    """What it makes is seen as it is, and is not ours."""
    common = {"zone": "example.com", "type": "A"}
    theirs: dict[str, Any] = {"amazon.aws.route53": common | {"record": "a.example.com", "value": "192.0.2.9", "state": "present"}}
    wild: dict[str, Any] = {"amazon.aws.route53": common | {"record": "*.db.example.com", "value": "192.0.2.1", "state": "present"}}
    wild["amazon.aws.route53"]["ttl"] = 300
    results = play([theirs, wild, task(), task(force=True), task(force=True)])
    assert [result["changed"] for result in results] == [True, True, False, True, False]
    assert "a.example.com A (no mark); take them over with force" in results[2]["msg"]
    assert [(change["action"], change["name"]) for change in results[3]["changes"]] == [
        ("updated", "a.example.com"),
        ("marked", "*.db.example.com"),
    ]
