# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Allows one transfer at a time for each database, and removes what an interrupted transfer left.

- ``nomad/jobs/_transfer-<database>`` is the lock. It has the id of the transfer's job. A run renews its lock every few seconds,
  so a lock that is not renewed belongs to an interrupted run.
- ``nomad/jobs/_transfer-<database>_<random>`` is the variable that the job reads. It says how to connect to both ends.

No database's name begins with an underscore, so neither variable can be that of a database.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import end_job
from ansible_collections.infinite.databases.plugins.module_utils._database.record import WANTED
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import wait_for
from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    InfiniteError,
    InvalidInput,
    JobFailed,
    NomadConflict,
    NomadNotFound,
)

JOB_PREFIX = "_transfer-"
LOCKS = WANTED + JOB_PREFIX
POLL_SECONDS = 0.5
# A lock that was not renewed for so long belongs to nobody.
STALE_SECONDS = 10.0
STOP_SECONDS = 30.0


class Lost(InfiniteError):
    """Another run thought that this run was interrupted, and ended its transfer."""


class Lock:
    """The lock of one database."""

    def __init__(self, client: NomadClient, database: str, job: str) -> None:
        self.client, self.database = client, database
        self.path, self.items, self.index = WANTED + JOB_PREFIX + database, {"job": job}, 0

    def take(self) -> str:
        """Take the lock. Return the job of an interrupted run, which has to be ended first; empty if there is none."""
        held = self._held()
        end = time.monotonic() + STALE_SECONDS
        while held and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
            now = self._held()
            if now and now["ModifyIndex"] != held["ModifyIndex"]:
                raise self._refusal()
            held = now
        # The lock names the interrupted run's job until that job is removed.
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
            raise Lost(
                f"{self.database}: another run thought that this run was interrupted, and ended it; see the other run's output"
            ) from None

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
    """Stop a transfer's job, and then remove it and the variable that it reads."""
    end_job(client, job)
    key = (client.namespace, job)
    if wait_for(client, [key], STOP_SECONDS, stopping=True)[key].error:
        raise JobFailed(f"The job {job} did not stop within {STOP_SECONDS:g} s; see `nomad job status -namespace={key[0]} {job}`")
    end_job(client, job, purge=True)
    client.variables.delete(WANTED + job)


def remove_all(client: NomadClient, databases: Collection[str]) -> None:
    """Remove all transfers beside databases that are about to be erased. No secret has to be read for that."""
    for path in (stub["Path"] for stub in client.variables.list(LOCKS)):
        database, _underscore, number = path.removeprefix(LOCKS).partition("_")
        if database in databases and number:
            remove(client, path.removeprefix(WANTED))
        elif database in databases:
            client.variables.delete(path)


@contextmanager
def locked(client: NomadClient, database: str, job: str) -> Iterator[Lock]:
    """Hold the lock of a database for a job. Before the block, end an interrupted job; after it, remove the job."""
    lock = Lock(client, database, job)
    if interrupted := lock.take():
        remove(client, interrupted)
        lock.beat()
    is_ours = True
    try:
        yield lock
    except Lost:
        is_ours = False
        raise
    finally:
        # If the job cannot be removed now, the next run finds it by the lock and removes it.
        with suppress(InfiniteError):
            if is_ours:
                remove(client, job)
                lock.release()


@contextmanager
def interruptible(database: str, stopping: threading.Event | None = None) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM, which Ansible passes on to its child, into an error, so that the transfer is cleaned up.

    ``stopping`` is set for the sake of other threads, for which the main thread waits.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught = (signal.SIGINT, signal.SIGTERM)

    def stop(_number: int, _frame: Any) -> None:
        # Only the first signal counts, because the cleanup follows.
        for one in caught:
            signal.signal(one, signal.SIG_IGN)
        if stopping:
            stopping.set()
        raise JobFailed(f"{database}: interrupted")

    before = [signal.signal(one, stop) for one in caught]
    try:
        yield
    finally:
        for one, handler in zip(caught, before, strict=True):
            signal.signal(one, handler)
