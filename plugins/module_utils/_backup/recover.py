# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restores the databases that an environment has lost, with their names, passwords and descriptions, from the repository.

Each lost database gets a new volume and its former record, which says what is to be restored. Then all are restored, several at the
same time. An interrupted run is continued by the next: a record says whether its data is restored already.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._backup.records import newest, read_repository, read_saved
from ansible_collections.infinite.databases.plugins.module_utils._backup.restore import restore_data
from ansible_collections.infinite.databases.plugins.module_utils._database.checks import check_names
from ansible_collections.infinite.databases.plugins.module_utils._database.claim import Claims
from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import Pool
from ansible_collections.infinite.databases.plugins.module_utils._database.select import read_all
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._transfer.lock import interruptible
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "names": {"type": "raw"},
    "images": {"type": "dict", "required": True},
    "defaults": {"type": "dict", "required": True},
    "domain": {"type": "str", "required": True},
    "pool_job": {"type": "str", "required": True},
    "recovery_job": {"type": "str", "required": True},
    "records_job": {"type": "str", "required": True},
    "wait_timeout": {"type": "float", "default": 86400},
}


@dataclass
class Plan:
    """What is to be done, by names. A database that is not lost is in none of these."""

    # To make a record and restore the data; to restore the data; to run.
    lost: list[str] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    # Lines about databases that cannot be recovered.
    notes: list[str] = field(default_factory=list)


def restore_of(record: Mapping[str, Any]) -> dict[str, str]:
    """Return what the new record says of the data: the latest state of the former volume."""
    return {"source": record["name"], "stanza": record["volume"], "at": "", "reach": ""}


def plan(
    saved: Mapping[str, Mapping[str, Any]],
    present: Mapping[str, Mapping[str, Any]],
    jobs: Collection[str],
    versions: Collection[str],
    away: Collection[str] = (),
) -> Plan:
    """Decide for each record that the repository has. ``away`` has the volumes that no ready node has."""
    found = Plan()
    for name, record in saved.items():
        here = present.get(name)
        if record["erased"] or record["erasing"]:
            continue
        if here is None:
            if record["restore"]:
                found.notes.append(f"{name}: its restore from {record['restore']['source']} was not finished: restore it again")
            elif record["version"] not in versions:
                found.notes.append(f"{name}: postgres_image_versions lacks its version {record['version']}")
            else:
                found.lost.append(name)
        elif here["volume"] == record["volume"]:
            if record["volume"] in away and not here["destroyed"]:
                found.notes.append(f"{name}: its node is away; docs/backup.md says what to do if the node is lost for good")
        elif here["logins"] != record["logins"]:
            lost = f"idb restore {name}-lost --from {record['volume']}"
            found.notes.append(f"{name}: another database has this name now; restore the lost one under another name ({lost})")
        elif here["restore"]:
            found.begun.append(name)
        elif name not in jobs and not here["destroyed"]:
            found.restored.append(name)
    return found


def volumes_away(client: NomadClient) -> set[str]:
    """Return the volumes whose node is not ready."""
    ready = {node["ID"] for node in client.endpoint("nodes").get() if node["Status"] == "ready"}
    return {volume["Name"] for volume in client.volumes.list() if volume["NodeID"] not in ready}


def claim(client: NomadClient, params: Mapping[str, Any], lost: list[Mapping[str, Any]], check_mode: bool) -> None:
    """Make the records of lost databases, with volumes of the pool and their former passwords. A ttl goes on as before."""
    known = {
        one["name"]: {key: one[key] for key in ("logins", "destroyed", "trying")}
        | {"restore": restore_of(one), "renewed": one["renewed"] or one["created_at"]}
        for one in lost
    }
    claims = Claims(client, Pool(client, params["images"], params["pool_job"]), params["defaults"], known)
    wanted = [{**one["spec"], "name": one["name"], "version": one["version"]} for one in lost]
    if check_mode:
        claims.predict_all(wanted)
    else:
        claims.create_all(wanted)


def restore_all(client: NomadClient, params: Mapping[str, Any], names: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """Restore the data. Return a line about each database by its name, and a line about each failure."""
    repository, stopping = read_repository(client), threading.Event()

    def restore(record: Mapping[str, Any]) -> str:
        began = time.monotonic()
        if record["version"] not in params["images"] or record["restore"].get("source") != record["name"]:
            raise InvalidInput(f"{record['name']}: another run has changed it meanwhile; see `info`, and run this again")
        until = restore_data(client, params, record, repository, stopping)
        former, took = record["restore"]["stanza"], time.monotonic() - began
        return f"{record['name']}: recovered from {former} (last transaction: {until}), in {took:.0f} s"

    with interruptible(f"{len(names)} databases", stopping):
        outcomes = client.map(restore, read_all(client, names).values())
    done = {outcome.item["name"]: str(outcome.value) for outcome in outcomes if not outcome.error}
    return done, [str(outcome.error) for outcome in outcomes if outcome.error]


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    try:
        wanted = check_names(params["names"])
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    copies, unreadable = read_saved(client, params["records_job"], params["images"])
    saved = newest(copies)
    if unknown := [name for name in wanted if name not in saved]:
        raise InvalidInput(f"{', '.join(unknown)}: the repository has no record of it; nothing was changed")
    saved = {name: record for name, record in saved.items() if not wanted or name in wanted}
    jobs = {job["ID"] for job in client.jobs.get()}
    found = plan(saved, read_all(client, saved), jobs, params["images"], volumes_away(client))
    claim(client, params, [saved[name] for name in found.lost], check_mode)
    todo = found.lost + found.begun
    failed: list[str] = []
    done = {name: f"{name}: would be recovered" for name in todo}
    if todo and not check_mode:
        done, failed = restore_all(client, params, todo)
    return {
        "changed": bool(todo + found.restored),
        "names": [name for name in [*done, *found.restored] if not saved[name]["destroyed"]],
        "lines": list(done.values()) + [f"{name}: is restored, and is to be run" for name in found.restored],
        "failed_lines": found.notes + failed + ([] if wanted else unreadable),
        "records": len(saved),
        "api_calls": client.api_calls,
    }


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
