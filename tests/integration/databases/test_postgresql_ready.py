# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Readiness, of databases that answer and of those that do not."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database import ready as postgresql_ready
from ansible_collections.infinite.databases.plugins.module_utils.runner import with_defaults
from tests.support.user import User


def ready(user: User, *databases: dict[str, Any], **params: Any) -> dict[str, Any]:
    given = {"databases": list(databases), "ca_cert": user.ca, "timeout": 0} | params
    return postgresql_ready.SPEC.execute(with_defaults(postgresql_ready.SPEC.argument_spec, given), False)


@pytest.fixture
def endpoint(user: User, first: str) -> dict[str, Any]:
    login = user.login(first)
    place = {"host": f"{first}.{user.domain}", "port": user.known["database_port"]}
    return place | {"name": first, "user": login["user"], "password": login["password"]}


def test_ready(user: User, endpoint: dict[str, Any]) -> None:
    result = ready(user, endpoint, endpoint)
    assert not result.get("failed"), result
    assert [(one["name"], one["ready"]) for one in result["databases"]] == [(endpoint["name"], True)] * 2
    assert all(one["seconds"] < 5 for one in result["databases"])
    assert not result["changed"]


@pytest.mark.parametrize(
    ("different", "params", "message"),
    [
        (
            {"password": "wrong"},
            {},
            "it refuses the password; if its owner changed it by ALTER ROLE, `provision` sets it back",
        ),
        ({"host": "nobody.invalid"}, {}, "its name does not resolve; is there a DNS record or hosts entry?"),
        (
            {"host": "localhost"},
            {},
            "Traefik has no running server for this name, or its allowed_cidrs leave this machine out; see its job",
        ),
        ({}, {"ca_cert": None}, "its certificate is not trusted; is ca_cert the environment's CA?"),
        ({}, {"ca_cert": "/nonexistent"}, "its certificate is not trusted; is ca_cert the environment's CA?"),
        ({"port": 1}, {}, "nothing listens there; is Traefik running"),
    ],
)
def test_not_ready(user: User, endpoint: dict[str, Any], different: dict[str, Any], params: dict[str, Any], message: str) -> None:
    result = ready(user, endpoint | different, **params)
    assert result["failed"]
    assert message in result["msg"]
    assert "\n" not in result["msg"]
    assert endpoint["password"] not in result["msg"]
    assert result["databases"] == [
        {"name": endpoint["name"], "ready": False, "reachable": False, "seconds": None, "refused": False, "problem": result["msg"]}
    ]


def test_one_failure_does_not_hide_the_others(user: User, endpoint: dict[str, Any]) -> None:
    other = endpoint | {"name": "infinite-test-nobody"}
    result = ready(user, endpoint, other)
    assert [(one["name"], one["ready"]) for one in result["databases"]] == [
        (endpoint["name"], True),
        ("infinite-test-nobody", False),
    ]
    assert "infinite-test-nobody at" in result["msg"]
    assert "has no such database" in result["msg"]


def test_a_server_that_never_answers_is_given_up(user: User, endpoint: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql_ready, "CONNECT_SECONDS", 2)  # libpq's least
    with socket.create_server(("127.0.0.1", 0)) as mute:
        result = ready(user, endpoint | {"port": mute.getsockname()[1]})
    assert "no answer; does a firewall (ec2_host_database_cidrs on EC2) let this machine in?" in result["msg"]
