# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which databases a verb is about: those that were named, or have some labels. All are looked at before any is changed."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.checks import check_names, check_selector
from ansible_collections.infinite.databases.plugins.module_utils._database.details import selected
from ansible_collections.infinite.databases.plugins.module_utils._database.info import NO_ROOM, jobs_without_room, state_of
from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import RECORDS
from ansible_collections.infinite.databases.plugins.module_utils._database.record import find_record
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

STATES = ("running", "starting", "failed", NO_ROOM, "stopped", "destroyed")
# For each state that a verb may not accept: the problem, and what to do.
CURES = {
    "stopped": "is stopped; `start` it first",
    "destroyed": "is destroyed; `undestroy` brings it back",
    "failed": "has failed; see its `logs`",
    NO_ROOM: "has no room on its node; `provision` it with less memory, or make room",
    "starting": "is still starting; try again in a moment, or see its `logs`",
}
WHICH = "Which database? Add -e db=NAME, or -e db=NAME,NAME, or -e labels=KEY=VALUE"

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "names": {"type": "raw"},
    "labels": {"type": "raw"},
    "states": {"type": "list", "elements": "str", "choices": [*STATES], "default": [*STATES]},
    "missing": {"type": "str", "choices": ["refuse", "tell"], "default": "refuse"},
}


def unfit(name: str, state: str, states: Sequence[str]) -> str:
    """Return why the verb does not accept this database, and what to do; empty if the verb accepts it."""
    if state in states:
        return ""
    if list(states) == ["destroyed"]:
        # An interrupted `undestroy` leaves a stopped database.
        cure = "`start` it" if state == "stopped" else "there is nothing to bring back"
        return f"{name}: is {state}, not destroyed; {cure}"
    return f"{name}: {CURES.get(state, f'is {state}')}"


def read_all(client: NomadClient, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the records of the databases that exist."""
    found = values(client.map(lambda name: find_record(client, name), names))
    return {record["name"]: record for record in found if record}


def states_of(
    records: Mapping[str, Mapping[str, Any]], jobs: Iterable[Mapping[str, Any]], without_room: Container[str]
) -> dict[str, str]:
    by_id = {job["ID"]: job for job in jobs}
    return {
        name: "destroyed" if record["destroyed"] else state_of(by_id.get(name), without_room) for name, record in records.items()
    }


def choose(params: Mapping[str, Any], wanted: Sequence[str], labels: str, states: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the names of the databases that the verb accepts, and notes about the others.

    A database that was named and is not accepted is refused. A database that was found by its labels and is not accepted is
    skipped.
    """
    reasons = {name: unfit(name, state, params["states"]) for name, state in states.items()}
    unknown = [f"{name}: there is no such database; see `list` for the names there are" for name in wanted if name not in states]
    fit = [name for name, reason in reasons.items() if not reason]
    notes = [reason for reason in reasons.values() if reason]
    if labels:
        unknown = [] if states else [f"No database has the labels {labels}; see `list`"]
    # If databases were found by their labels, it is enough that one of them is accepted.
    refused = notes if not labels or (states and not fit) else []
    refused = refused + (unknown if params["missing"] == "refuse" else [])
    if refused:
        more = "; nothing was changed" if len(wanted) > 1 else ""
        raise InvalidInput("; ".join(refused) + more)
    return fit, [f"{note}; skipped." for note in notes] + [f"{note}." for note in unknown]


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    try:
        wanted, selector = check_names(params["names"]), check_selector(params["labels"])
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    if not wanted and not selector:
        raise InvalidInput(WHICH)
    if wanted and selector:
        raise InvalidInput("db and labels were given: give one of them, so that it is clear which databases are meant")
    client = NomadClient(params)
    names = wanted or [
        one["Path"].removeprefix(RECORDS) for one in client.variables.list(RECORDS) if one["Path"].startswith(RECORDS)
    ]
    records = read_all(client, names)
    if selector:
        records = {name: one for name, one in records.items() if selected(one["spec"].get("labels") or {}, selector)}
    states = states_of(records, client.jobs.get(), jobs_without_room(client))
    said = ", ".join(f"{key}={value}" for key, value in selector.items())
    fit, notes = choose(params, wanted, said, states)
    return {
        "databases": [{"name": name} for name in fit],
        "states": states,
        "notes": notes,
        "missing": [name for name in wanted if name not in states],
        "api_calls": client.api_calls,
    }


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
