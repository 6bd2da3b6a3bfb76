# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Archives the write-ahead log of all databases of a node, and takes their backups, with pgBackRest.

The keys of the repository are in this program's container only. A database and this program meet on the database's volume:

- ``stanza``: the database wants to be backed up, and this is its stanza's name (start.sh writes the file).
- ``data/pg_wal/archive_status/*.ready``: PostgreSQL wants these files archived. Its archive_command waits for pgBackRest's
  note in ``spool`` that a file is in the repository.
- ``run``: the server's socket. pgBackRest talks to the server through it during a backup.
- ``order``: the id and the kind of a backup that somebody asks for now (grant.sh writes the file), and how far the log was written.
- ``repository``: the repository that has a backup of all that the log is based on. The agent writes the file after a full backup;
  start.sh removes it when the database runs without being archived. Without it, a full backup is due.

Whoever has broken into a database's container can write to the volume. So the agent reads only small regular files there, follows
no symbolic link, and backs up no directory that has one.

The state of all databases is in --state, a JSON file, which `list`, `info` and `backups` read through Nomad.
https://pgbackrest.org/command.html
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import re
import stat
import subprocess
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Seconds between two looks at the volumes, and between two writings of the state if nothing has changed.
LOOK = 0.5
STATE_SECONDS = 5.0
# How many databases' files are archived at the same time. Backups are taken one after the other.
ARCHIVERS = 4
# A database gets its first backup after this many seconds, so that no backup competes with a run that makes many databases.
FIRST_SECONDS = 30.0
# Seconds before a command that failed is tried again.
RETRY_SECONDS = 10.0
RETRY_BACKUP_SECONDS = 300.0
SEGMENT = 16 * 1024 * 1024
# The longest file of a volume that is read, and how many finished orders are told.
FILE_BYTES = 200
ORDERS = 20
# A stanza has the name of its volume.
STANZA = re.compile(r"pg[0-9]{1,2}-[0-9a-f]{12}")
ORDER = re.compile(r"([0-9a-f]{12}) (full|diff|incr|wal) ([0-9A-F]+/[0-9A-F]+)")


def read_file(path: Path) -> str:
    """Return the content of a small regular file. Raise OSError for anything else, and ValueError if it is no text."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no regular file")
        return file.read(FILE_BYTES).decode("ascii").strip()


def find_link(directory: Path) -> str:
    """Return the first symbolic link below a directory. Files may vanish meanwhile."""
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_symlink():
                return entry.path
            if entry.is_dir(follow_symlinks=False) and (found := find_link(Path(entry.path))):
                return found
    return ""


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


@dataclass
class Volume:
    """What is known of a volume whose database is backed up. Times are seconds since 1970."""

    path: Path
    stanza: str
    seen: float
    # Whether the stanza exists in the repository, and the backups that the repository has (None before that was read).
    ready: bool = False
    backups: list[dict[str, Any]] | None = None
    archived: float | None = None
    pending: int = 0
    pending_since: float | None = None
    archive_error: str = ""
    backup_error: str = ""
    # The order that is under way, and the last ones that are done: {id: {"error": text, "reach": position in the log}}.
    order: str = ""
    orders: dict[str, dict[str, str]] = field(default_factory=dict)
    archive_again: float = 0.0
    backup_again: float = 0.0
    archiving: Future[None] | None = None
    queued: bool = False
    making: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_running(self) -> bool:
        return (self.path / "data" / "postmaster.pid").exists()

    def done(self, order: str, error: str, reach: str) -> None:
        self.orders[order] = {"error": error, "reach": reach}
        while len(self.orders) > ORDERS:
            del self.orders[next(iter(self.orders))]

    def told(self) -> dict[str, Any]:
        names = ("seen", "backups", "archived", "pending", "pending_since", "archive_error", "backup_error", "orders")
        more = {"pending_bytes": self.pending * SEGMENT, "running": self.is_running}
        return {name: getattr(self, name) for name in names} | more


class Failed(OSError):
    """pgBackRest did not do what it was told; the message is its reason, in one line."""


def reason(text: str, status: int) -> str:
    """Return pgBackRest's own words for a failure. An error is a line `P00  ERROR: [037]: ...`, and indented lines after it."""
    found = re.search(r"ERROR: (\[.*(?:\n +.*)*)", text)
    if not found:
        return " ".join(text.splitlines()[-1:]) or f"pgbackrest ended with status {status}"
    # What a service answers has its headers in it, which tell nothing, and at the end a code, which tells all.
    words = " ".join(found[1].split()).partition(" *** Request Headers")[0]
    code = re.search(r"<Code>(\w+)</Code>", found[1])
    return words + (f" {code[1]}" if code else "")


class Repository:
    """Runs pgBackRest for one volume at a time."""

    def __init__(self, config: Path, seen: Path, name: str) -> None:
        self.config, self.seen, self.name = config, seen, name

    def run(self, volume: Volume, *arguments: str, seconds: float | None = None) -> str:
        command = ["pgbackrest", f"--config={self.config}", f"--stanza={volume.stanza}", *arguments]
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"pgbackrest {arguments[-1]} did not end within {seconds:g} s") from None
        if done.returncode != 0:
            raise Failed(reason(done.stdout + done.stderr, done.returncode))
        return done.stdout

    def create(self, volume: Volume) -> None:
        """Make the stanza, if it does not exist. The server is not asked, because it may be starting."""
        with volume.making:
            if not volume.ready:
                self.run(volume, f"--pg1-path={volume.path}/data", "--no-online", "stanza-create", seconds=120)
                volume.ready = True

    def archive(self, volume: Volume, name: str) -> None:
        """Archive this file, and others that are ready."""
        places = (f"--pg1-path={volume.path}/data", f"--spool-path={volume.path}/spool")
        self.run(volume, *places, "archive-push", f"{volume.path}/data/pg_wal/{name}", seconds=300)

    def back_up(self, volume: Volume, kind: str) -> None:
        """Take a backup, and remove backups past their retention.

        pgBackRest refuses a directory that the server calls by another name. So the volume is where the server has it, for the time
        of its backup.
        """
        if link := find_link(volume.path / "data"):
            raise Failed(f"{link} is a symbolic link, which no server of this platform makes; nothing was backed up")
        for name in ("data", "run"):
            place = self.seen / name
            place.unlink(missing_ok=True)
            place.symlink_to(volume.path / name)
        places = (f"--pg1-path={self.seen}/data", f"--pg1-socket-path={self.seen}/run", "--pg1-user=postgres")
        self.run(volume, *places, f"--type={kind}", "backup")
        if kind == "full":
            mark = volume.path / "repository.new"
            mark.unlink(missing_ok=True)
            with os.fdopen(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(self.name)
            mark.rename(volume.path / "repository")

    def has_base(self, volume: Volume) -> bool:
        """Return whether this repository has a backup from which on nothing is missing in the log."""
        try:
            return read_file(volume.path / "repository") == self.name
        except (OSError, ValueError):
            return False

    def backups(self, volume: Volume) -> list[dict[str, Any]]:
        """Return the backups that the repository has, oldest first."""
        return read_backups(json.loads(self.run(volume, "--output=json", "info", seconds=120)))


def read_backups(told: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the backups in what `pgbackrest info` says of one stanza. Sizes are in bytes."""
    return [
        {
            "label": one["label"],
            "kind": one["type"],
            "start": one["timestamp"]["start"],
            "stop": one["timestamp"]["stop"],
            "size": one["info"]["size"],
            "repository_size": one["info"]["repository"].get("delta", 0),
        }
        for stanza in told
        for one in stanza.get("backup", [])
        if not one.get("error")
    ]


def say(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} {text}", flush=True)


class Agent:
    def __init__(self, volumes: Path, state: Path, repository: Repository, schedule: Schedule) -> None:
        self.directory, self.state, self.repository, self.schedule = volumes, state, repository, schedule
        self.volumes: dict[str, Volume] = {}
        self.archivers = ThreadPoolExecutor(ARCHIVERS)
        self.waiting: queue.Queue[tuple[Volume, str, str, str]] = queue.Queue()
        self.written = ("", 0.0)

    def find(self) -> None:
        """Look which volumes have a database that is to be backed up."""
        found: dict[str, Volume] = {}
        # A volume that is known already comes first, if another one has its stanza's name.
        for name in sorted(os.listdir(self.directory), key=lambda one: (one not in self.volumes, one)):
            try:
                stanza = read_file(self.directory / name / "stanza")
            except (OSError, ValueError):
                continue
            if STANZA.fullmatch(stanza) and stanza not in {one.stanza for one in found.values()}:
                known = self.volumes.get(name)
                found[name] = known if known and known.stanza == stanza else Volume(self.directory / name, stanza, time.time())
        self.volumes = found

    def look(self, volume: Volume) -> None:
        status = volume.path / "data" / "pg_wal" / "archive_status"
        notes = volume.path / "spool" / "archive" / volume.stanza / "out"
        ready = {}
        with suppress(FileNotFoundError), os.scandir(status) as entries:
            for entry in entries:
                if entry.name.endswith(".ready") and not (notes / f"{entry.name.removesuffix('.ready')}.ok").exists():
                    with suppress(FileNotFoundError):
                        ready[entry.name.removesuffix(".ready")] = entry.stat(follow_symlinks=False).st_mtime
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
        path = volume.path / "order"
        try:
            found = ORDER.fullmatch(read_file(path))
        except (OSError, ValueError):
            return
        if not found or found[1] in volume.orders:
            return
        order, kind, reach = found.groups()
        if kind == "wal":
            # grant.sh has begun a new file of the log before it wrote the order, and the repository has all files before it.
            if not volume.pending:
                volume.done(order, "", reach)
        elif order != volume.order:
            volume.order = order
            ordered = path.stat(follow_symlinks=False).st_mtime
            # The agent may have been restarted since it took this backup.
            if any(one["start"] >= ordered for one in backups):
                volume.done(order, "", reach)
            else:
                self.enqueue(volume, kind if self.repository.has_base(volume) else "full", order, reach)

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

    def write(self) -> None:
        text = json.dumps({one.stanza: one.told() for one in self.volumes.values()}, sort_keys=True)
        if text != self.written[0] or time.monotonic() - self.written[1] >= STATE_SECONDS:
            new = self.state.with_suffix(".new")
            schedule = {"full": self.schedule.full, "differential": self.schedule.differential}
            new.write_text(json.dumps({"time": time.time(), "schedule": schedule, "stanzas": json.loads(text)}))
            new.replace(self.state)
            self.written = (text, time.monotonic())

    def run(self) -> None:
        threading.Thread(target=self.work, daemon=True).start()
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
