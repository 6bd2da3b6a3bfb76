# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""New passwords, with a time in which the old ones work as well.

A role has two logins. The one that is not in use gets a new password and becomes the one that URLs name; the other ends
once the overlap is over. Neither restarts the server nor ends a session before then.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.database_keys import option_seconds
from ansible_collections.infinite.databases.plugins.module_utils.database_record import (
    ROLES,
    find_record,
    new_password,
    other_login,
    write_record,
    write_wanted,
)
from ansible_collections.infinite.databases.plugins.module_utils.errors import BatchFailed, InvalidInput
from ansible_collections.infinite.databases.plugins.module_utils.nomad import CONNECTION_SPEC, NomadClient, Outcome, values
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "names": {"type": "list", "elements": "str", "required": True},
    "role": {"type": "str", "choices": [*ROLES], "default": "owner"},
    "overlap": {"type": "str", "default": "24h"},
    "state": {"type": "str", "choices": ["rotated", "ended", "expired"], "default": "rotated"},
    "skip_rotated": {"type": "bool", "default": False},
}


def rotated(record: Mapping[str, Any], role: str, until: int) -> dict[str, Any]:
    """The record with a new login for the role, and the old one until then (seconds since 1970)."""
    logins = {key: dict(value) for key, value in record["logins"].items()}
    old = logins[role]
    if "ending" in old:
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(old["ending"]["until"]))
        raise InvalidInput(
            f"its old password of {role} works until {when}; end it now by rotating with end=true (state ended), then rotate again"
        )
    logins[role] = {
        "user": other_login(record["name"], role, old["user"]),
        "password": new_password(),
        "ending": {"user": old["user"], "password": old["password"], "until": until},
    }
    return dict(record) | {"logins": logins}


def ended(record: Mapping[str, Any], roles: tuple[str, ...], before: float) -> dict[str, Any]:
    """The record without old logins of these roles whose time is over."""
    logins = {
        role: {key: value for key, value in login.items() if key != "ending" or role not in roles or value["until"] > before}
        for role, login in record["logins"].items()
    }
    return dict(record) | {"logins": logins}


def refuse(outcomes: Sequence[Outcome[Any, Any]], changed: bool) -> None:
    """Fail with all that failed. Nothing is written before all could be planned."""
    failures = [f"{one.item['name'] if changed else one.item}: {one.error}" for one in outcomes if one.error]
    if failures:
        kept = "; nothing was changed" if len(outcomes) > 1 and not changed else ""
        raise BatchFailed("; ".join(failures) + kept, changed=changed)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    overlap = option_seconds("overlap", params["overlap"])
    if overlap is None:
        raise InvalidInput("overlap: an old password has to end; give a time such as 24h")
    client, now = NomadClient(params), int(time.time())

    def plan(name: str) -> dict[str, Any] | None:
        """The record as it shall be; None if it is so already."""
        record = find_record(client, name)
        if record is None:
            if params["state"] == "expired":
                return None
            raise InvalidInput("there is no such database")
        if params["state"] == "rotated" and params["skip_rotated"] and "ending" in record["logins"][params["role"]]:
            return None
        if params["state"] == "rotated":
            new = rotated(record, params["role"], now + overlap)
        elif params["state"] == "ended":
            new = ended(record, (params["role"],), float("inf"))
        else:
            new = ended(record, ROLES, now)
        return new if new["logins"] != record["logins"] else None

    def write(record: dict[str, Any]) -> None:
        record["index"] = write_record(client, record, record["index"])
        write_wanted(client, record)

    plans = client.map(plan, params["names"])
    refuse(plans, changed=False)
    records = [record for record in values(plans) if record]
    refuse([] if check_mode else client.map(write, records), changed=True)
    return {"changed": bool(records), "names": [record["name"] for record in records], "api_calls": client.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
