# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ends databases. They are stopped, destroyed (stopped, and erased once the retention time is over), or erased.

A run that ends a database writes a note into the record before it does anything else. A run that provisions a database reads the
record after it has done everything else (confirm.py). If both happen at the same time, either the first run finds what the second
made, or the second finds the note.

Erasing removes the record last. As long as the record exists, the database and its volume are known, so an interrupted run can be
finished by running it again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database import details
from ansible_collections.infinite.databases.plugins.module_utils._database.checks import option_seconds
from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import CLAIMS, RECORDS, end_job
from ansible_collections.infinite.databases.plugins.module_utils._database.record import WANTED, find_record, write_record
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import wait_for
from ansible_collections.infinite.databases.plugins.module_utils._nomad.volume import remove
from ansible_collections.infinite.databases.plugins.module_utils._transfer.lock import remove_all as remove_transfers
from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    BatchFailed,
    InvalidInput,
    JobFailed,
    NomadConflict,
    NomadNotFound,
)
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

# PostgreSQL's fast shutdown writes a checkpoint; the job gives it 120 s.
STOP_SECONDS = 150.0

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "names": {"type": "list", "elements": "str", "required": True},
    "state": {"type": "str", "choices": ["stopped", "destroyed", "erased"], "default": "destroyed"},
    "due_retention": {"type": "str"},
}


def check_protection(records: Sequence[Mapping[str, Any]]) -> None:
    protected = [record["name"] for record in records if record["spec"].get("protect")]
    if protected:
        are, them = ("are", "them") if len(protected) > 1 else ("is", "it")
        raise InvalidInput(
            f"Nothing was changed: {', '.join(protected)} {are} protected; "
            f"provision {them} with protect=false first, if you really want to end {them}"
        )


def note(client: NomadClient, record: dict[str, Any], purge: bool, retention: int | None) -> dict[str, Any] | None:
    """Write a note into the record that the database ends, and return the record.

    Return None if the record is gone, or if ``retention`` is given and the database is no longer due. A run that erases always
    writes the note, even if another run has written one. The last writer then deletes the record.
    """
    found: dict[str, Any] | None = record
    while found:
        if not purge and (found["destroyed"] or found["erasing"]):
            return found
        if retention is not None and details.due(found, retention, time.time()) != ("erase" if purge else "destroy"):
            return None
        noted = found | ({"erasing": True} if purge else {"destroyed": int(time.time())})
        try:
            return noted | {"index": write_record(client, noted, found["index"])}
        except NomadConflict:
            found = find_record(client, record["name"])
            check_protection([found] if found else [])
    return None


def owner(client: NomadClient, volume: str) -> str | None:
    try:
        return str(client.variables.read(CLAIMS + volume)["Items"]["database"])
    except NomadNotFound:
        return None


def erase(client: NomadClient, record: Mapping[str, Any], volumes: Mapping[str, str]) -> None:
    """Erase everything of a database whose job has ended."""
    name, volume = record["name"], record["volume"]
    if volume in volumes:
        claimed_by = owner(client, volume)
        if claimed_by not in (name, None):
            raise InvalidInput(
                f"its volume {volume} is claimed by {claimed_by}; nothing was erased, see `nomad var get {CLAIMS}{volume}`"
            )
        # If there is no claim, another run has just removed the volume.
        if claimed_by:
            remove(client, volume, volumes[volume], client.namespace)
    for path in (CLAIMS + volume, WANTED + name):
        client.variables.delete(path)
    # A conflict means that another run erases the database, too, and will delete the record.
    with suppress(NomadConflict):
        client.variables.delete(RECORDS + name, cas=record["index"])


def end_jobs(client: NomadClient, jobs: Sequence[str], purge: bool) -> None:
    """Stop the jobs and wait until their servers have ended. With ``purge``, remove the jobs afterwards."""
    values(client.map(lambda job: end_job(client, job), jobs))
    verdicts = wait_for(client, [(client.namespace, job) for job in jobs], STOP_SECONDS, stopping=True) if jobs else {}
    late = [key[1] for key, verdict in verdicts.items() if verdict.error]
    if late:
        raise JobFailed(f"{', '.join(late)} did not stop within {STOP_SECONDS:g} s; see its log, then run this again")
    if purge:
        values(client.map(lambda job: end_job(client, job, purge=True), jobs))


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    purge, mark = params["state"] == "erased", params["state"] == "destroyed"
    due = params.get("due_retention")
    retention = None if due is None else option_seconds("due_retention", due)
    records = [record for record in values(client.map(lambda name: find_record(client, name), params["names"])) if record]
    # A protected database may be stopped.
    if purge or mark:
        check_protection(records)
    marking = [record["name"] for record in records if mark and not record["destroyed"]]
    if (purge or mark) and not check_mode:
        found = values(client.map(lambda record: note(client, record, purge, retention), records))
        records = [record for record in found if record]
    names = [record["name"] for record in records]
    marking = [name for name in marking if name in names]
    # The jobs are listed after the notes were written. If a job is registered later, the run that registered it takes it back.
    jobs = {job["ID"]: job for job in client.jobs.get()}
    ending = [name for name in names if name in jobs and (purge or not jobs[name]["Stop"])]
    result = {
        "changed": bool(ending or marking or (purge and records)),
        "stopped": ending,
        "erased": names if purge else [],
        "missing": [name for name in params["names"] if name not in names],
    }
    if not check_mode:
        if purge and records:
            remove_transfers(client, names)
        end_jobs(client, ending, purge)
        if purge and records:
            volumes = {volume["Name"]: volume["ID"] for volume in client.volumes.list()}
            outcomes = client.map(lambda record: erase(client, record, volumes), records)
            failures = [f"{outcome.item['name']}: {outcome.error}" for outcome in outcomes if outcome.error]
            if failures:
                raise BatchFailed("; ".join(failures), **result)
    return result | {"api_calls": client.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
