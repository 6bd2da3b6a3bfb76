# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Throttling, lost answers, refusals, others at work in the same zone; and waiting."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._route53 import aws as aws_module
from ansible_collections.infinite.databases.plugins.module_utils._route53 import record as route53_record
from ansible_collections.infinite.databases.plugins.module_utils._route53.zone import Zone
from tests.support.aws.account import FIND, LIST, WRITE, Account, Module, a, names, raw
from tests.support.aws.server import Aws


@pytest.mark.parametrize("code", ["Throttling", "PriorRequestNotComplete"])
@pytest.mark.parametrize("action", [FIND, LIST, WRITE])
def test_throttled_for_a_while(module: Module, account: Account, zone: str, aws: Aws, action: str, code: str) -> None:
    aws.fail(action, times=2, code=code)
    result = module(a("x.example.com"), owner="prod")
    assert result["changed"]
    assert aws.calls.count(action) == 3
    assert len(account.records(zone)) == 2


def test_throttled_for_too_long(module: Module, zone: str, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_module, "ATTEMPTS", 2)
    aws.fail(LIST, times=99)
    result = module(a("x.example.com"))
    assert result["msg"].startswith(
        "AWS: route53:ListResourceRecordSets: Rate exceeded (Throttling): still throttled after 2 attempts; run"
    )
    assert aws.calls.count(LIST) == 2


@pytest.mark.parametrize("owner", ["prod", ""])
def test_a_lost_answer(module: Module, account: Account, zone: str, aws: Aws, owner: str) -> None:
    """The change is made, the repetition is refused, and reading again shows that all is well."""
    steps = [(a("x.example.com"), "present"), (a("x.example.com", "192.0.2.2"), "present"), (a("x.example.com"), "absent")]
    for record, state in steps:
        aws.fail(WRITE, after=True)
        result = module(record, owner=owner, state=state)
        assert result["changed"]
        assert result["api_calls"]["write"] == 2
        assert not module(record, owner=owner, state=state)["changed"]
    assert account.records(zone) == {}


def test_a_lost_answer_of_one_of_two_batches(module: Module, account: Account, zone: str, aws: Aws) -> None:
    aws.fail(WRITE, after=True)
    result = module(*names(700), owner="prod")
    assert result["changed"]
    assert result["api_calls"]["write"] == 3
    assert len(account.records(zone)) == 1400


def test_lost_answers_to_reading(module: Module, zone: str, aws: Aws) -> None:
    for action in (FIND, LIST):
        aws.fail(action, after=True)
    assert module(a("x.example.com"))["changed"]


@pytest.mark.parametrize("value", ["192.0.2.1", "192.0.2.77"])
def test_somebody_is_quicker(module: Module, account: Account, zone: str, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Between reading and writing: not overwritten, but read and judged again."""
    original = Zone.write

    def write(self: Zone, batch: Any) -> None:
        monkeypatch.setattr(Zone, "write", original)
        account.change(zone, "CREATE", raw("x.example.com.", value))
        original(self, batch)

    monkeypatch.setattr(Zone, "write", write)
    result = module(a("x.example.com"), a("y.example.com"), owner="prod")
    if value == "192.0.2.1":
        assert result["changed"]
        assert ("y.example.com.", "A") in account.records(zone)
    else:
        assert "x.example.com A (no mark)" in result["msg"]
        assert not result["changed"]
        assert account.records(zone) == {("x.example.com.", "A"): [value]}


def test_always_outdated(module: Module, account: Account, zone: str, aws: Aws) -> None:
    aws.fail(WRITE, times=99, code="InvalidChangeBatch", message="[Tried to create resource record set but it already exists]")
    result = module(a("x.example.com"))
    assert result["msg"].startswith("AWS: route53:ChangeResourceRecordSets: Tried to create")
    assert not result["changed"]
    assert aws.calls.count(WRITE) == route53_record.ROUNDS


@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        ("ExpiredToken", 403, "the credentials have expired; log in again"),
        ("InvalidClientTokenId", 403, "these credentials are not valid"),
        ("AccessDenied", 403, "the credentials' policies do not allow it"),
        ("InvalidChangeBatch", 400, "(InvalidChangeBatch)"),
    ],
)
@pytest.mark.parametrize("action", [FIND, LIST, WRITE])
def test_not_worth_a_retry(module: Module, zone: str, aws: Aws, action: str, code: str, status: int, message: str) -> None:
    aws.fail(action, times=99, code=code, status=status, message="The security token included in the request is expired")
    result = module(a("x.example.com"))
    assert message in result["msg"]
    assert action in result["msg"]
    assert aws.calls.count(action) == 1


@pytest.mark.parametrize("code", ["AccessDenied", "ExpiredToken"])
def test_refused_half_way(
    module: Module, account: Account, zone: str, monkeypatch: pytest.MonkeyPatch, aws: Aws, code: str
) -> None:
    """What was written is noted as changed, and the next run writes the rest, and that once."""
    original = Zone.write

    def write(self: Zone, batch: Any) -> None:
        original(self, batch)
        aws.fail(WRITE, code=code, status=403)

    with monkeypatch.context() as patch:
        patch.setattr(Zone, "write", write)
        result = module(*names(700), owner="prod")
    assert result["failed"]
    assert result["changed"], "the first of two batches was written"
    assert len(account.records(zone)) == 1000
    assert module(*names(700), owner="prod")["changed"]
    assert len(account.records(zone)) == 1400
    assert not module(*names(700), owner="prod")["changed"]


def test_no_credentials(module: Module, zone: str, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    result = module(a("x.example.com"))
    assert result["msg"].startswith(
        "AWS: no credentials for route53:ListHostedZonesByName: Unable to locate credentials; set profile"
    )
    assert aws.calls == []


def test_nobody_answers(module: Module, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_module, "ATTEMPTS", 2)
    result = module(a("x.example.com"), endpoint_url="http://127.0.0.1:1")
    assert result["msg"].startswith("AWS at http://127.0.0.1:1 is unreachable for route53:ListHostedZonesByName (Could not connect")


# Waiting


def test_waits_once_for_all_changes(module: Module, zone: str, aws: Aws) -> None:
    aws.pending(2)
    result = module(*names(700), owner="prod")
    # Two changes: the first is in sync when it is asked for the third time, and so is the second by then.
    assert result["api_calls"] == {"list": 2, "write": 2, "wait": 4}
    aws.pending(2)
    assert module(*names(700), owner="prod")["api_calls"]["wait"] == 0, "nothing was changed"
    assert module(a("x.example.com"), wait=False)["api_calls"]["wait"] == 0


def test_waits_no_longer_than_that(module: Module, account: Account, zone: str, aws: Aws) -> None:
    aws.pending(99)
    result = module(a("x.example.com"), wait_timeout=1)
    assert f"Route53 zone example.com ({zone}): the records are written, but not on all name servers after 1 s" in result["msg"]
    assert result["changed"]
    assert len(account.records(zone)) == 1
