# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gives roles new passwords. For a time, the overlap, the old passwords work as well.

A role has two logins. The login that is not in use gets a new password. Once the server was seen to accept it, URLs use this
login. The other login ends when the overlap is over. Until then, no session ends and no server restarts. At no time does a URL
have a password that does not work. If a run is interrupted, the next run finishes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database import ready as postgresql_ready
from ansible_collections.infinite.databases.plugins.module_utils._database.checks import option_seconds
from ansible_collections.infinite.databases.plugins.module_utils._database.record import (
    ROLES,
    change,
    find_record,
    new_password,
    other_login,
)
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, Outcome, values
from ansible_collections.infinite.databases.plugins.module_utils.errors import BatchFailed, InvalidInput
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec, with_defaults

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "names": {"type": "list", "elements": "str", "required": True},
    "role": {"type": "str", "choices": [*ROLES], "default": "owner"},
    "overlap": {"type": "str", "default": "24h"},
    "state": {"type": "str", "choices": ["rotated", "ended", "expired"], "default": "rotated"},
    "skip_rotated": {"type": "bool", "default": False},
    "domain": {"type": "str"},
    "port": {"type": "int", "default": 5432},
    "ca_cert": {"type": "str", "default": ""},
    "timeout": {"type": "float", "default": 60},
}


def with_login(record: Mapping[str, Any], role: str, login: Mapping[str, Any]) -> dict[str, Any]:
    return dict(record) | {"logins": record["logins"] | {role: dict(login)}}


def offered(record: Mapping[str, Any], role: str) -> dict[str, Any]:
    """Return the record with a new login for the role, which no URL uses yet.

    An interrupted run may have made the login already.
    """
    login = record["logins"][role]
    if "ending" in login:
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(login["ending"]["until"]))
        raise InvalidInput(
            f"the old password of its role {role} works until {when}; "
            "end it now by rotating with end=true (state ended), then rotate again"
        )
    if "next" in login:
        return dict(record)
    new = {"user": other_login(record["name"], role, login["user"]), "password": new_password()}
    return with_login(record, role, login | {"next": new})


def rotated(record: Mapping[str, Any], role: str, until: int) -> dict[str, Any]:
    """Return the record with the new login in use. The old login works until ``until`` (seconds since 1970)."""
    login = record["logins"][role]
    if "next" not in login:
        raise InvalidInput(f"the password of its role {role} was changed by another run meanwhile; see `url`")
    old = {key: login[key] for key in ("user", "password")}
    return with_login(record, role, login["next"] | {"ending": old | {"until": until}})


def ended(record: Mapping[str, Any], roles: tuple[str, ...], before: float) -> dict[str, Any]:
    """Return the record without those old logins of these roles that end at ``before`` or earlier."""
    logins = {
        role: {key: value for key, value in login.items() if key != "ending" or role not in roles or value["until"] > before}
        for role, login in record["logins"].items()
    }
    return dict(record) | {"logins": logins}


def refuse(outcomes: Sequence[Outcome[Any, Any]], changed: bool) -> None:
    """Raise an error with all failures, if there are any. Nothing is written unless all changes could be planned."""
    failures = [f"{one.item['name'] if changed else one.item}: {one.error}" for one in outcomes if one.error]
    if failures:
        kept = "; nothing was changed" if len(outcomes) > 1 and not changed else ""
        raise BatchFailed("; ".join(failures) + kept, changed=changed)


def wait_until_taken(records: Sequence[dict[str, Any]], params: Mapping[str, Any]) -> None:
    """Wait until each server accepts the new password."""
    role = params["role"]
    databases = [
        {"name": one["name"], "host": f"{one['name']}.{params['domain']}", "port": params["port"]} | one["logins"][role]["next"]
        for one in records
    ]
    asked = {"databases": databases, "ca_cert": params["ca_cert"], "timeout": params["timeout"]}
    try:
        postgresql_ready.run(with_defaults(postgresql_ready.ARGUMENT_SPEC, asked), False)
    except BatchFailed as error:
        raise BatchFailed(f"{error}; the URLs still have the old passwords, run this again", changed=True) from None


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    overlap = option_seconds("overlap", params["overlap"])
    if overlap is None:
        raise InvalidInput("overlap: an old password has to end; give a time such as 24h")
    client, now, role = NomadClient(params), int(time.time()), params["role"]
    first: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
        "rotated": lambda record: offered(record, role),
        "ended": lambda record: ended(record, (role,), float("inf")),
        "expired": lambda record: ended(record, ROLES, now),
    }
    edit, rotating = first[params["state"]], params["state"] == "rotated"

    def plan(name: str) -> dict[str, Any] | None:
        """Return the record, if it is to be changed."""
        record = find_record(client, name)
        if record is None:
            if params["state"] == "expired":
                return None
            raise InvalidInput("there is no such database")
        if rotating and params["skip_rotated"] and "ending" in record["logins"][role]:
            return None
        return record if edit(record)["logins"] != record["logins"] or rotating else None

    plans = client.map(plan, params["names"])
    refuse(plans, changed=False)
    records = [record for record in values(plans) if record]
    new = [edit(record) for record in records]
    if records and not check_mode:
        changes = client.map(lambda record: change(client, record, edit), records)
        refuse(changes, changed=True)
        new = values(changes)
        if rotating:
            wait_until_taken(new, params)
            until = int(time.time()) + overlap
            turns = client.map(lambda record: change(client, record, lambda found: rotated(found, role, until)), new)
            refuse(turns, changed=True)
            new = values(turns)
    logins = {record["name"]: record["logins"][role] for record in new}
    return {
        "changed": bool(records),
        "names": [record["name"] for record in records],
        "users": {name: login.get("next", login)["user"] for name, login in logins.items()},
        "api_calls": client.api_calls,
    }


SPEC = ModuleSpec(ARGUMENT_SPEC, run, required_if=[["state", "rotated", ["domain"]]])
