# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Removes what killed runs left behind without a record. Nobody would ask for it by name again.

- ``pool/<volume>`` is a claim of a volume. If its database was never made, the claim is given back, after a time in which its run
  must have ended. If that run goes on all the same, it notices and claims another volume (claim.py).
- ``nomad/jobs/<name>`` is the variable that a database's job reads. Without a record it is deleted. A run in progress writes the
  record first, so its variable is not deleted.
- ``nomad/jobs/_transfer-<name>`` is the lock of a transfer (_transfer/lock.py). If nobody renews it any more, the transfer's job is
  ended, and the job's variable with the passwords of two databases is deleted.
- A job without a record is removed if its volume is gone or belongs to another database. If its volume exists, somebody may have
  deleted the record by hand, and the volume may hold data. Such a job is reported and skipped.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.checks import NAME
from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import (
    CLAIMS,
    META_VOLUME,
    RECORDS,
    UNUSED_CLAIM_SECONDS,
    Pool,
    end_job,
    read_lists,
    read_state,
)
from ansible_collections.infinite.databases.plugins.module_utils._database.record import WANTED, find_record
from ansible_collections.infinite.databases.plugins.module_utils._database.release import owner
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils._transfer import lock as transfer
from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadConflict, NomadNotFound
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "age": {"type": "float", "default": UNUSED_CLAIM_SECONDS},
    "names": {"type": "list", "elements": "str", "default": []},
}


def without_record(paths: Sequence[str], jobs: Sequence[Mapping[str, Any]]) -> tuple[list[str], dict[str, str]]:
    """Return the names without a record that have a variable for the job, and the names without a record that have a job.

    Each job is returned with its volume.
    """
    known = {path.removeprefix(RECORDS) for path in paths if path.startswith(RECORDS)}
    read = [path.removeprefix(WANTED) for path in paths if path.startswith(WANTED)]
    volumes = {job["ID"]: (job.get("Meta") or {}).get(META_VOLUME) for job in jobs}
    return (
        [name for name in read if name not in known and NAME.fullmatch(name)],
        {name: volume for name, volume in volumes.items() if volume and name not in known},
    )


class Orphans:
    """Decides what is left behind. The lists may be of different moments, so each thing is checked again before it is removed."""

    def __init__(self, client: NomadClient, volumes: Sequence[Mapping[str, Any]]) -> None:
        self.client, self.volumes = client, {volume["Name"] for volume in volumes}

    def is_credential(self, name: str) -> Mapping[str, Any] | None:
        """Return the variable, if it is of a database's job. A job of somebody else may have a variable, too."""
        try:
            variable = self.client.variables.read(WANTED + name)
        except NomadNotFound:
            return None
        return variable if set(variable["Items"]) == {"wanted"} and find_record(self.client, name) is None else None

    def is_lost(self, job: tuple[str, str]) -> bool | None:
        """Return whether the job has no volume of its own; None if the job has a record after all."""
        name, volume = job
        if find_record(self.client, name) is not None:
            return None
        return volume not in self.volumes or owner(self.client, volume) not in (name, None)

    def stale(self, lock: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the lock, if nobody renews it within the time that a new transfer would wait for it."""
        end = time.monotonic() + transfer.STALE_SECONDS
        while True:
            try:
                variable = self.client.variables.read(lock["Path"])
            except NomadNotFound:
                return None
            if variable["ModifyIndex"] != lock["ModifyIndex"]:
                return None
            if time.monotonic() > end:
                return variable
            time.sleep(transfer.POLL_SECONDS)

    def end_transfer(self, lock: Mapping[str, Any]) -> None:
        """Take the lock over, so that no other transfer begins meanwhile, and then end the transfer."""
        with suppress(NomadConflict):
            ours = self.client.variables.write(lock["Path"], lock["Items"], cas=lock["ModifyIndex"])["ModifyIndex"]
            if lock["Items"].get("job", "").startswith(transfer.JOB_PREFIX):
                transfer.remove(self.client, lock["Items"]["job"])
            self.client.variables.delete(lock["Path"], cas=ours)

    def forget_credential(self, variable: Mapping[str, Any]) -> None:
        with suppress(NomadConflict):
            self.client.variables.delete(variable["Path"], cas=variable["ModifyIndex"])


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    volumes, jobs, variables = read_lists(client)
    orphans, pool = Orphans(client, volumes), Pool(client, {}, "")
    credentials, left = without_record([stub["Path"] for stub in variables], jobs)
    found = [one for one in values(client.map(orphans.is_credential, credentials)) if one]
    lost = dict(zip(left, values(client.map(orphans.is_lost, left.items())), strict=True))
    locks = [stub for stub in variables if NAME.fullmatch(stub["Path"].removeprefix(transfer.LOCKS))]
    transfers = [one for one in values(client.map(orphans.stale, locks)) if one]
    claims = pool.unused_claims(read_state(volumes, jobs, variables), time.time(), params["age"])
    gone = [name for name, nothing in lost.items() if nothing]
    if not check_mode:
        values(client.map(lambda name: end_job(client, name, purge=True), gone))
        values(client.map(orphans.forget_credential, found))
        values(client.map(orphans.end_transfer, transfers))
        values(client.map(pool.give_back, claims))
    known = {stub["Path"].removeprefix(RECORDS) for stub in variables}
    return {
        "changed": bool(gone or found or transfers or claims),
        "jobs": gone,
        "credentials": [one["Path"].removeprefix(WANTED) for one in found],
        "transfers": [one["Path"].removeprefix(transfer.LOCKS) for one in transfers],
        "volumes": [one["Path"].removeprefix(CLAIMS) for one in claims],
        "unexplained": [name for name, nothing in lost.items() if nothing is False],
        "unknown": [name for name in params["names"] if name not in known],
        "api_calls": client.api_calls,
    }


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
