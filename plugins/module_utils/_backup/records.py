# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the copies of records that the repository has. The backup agents write them (roles/backup/files/records.py).

A copy outlives its database, and Nomad: ``{"name", "items", "created", "erased", "written"}``. ``items`` is the Nomad variable of
the record, with the passwords. The last three are seconds since 1970; ``erased`` is 0 if the database was not erased.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from ansible_collections.infinite.databases.plugins.module_utils._backup.state import JOB
from ansible_collections.infinite.databases.plugins.module_utils._database.record import WANTED, read_items
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.hcl import parse_job
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import explain, newest_allocation, wait_for
from ansible_collections.infinite.databases.plugins.module_utils._transfer.lock import JOB_PREFIX, locked
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput, JobFailed, NomadError, NomadNotFound

# No database can have this name.
LOCK = "_records"
FILE = "alloc/data/records"
POLL_SECONDS = 0.5
WAIT_SECONDS = 3600.0


def read_repository(client: NomadClient) -> dict[str, str]:
    """Return pgBackRest's configuration, with the keys, and the CA of the repository's service."""
    try:
        return dict(client.variables.read(WANTED + JOB)["Items"])
    except NomadNotFound:
        raise InvalidInput("This environment has no repository for backups; see docs/backup.md") from None


def is_directory(repository: Mapping[str, str]) -> bool:
    return "repo1-type=posix" in repository["pgbackrest"]


def newest(copies: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the record of each name's newest database. A name may have had several databases, one after the other."""
    return {copy["name"]: read_copy(copy) for copy in sorted(copies, key=lambda copy: float(copy["created"]))}


def find_saved(copies: Sequence[Mapping[str, Any]], source: str) -> dict[str, Any] | None:
    """Return the newest record of a name, or the record of the database that had this volume."""
    by_volume = (read_copy(copy) for copy in copies if copy["items"]["volume"] == source)
    return newest(copies).get(source) or next(by_volume, None)


def read_copy(copy: Mapping[str, Any]) -> dict[str, Any]:
    return read_items(copy["name"], copy["items"]) | {"created_at": int(copy["created"]), "erased": int(copy["erased"])}


class Saved(NamedTuple):
    """All copies that the repository has, and a line about each stanza that has none that can be read."""

    copies: list[dict[str, Any]]
    problems: list[str]


def read_lines(text: str) -> Saved | None:
    """Return what the job's file says; None if the file is not complete. Its lines are STANZA STATUS COPY, and `end`."""
    *lines, end = text.splitlines() or [""]
    if end != "end":
        return None
    saved = Saved([], [])
    for line in lines:
        stanza, status, said = line.split(" ", 2)
        try:
            if status == "0":
                saved.copies.append(json.loads(said))
            elif status == "1":
                saved.problems.append(f"{stanza}: the repository has backups, but no record of whose they are")
            else:
                saved.problems.append(f"{stanza}: its record cannot be read: {said}")
        except ValueError as error:
            saved.problems.append(f"{stanza}: its record cannot be read: {error}")
    return saved


def read_saved(client: NomadClient, records_job: str, images: Mapping[str, str]) -> Saved:
    """Have a job read the copies, because only jobs reach the repository."""
    repository = read_repository(client)
    job = f"{JOB_PREFIX}{LOCK}_{secrets.token_hex(4)}"
    image = images[max(images, key=int)]
    own = {"id": job, "namespace": client.namespace, "image": image, "directory": is_directory(repository)}
    specification = parse_job(client, records_job, own)
    with locked(client, LOCK, job) as lock:
        client.variables.write(WANTED + job, repository)
        client.jobs.put(json={"Job": specification})
        key, late = (client.namespace, job), f"it was not ready within {POLL_SECONDS:g} s"
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            lock.beat()
            verdict = wait_for(client, [key], POLL_SECONDS)[key]
            alloc = newest_allocation(client, job, client.namespace)
            if alloc and alloc["ClientStatus"] == "running":
                # Until the job has written the file, there is none.
                with suppress(NomadError):
                    said = client.endpoint("client/fs/cat").send("get", alloc["ID"], path=FILE, namespace=client.namespace).text
                    if saved := read_lines(said):
                        return saved
            if verdict.error != late or time.monotonic() > deadline:
                verdict.error = verdict.error.replace(late, f"it was not done within {WAIT_SECONDS:g} s")
                why = explain(client, key, verdict)["reason"]
                raise JobFailed(f"The databases' records could not be read from the backups' repository: {why}")
