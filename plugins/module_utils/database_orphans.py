# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs that were killed left behind without a record: nobody would ever ask for it by name again.

- ``pool/<volume>``, a claim for a database that never was: given back, once its run must have ended. Should that run go on
  all the same, it finds so and claims another volume (database_claim.py).
- ``nomad/jobs/<name>``: deleted. A record is written before it, so that a run in progress has one.
- ``nomad/jobs/_transfer-<name>``, the lock of a transfer (transfer_lock.py) that nobody writes any more: its job is ended, and
  what that reads, the passwords of two databases, is deleted.
- A job on a volume that is no more, or that another database has: forgotten. Where its volume is there, it may hold data
  whose record somebody deleted by hand: that is told, and let alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils import transfer_lock as transfer
from ansible_collections.infinite.databases.plugins.module_utils.database_keys import NAME
from ansible_collections.infinite.databases.plugins.module_utils.database_record import WANTED, find_record
from ansible_collections.infinite.databases.plugins.module_utils.database_release import owner
from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadConflict, NomadNotFound
from ansible_collections.infinite.databases.plugins.module_utils.nomad import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils.pool import (
    CLAIMS,
    META_VOLUME,
    RECORDS,
    UNUSED_CLAIM_SECONDS,
    Pool,
    end_job,
    read_lists,
    read_state,
)
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "age": {"type": "float", "default": UNUSED_CLAIM_SECONDS},
    "names": {"type": "list", "elements": "str", "default": []},
}


def without_record(paths: Sequence[str], jobs: Sequence[Mapping[str, Any]]) -> tuple[list[str], dict[str, str]]:
    """The databases of which only what the job reads is left, and those of which the job is left, with its volume."""
    known = {path.removeprefix(RECORDS) for path in paths if path.startswith(RECORDS)}
    read = [path.removeprefix(WANTED) for path in paths if path.startswith(WANTED)]
    volumes = {job["ID"]: (job.get("Meta") or {}).get(META_VOLUME) for job in jobs}
    return (
        [name for name in read if name not in known and NAME.fullmatch(name)],
        {name: volume for name, volume in volumes.items() if volume and name not in known},
    )


class Orphans:
    """The lists may be of different moments: each is looked at once more before it goes."""

    def __init__(self, client: NomadClient, volumes: Sequence[Mapping[str, Any]]) -> None:
        self.client, self.volumes = client, {volume["Name"] for volume in volumes}

    def is_credential(self, name: str) -> Mapping[str, Any] | None:
        """The variable, if it is ours: a job that is no database's may have one, too."""
        try:
            variable = self.client.variables.read(WANTED + name)
        except NomadNotFound:
            return None
        return variable if set(variable["Items"]) == {"wanted"} and find_record(self.client, name) is None else None

    def is_lost(self, job: tuple[str, str]) -> bool | None:
        """Whether there is nothing that the job could serve; None if it has a record after all."""
        name, volume = job
        if find_record(self.client, name) is not None:
            return None
        return volume not in self.volumes or owner(self.client, volume) not in (name, None)

    def stale(self, lock: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The lock, if nobody writes it for as long as a transfer that finds it waits."""
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
        """Once the lock is ours, so that no other transfer begins meanwhile."""
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
