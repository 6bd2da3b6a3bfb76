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
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from log import say
from records import Records
from repository import Repository
from schedule import Schedule
from tester import Tester
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


class Agent:
    def __init__(self, volumes: Path, state: Path, repository: Repository, schedule: Schedule, tester: Tester | None) -> None:
        self.directory, self.state, self.repository, self.schedule, self.tester = volumes, state, repository, schedule, tester
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
        volume.continuous = self.repository.has_base(volume)
        ready = volume.ready_files()
        volume.pending, volume.pending_since = len(ready), min(ready.values(), default=None)
        now = time.time()
        is_archiving = volume.archiving is not None and not volume.archiving.done()
        if ready and not is_archiving and now >= volume.archive_again:
            volume.archiving = self.archivers.submit(self.archive, volume, min(ready))
        if self.tester:
            self.tester.look(volume, now)
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
        return "full" if not volume.continuous else self.schedule.due(volume.stanza, volume.backups, now) or None

    def look_at_order(self, volume: Volume, backups: Sequence[Mapping[str, Any]]) -> None:
        order = volume.read_order()
        if order is None or order.id in volume.orders:
            return
        if order.kind == "wal":
            # grant.sh has begun a new file of the log before it wrote the order, and the repository has all files before it.
            if not volume.pending:
                volume.done(order.id, "", order.reach)
        elif order.id not in volume.accepted:
            volume.accept(order.id)
            if order.kind == "test":
                if self.tester:
                    self.tester.order(volume, order)
                else:
                    volume.done(order.id, "there are no test restores here; set backup_test_every, and run site.yml", order.reach)
            # The agent may have been restarted since it took this backup.
            elif any(one["start"] >= order.time for one in backups):
                volume.done(order.id, "", order.reach)
            else:
                kind = order.kind if volume.continuous else "full"
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
            except (OSError, ValueError, LookupError, TypeError) as error:
                problem = f"the databases' records could not be copied: {error}"
            if problem != last:
                say(problem or "the databases' records are copied again")
            last = problem
            time.sleep(RECORDS_SECONDS)

    def write(self) -> None:
        tests = self.tester.results if self.tester else {}
        stanzas = {one.stanza: one.told() | {"test": tests.get(one.stanza)} for one in self.volumes.values()}
        if stanzas != self.written[0] or time.monotonic() - self.written[1] >= STATE_SECONDS:
            new = self.state.with_suffix(".new")
            new.write_text(json.dumps({"time": time.time(), "schedule": asdict(self.schedule), "stanzas": stanzas}))
            new.replace(self.state)
            self.written = (stanzas, time.monotonic())

    def run(self) -> None:
        for task in (self.work, self.copy_records, *([self.tester.run] if self.tester else [])):
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
    for name in ("full", "differential", "test"):
        parser.add_argument(f"--{name}", type=float, required=True, metavar="SECONDS")
    parser.add_argument("--restores", type=Path, required=True, help="where databases are restored to test it")
    parser.add_argument("--disk", type=Path, action="append", default=[], help="a place on a disk that a restored database fills")
    given = parser.parse_args()
    repository = Repository(given.config, given.seen, given.repository)
    schedule = Schedule(given.full, given.differential, given.test)
    tester: Tester | None = Tester(given.restores, given.disk, repository, schedule)
    if given.test <= 0:
        # What a killed agent has left, before tests were switched off.
        tester.clean()
        tester = None
    Agent(given.volumes, given.state, repository, schedule, tester).run()


if __name__ == "__main__":
    main()
