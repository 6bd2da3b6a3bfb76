# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Archives the write-ahead log of all databases of a node, and takes their backups, with pgBackRest.

The keys of the repository are in this program's container only. A database and this program meet on the database's volume, and
volume.py has what is there. repository.py has pgBackRest's commands.

The state of all databases is in --state, a JSON file, which `list`, `info` and `backups` read through Nomad.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from records import Records
from repository import Repository
from volume import Volume, read_stanza

# Seconds between two looks at the volumes, and between two writings of the state if nothing has changed.
LOOK = 0.5
STATE_SECONDS = 5.0
# How many databases' files are archived at the same time. Backups are taken one after the other.
ARCHIVERS = 4
# A database gets its first backup after this many seconds, so that no backup competes with a run that makes many databases.
FIRST_SECONDS = 30.0
# Seconds between two looks at the databases' records.
RECORDS_SECONDS = 5.0
# Seconds before a command that failed is tried again.
RETRY_SECONDS = 10.0
RETRY_BACKUP_SECONDS = 300.0


@dataclass(frozen=True)
class Schedule:
    """Seconds from one full backup to the next, and from one differential backup to the next."""

    full: float
    differential: float

    def due(self, stanza: str, backups: Sequence[Mapping[str, Any]], now: float) -> str:
        """Return the kind of backup that is due, or nothing.

        The moment within each period is derived from the stanza's name, so that the backups of many databases are spread.
        """
        if not backups:
            return "full"
        last_full = max((one["start"] for one in backups if one["kind"] == "full"), default=0.0)
        last = max(one["start"] for one in backups)
        if last_full < last_slot(stanza, self.full, now):
            return "full"
        return "diff" if last < last_slot(stanza, self.differential, now) else ""


def last_slot(stanza: str, period: float, now: float) -> float:
    """Return the last moment before now at which this stanza's period begins."""
    offset = zlib.crc32(stanza.encode()) % max(1, int(period))
    return now - (now - offset) % period


def say(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} {text}", flush=True)


class Agent:
    def __init__(self, volumes: Path, state: Path, repository: Repository, schedule: Schedule) -> None:
        self.directory, self.state, self.repository, self.schedule = volumes, state, repository, schedule
        self.volumes: dict[str, Volume] = {}
        self.archivers = ThreadPoolExecutor(ARCHIVERS)
        self.waiting: queue.Queue[tuple[Volume, str, str, str]] = queue.Queue()
        self.written: tuple[dict[str, Any], float] = ({}, 0.0)

    def find(self) -> None:
        """Look which volumes have a database that is to be backed up."""
        found: dict[str, Volume] = {}
        # A volume that is known already comes first, if another one has its stanza's name.
        for name in sorted(os.listdir(self.directory), key=lambda one: (one not in self.volumes, one)):
            stanza = read_stanza(self.directory / name)
            if stanza and stanza not in {one.stanza for one in found.values()}:
                known = self.volumes.get(name)
                found[name] = known if known and known.stanza == stanza else Volume(self.directory / name, stanza, time.time())
        self.volumes = found

    def look(self, volume: Volume) -> None:
        ready = volume.ready_files()
        volume.pending, volume.pending_since = len(ready), min(ready.values(), default=None)
        now = time.time()
        is_archiving = volume.archiving is not None and not volume.archiving.done()
        if ready and not is_archiving and now >= volume.archive_again:
            volume.archiving = self.archivers.submit(self.archive, volume, min(ready))
        if volume.backups is not None:
            self.look_at_order(volume, volume.backups)
        if not volume.queued and now >= volume.backup_again:
            kind = self.due(volume, now)
            if kind is not None:
                self.enqueue(volume, kind)

    def due(self, volume: Volume, now: float) -> str | None:
        """Return the kind of backup that is due; "" if the repository is to be read, None if there is nothing to do."""
        if volume.backups is None:
            return ""
        if now - volume.seen < FIRST_SECONDS or not volume.is_running:
            return None
        return "full" if not self.repository.has_base(volume) else self.schedule.due(volume.stanza, volume.backups, now) or None

    def look_at_order(self, volume: Volume, backups: Sequence[Mapping[str, Any]]) -> None:
        order = volume.read_order()
        if order is None or order.id in volume.orders:
            return
        if order.kind == "wal":
            # grant.sh has begun a new file of the log before it wrote the order, and the repository has all files before it.
            if not volume.pending:
                volume.done(order.id, "", order.reach)
        elif order.id != volume.order:
            volume.order = order.id
            # The agent may have been restarted since it took this backup.
            if any(one["start"] >= order.time for one in backups):
                volume.done(order.id, "", order.reach)
            else:
                kind = order.kind if self.repository.has_base(volume) else "full"
                self.enqueue(volume, kind, order.id, order.reach)

    def enqueue(self, volume: Volume, kind: str, order: str = "", reach: str = "") -> None:
        volume.queued = True
        self.waiting.put((volume, kind, order, reach))

    def archive(self, volume: Volume, name: str) -> None:
        try:
            self.repository.create(volume)
            self.repository.archive(volume, name)
        except OSError as error:
            if str(error) != volume.archive_error:
                say(f"{volume.stanza}: archiving failed, and will be tried again: {error}")
            volume.archive_error, volume.archive_again = str(error), time.time() + RETRY_SECONDS
            return
        if volume.archive_error:
            say(f"{volume.stanza}: archiving works again")
        volume.archive_error, volume.archived = "", time.time()

    def back_up(self, volume: Volume, kind: str, order: str, reach: str) -> None:
        """Take a backup (`kind` is full, diff or incr), or only see what the repository has."""
        error = ""
        try:
            self.repository.create(volume)
            if kind:
                began = time.time()
                self.repository.back_up(volume, kind)
                say(f"{volume.stanza}: {kind} backup took {time.time() - began:.0f} s")
            volume.backups = self.repository.backups(volume)
        except (OSError, ValueError, LookupError, TypeError) as failure:
            error = str(failure) or repr(failure)
            if error != volume.backup_error or order:
                say(f"{volume.stanza}: {f'{kind} backup' if kind else 'reading the repository'} failed: {error}")
        volume.backup_error = error
        volume.backup_again = time.time() + (0 if not error else RETRY_BACKUP_SECONDS if kind else RETRY_SECONDS)
        if order:
            volume.done(order, error, reach)
        volume.queued = False

    def work(self) -> None:
        while True:
            self.back_up(*self.waiting.get())

    def copy_records(self) -> None:
        records, last = Records(self.repository), ""
        while True:
            try:
                records.copy(self.volumes)
                problem = ""
            except (OSError, ValueError) as error:
                problem = f"the databases' records could not be copied: {error}"
            if problem != last:
                say(problem or "the databases' records are copied again")
            last = problem
            time.sleep(RECORDS_SECONDS)

    def write(self) -> None:
        stanzas = {one.stanza: one.told() for one in self.volumes.values()}
        if stanzas != self.written[0] or time.monotonic() - self.written[1] >= STATE_SECONDS:
            new = self.state.with_suffix(".new")
            schedule = {"full": self.schedule.full, "differential": self.schedule.differential}
            new.write_text(json.dumps({"time": time.time(), "schedule": schedule, "stanzas": stanzas}))
            new.replace(self.state)
            self.written = (stanzas, time.monotonic())

    def run(self) -> None:
        for task in (self.work, self.copy_records):
            threading.Thread(target=task, daemon=True).start()
        last = ""
        while True:
            if (problem := self.look_at_all()) != last:
                say(problem or "all is well again")
            last = problem
            time.sleep(LOOK)

    def look_at_all(self) -> str:
        """Look at all volumes once, and return what is wrong. One volume must not keep the others from being archived."""
        problem = ""
        try:
            self.find()
            for volume in self.volumes.values():
                try:
                    self.look(volume)
                except (OSError, ValueError) as error:
                    problem = volume.archive_error = str(error)
            self.write()
        except OSError as error:
            problem = str(error)
        return problem


def main() -> None:
    parser = argparse.ArgumentParser(description="Archives and backs up the databases of this node.")
    for name in ("volumes", "state", "config", "seen"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--repository", required=True, help="the repository's name, which changes with its place")
    for name in ("full", "differential"):
        parser.add_argument(f"--{name}", type=float, required=True, metavar="SECONDS")
    given = parser.parse_args()
    Agent(
        given.volumes, given.state, Repository(given.config, given.seen, given.repository), Schedule(given.full, given.differential)
    ).run()


if __name__ == "__main__":
    main()
