# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The end of databases: stopped, destroyed (stopped, and erased once the retention time is over), or erased.

Erasing goes from the outside in, the record last, so that an interrupted run is finished by running it again: as long
as the record is there, the database is known and so is its volume.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.database_record import WANTED, read_record, write_record
from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    BatchFailed,
    InvalidInput,
    JobFailed,
    NomadNotFound,
)
from ansible_collections.infinite.databases.plugins.module_utils.nomad import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils.nomad_job_wait import wait_for
from ansible_collections.infinite.databases.plugins.module_utils.nomad_volume import remove
from ansible_collections.infinite.databases.plugins.module_utils.pool import CLAIMS, RECORDS, end_job
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec
from ansible_collections.infinite.databases.plugins.module_utils.transfer_lock import remove_all as remove_transfers

# PostgreSQL's fast shutdown writes a checkpoint; the job gives it 120 s.
STOP_SECONDS = 150.0

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "names": {"type": "list", "elements": "str", "required": True},
    "state": {"type": "str", "choices": ["stopped", "destroyed", "erased"], "default": "destroyed"},
}


def find_record(client: NomadClient, name: str) -> dict[str, Any] | None:
    try:
        return read_record(client, name)
    except NomadNotFound:
        return None


def check_protection(records: Sequence[Mapping[str, Any]]) -> None:
    protected = [record["name"] for record in records if record["spec"].get("protect")]
    if protected:
        several = len(protected) > 1
        raise InvalidInput(
            f"Nothing was changed: {', '.join(protected)} {'are' if several else 'is'} protected; "
            f"provision {'them' if several else 'it'} with protect=false first if {'they' if several else 'it'} may really go"
        )


def erase(client: NomadClient, record: Mapping[str, Any], volumes: Mapping[str, str]) -> None:
    """Everything of a database whose job has ended."""
    name, volume = record["name"], record["volume"]
    owner = client.variables.read(CLAIMS + volume)["Items"]["database"] if volume in volumes else name
    if owner != name:
        raise InvalidInput(
            f"its volume {volume} is claimed by {owner}; nothing of it was erased, see `nomad var get {CLAIMS}{volume}`"
        )
    if volume in volumes:
        remove(client, volume, volumes[volume], client.namespace)
    for path in (CLAIMS + volume, WANTED + name, RECORDS + name):
        client.variables.delete(path)


def end_jobs(client: NomadClient, jobs: Sequence[str], purge: bool) -> None:
    """Stop the jobs and wait until their servers have ended; only then forget them."""
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
    records = [record for record in values(client.map(lambda name: find_record(client, name), params["names"])) if record]
    # A stop is no end: what is protected may rest.
    if purge or mark:
        check_protection(records)
    names = [record["name"] for record in records]
    jobs = {job["ID"]: job for job in client.jobs.get()}
    ending = [name for name in names if name in jobs and (purge or not jobs[name]["Stop"])]
    marking = [record for record in records if mark and not record["destroyed"]]
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
        values(client.map(lambda one: write_record(client, one | {"destroyed": int(time.time())}, one["index"]), marking))
        if purge and records:
            volumes = {volume["Name"]: volume["ID"] for volume in client.volumes.list()}
            outcomes = client.map(lambda record: erase(client, record, volumes), records)
            failures = [f"{outcome.item['name']}: {outcome.error}" for outcome in outcomes if outcome.error]
            if failures:
                raise BatchFailed("; ".join(failures), **result)
    return result | {"api_calls": client.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
