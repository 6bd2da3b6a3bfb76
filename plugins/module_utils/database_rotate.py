# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""New passwords, with a time in which the old ones work as well.

A role has two logins. The one that is not in use gets a new password, and once the server is seen to take it, becomes the one that
URLs name; the other ends once the overlap is over. Neither restarts the server nor ends a session before then, and at no moment
does a URL name a password that does not work. A run that is interrupted is finished by the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils import postgresql_ready
from ansible_collections.infinite.databases.plugins.module_utils.database_keys import option_seconds
from ansible_collections.infinite.databases.plugins.module_utils.database_record import (
    ROLES,
    find_record,
    new_password,
    other_login,
    write_record,
    write_wanted,
)
from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    BatchFailed,
    InvalidInput,
    NomadConflict,
    NomadNotFound,
)
from ansible_collections.infinite.databases.plugins.module_utils.nomad import CONNECTION_SPEC, NomadClient, Outcome, values
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
    """The record with a new login for the role, which no URL names yet; an interrupted run may have made it."""
    login = record["logins"][role]
    if "ending" in login:
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(login["ending"]["until"]))
        raise InvalidInput(
            f"its old password of {role} works until {when}; end it now by rotating with end=true (state ended), then rotate again"
        )
    if "next" in login:
        return dict(record)
    new = {"user": other_login(record["name"], role, login["user"]), "password": new_password()}
    return with_login(record, role, login | {"next": new})


def rotated(record: Mapping[str, Any], role: str, until: int) -> dict[str, Any]:
    """The record with the login that was offered in place of the old one, which works until then (seconds since 1970)."""
    login = record["logins"][role]
    if "next" not in login:
        raise InvalidInput(f"its password of {role} was changed by another run meanwhile; see `url`")
    old = {key: login[key] for key in ("user", "password")}
    return with_login(record, role, login["next"] | {"ending": old | {"until": until}})


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


def change(client: NomadClient, record: Mapping[str, Any], edit: Callable[[Mapping[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Write what becomes of the record, and what its job reads; of what is there by now, where somebody else wrote it meanwhile."""
    while True:
        new = edit(record)
        try:
            if new["logins"] != record["logins"]:
                new["index"] = write_record(client, new, record["index"])
            write_wanted(client, new)
            return new
        except NomadConflict:
            found = find_record(client, record["name"])
            if found is None:
                raise NomadNotFound("it was erased by another run meanwhile") from None
            record = found


def wait_until_taken(records: Sequence[dict[str, Any]], params: Mapping[str, Any]) -> None:
    """Until each server takes the password that is offered."""
    role = params["role"]
    databases = [
        {"name": one["name"], "host": f"{one['name']}.{params['domain']}", "port": params["port"]} | one["logins"][role]["next"]
        for one in records
    ]
    asked = {"databases": databases, "ca_cert": params["ca_cert"], "timeout": params["timeout"]}
    try:
        postgresql_ready.run(with_defaults(postgresql_ready.ARGUMENT_SPEC, asked), False)
    except BatchFailed as error:
        raise BatchFailed(f"{error}; the passwords that URLs have are as they were, run this again", changed=True) from None


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
        """The record, if it is to be changed."""
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
    if records and not check_mode:
        changes = client.map(lambda record: change(client, record, edit), records)
        refuse(changes, changed=True)
        if rotating:
            wait_until_taken(values(changes), params)
            until = int(time.time()) + overlap
            turns = client.map(lambda record: change(client, record, lambda found: rotated(found, role, until)), values(changes))
            refuse(turns, changed=True)
    return {"changed": bool(records), "names": [record["name"] for record in records], "api_calls": client.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run, required_if=[["state", "rotated", ["domain"]]])
