# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One transfer for each database at a time, and nothing left of one that was interrupted.

- ``nomad/jobs/_transfer-<database>`` is the lock: which job it is. It is written again every few seconds, so that a lock which
  nobody writes any more is known for that of a run that was interrupted.
- ``nomad/jobs/_transfer-<database>_<random>`` is what that job reads: how to connect to both ends.

An underscore is in no database's name, so that neither is ever a database's.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.database_record import WANTED
from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    InfiniteError,
    InvalidInput,
    JobFailed,
    NomadConflict,
    NomadNotFound,
)
from ansible_collections.infinite.databases.plugins.module_utils.nomad import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.nomad_job_wait import wait_for
from ansible_collections.infinite.databases.plugins.module_utils.pool import end_job

JOB_PREFIX = "_transfer-"
LOCKS = WANTED + JOB_PREFIX
POLL_SECONDS = 0.5
# A lock that was not written for so long is nobody's.
STALE_SECONDS = 10.0
STOP_SECONDS = 30.0


class Lost(InfiniteError):
    """Another run took this one for interrupted, and ended it."""


class Lock:
    """One transfer for each database at a time."""

    def __init__(self, client: NomadClient, database: str, job: str) -> None:
        self.client, self.database = client, database
        self.path, self.items, self.index = WANTED + JOB_PREFIX + database, {"job": job}, 0

    def take(self) -> str:
        """The job of an interrupted run, which is to be ended first; empty if there is none."""
        held = self._held()
        end = time.monotonic() + STALE_SECONDS
        while held and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
            now = self._held()
            if now and now["ModifyIndex"] != held["ModifyIndex"]:
                raise self._refusal()
            held = now
        # The lock names the former job until there is nothing left of it.
        own, self.items = self.items, held["Items"] if held else self.items
        try:
            self._write(held["ModifyIndex"] if held else 0)
        except NomadConflict:
            raise self._refusal() from None
        self.items = own
        return str(held["Items"]["job"]) if held else ""

    def beat(self) -> None:
        try:
            self._write(self.index)
        except NomadConflict:
            raise Lost(f"{self.database}: another run took this one for interrupted; see what that one says") from None

    def release(self) -> None:
        with suppress(NomadConflict):
            self.client.variables.delete(self.path, cas=self.index)

    def _held(self) -> dict[str, Any] | None:
        try:
            return self.client.variables.read(self.path)
        except NomadNotFound:
            return None

    def _write(self, index: int) -> None:
        self.index = int(self.client.variables.write(self.path, self.items, cas=index)["ModifyIndex"])

    def _refusal(self) -> InvalidInput:
        return InvalidInput(f"{self.database}: a transfer of it is under way, and nothing was changed; wait for its end")


def remove(client: NomadClient, job: str) -> None:
    """A job, once it has stopped, and what it reads."""
    end_job(client, job)
    key = (client.namespace, job)
    if wait_for(client, [key], STOP_SECONDS, stopping=True)[key].error:
        raise JobFailed(f"The job {job} did not stop within {STOP_SECONDS:g} s; see `nomad job status -namespace={key[0]} {job}`")
    end_job(client, job, purge=True)
    client.variables.delete(WANTED + job)


def remove_all(client: NomadClient, databases: Collection[str]) -> None:
    """What there is of transfers beside databases that are about to be erased. Whoever does that need not read any secret."""
    for path in (stub["Path"] for stub in client.variables.list(LOCKS)):
        database, _underscore, number = path.removeprefix(LOCKS).partition("_")
        if database in databases and number:
            remove(client, path.removeprefix(WANTED))
        elif database in databases:
            client.variables.delete(path)


@contextmanager
def interruptible(database: str) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM, which Ansible passes on to its child, end what was begun."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught = (signal.SIGINT, signal.SIGTERM)

    def stop(_number: int, _frame: Any) -> None:
        # Once: what follows is the end.
        for one in caught:
            signal.signal(one, signal.SIG_IGN)
        raise JobFailed(f"{database}: interrupted")

    before = [signal.signal(one, stop) for one in caught]
    try:
        yield
    finally:
        for one, handler in zip(caught, before, strict=True):
            signal.signal(one, handler)
