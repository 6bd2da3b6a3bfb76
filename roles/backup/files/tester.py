# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tests whether databases can be restored: restores the latest state of each into a directory that is erased afterwards.

The agent restores the backup, because it has the repository's keys. A server then replays the log and looks at the data. The server
is in another container (tester.sh): whoever has broken into a database decides what its data makes a server do. That container has
no keys, no network and no rights, and of all volumes only the directory ``work``. There the agent and the server meet:

- ``VERSION-ID/``: a restored database, which the agent has moved here. From then on, the agent writes nothing below this directory.
- ``VERSION-ID.begun``: the server's container works on it.
- ``VERSION-ID.wanted``: the server wants the file of the log that is named here. The agent puts it beside, or ``NAME.none``.
- ``VERSION-ID.result``: the end, `done POSITION RELATIONS MOMENT` or `failed REASON`.

What the server's container writes is read as a volume's files are: only small regular files, and no symbolic link is followed.
"""

from __future__ import annotations

import json
import queue
import re
import secrets
import shutil
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from log import say
from repository import Failed, Repository
from schedule import Schedule
from volume import SEGMENT, Order, Volume, read_file

# The share of a disk that stays free: where the disk guard begins to warn.
KEEP_FREE = 0.15
# Seconds before a test that failed is made again, until a container must have begun, and until the server must be done.
RETRY_SECONDS = 6 * 3600.0
BEGIN_SECONDS = 120.0
LIMIT_SECONDS = 12 * 3600.0
# Seconds between two looks at what the server wants, and between two looks for leftovers.
LOOK = 0.05
CLEAN_SECONDS = 60.0
CLEAN_TRIES = 10
RESULT_BYTES = 1000
WANTED = re.compile(r"[0-9A-F]{24}|[0-9A-F]{8}\.history")
DONE = re.compile(r"done ([0-9A-F]+/[0-9A-F]+) (\d+) (.+)")


def position(text: str) -> int:
    """Return a position in the log, such as 0/1A2B3C, as a number."""
    high, _slash, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def begin_of(segment: str) -> int:
    """Return the position at which a file of the log begins."""
    return (int(segment[8:16], 16) << 32) + int(segment[16:24], 16) * SEGMENT


def read(path: Path) -> str:
    """Return what the server's container has written into a file; nothing if there is none."""
    try:
        return read_file(path, RESULT_BYTES)
    except FileNotFoundError:
        return ""


def nothing_since(now: float) -> dict[str, Any]:
    """Return what is known of the tests of a database that is seen for the first time. Times are seconds since 1970.

    ``tried`` is when the last test began, and ``error`` why that test failed. The others are of the last test that succeeded: when
    it was done, how many seconds it took, how many relations the restored database had, and the time of the last transaction that
    was replayed.
    """
    return {"since": now, "tried": 0.0, "error": "", "time": None, "seconds": 0.0, "relations": 0, "until": ""}


class Tester:
    """Tests one database after the other, in a thread of its own."""

    def __init__(self, directory: Path, disks: Sequence[Path], repository: Repository, schedule: Schedule) -> None:
        self.directory, self.disks, self.repository, self.schedule = directory, disks, repository, schedule
        self.new, self.work, self.file = directory / "new", directory / "work", directory / "results.json"
        self.waiting: queue.Queue[tuple[Volume, Order | None]] = queue.Queue()
        self.queued: set[str] = set()
        # What is known of each stanza's tests. The file outlives the agent, but not the node. If the file cannot be read, the agent
        # archives all the same.
        self.results: dict[str, dict[str, Any]] = {}
        with suppress(OSError, ValueError):
            self.results = {name: nothing_since(0.0) | one for name, one in json.loads(self.file.read_text()).items()}
        self.writing = threading.Lock()

    def look(self, volume: Volume, now: float) -> None:
        """Begin a test if one is due."""
        known = self.results.get(volume.stanza)
        if known is None:
            known = nothing_since(now)
            self.write(volume.stanza, known)
        if not volume.backups or volume.stanza in self.queued:
            return
        is_again = bool(known["error"]) and now - known["tried"] > RETRY_SECONDS
        if is_again or self.schedule.is_test_due(volume.stanza, max(known["since"], known["tried"]), now):
            self.queued.add(volume.stanza)
            self.waiting.put((volume, None))

    def order(self, volume: Volume, order: Order) -> None:
        """Begin a test that somebody asks for. The agent may have been restarted since it made this test."""
        known = self.results.get(volume.stanza) or nothing_since(0.0)
        if known["tried"] >= order.time:
            volume.done(order.id, known["error"], order.reach)
        else:
            self.waiting.put((volume, order))

    def run(self) -> None:
        # What a killed agent has left.
        self.clean()
        while True:
            try:
                self.test(*self.waiting.get(timeout=CLEAN_SECONDS))
            except queue.Empty:
                self.clean()

    def test(self, volume: Volume, order: Order | None) -> None:
        began = time.time()
        news: dict[str, Any] = {"tried": began, "error": ""}
        self.clean()
        try:
            news |= self.restore(volume, order.reach if order else "0/0")
            news |= {"time": time.time(), "seconds": round(time.time() - began, 1)}
            say(f"{volume.stanza}: test restore took {news['seconds']:.0f} s")
        except (OSError, ValueError, LookupError, TypeError) as failure:
            news["error"] = str(failure) or repr(failure)
            say(f"{volume.stanza}: test restore failed: {news['error']}")
        self.clean()
        self.write(volume.stanza, (self.results.get(volume.stanza) or nothing_since(began)) | news)
        self.queued.discard(volume.stanza)
        if order:
            volume.done(order.id, news["error"], order.reach)

    def write(self, stanza: str, result: dict[str, Any]) -> None:
        new, oldest = self.file.with_suffix(".new"), time.time() - 4 * self.schedule.test
        with self.writing:
            # Databases that were purged are forgotten. The others are tested more often.
            kept = {name: one for name, one in self.results.items() if max(one["since"], one["tried"]) > oldest}
            self.results = kept | {stanza: result}
            try:
                new.write_text(json.dumps(self.results))
                new.replace(self.file)
            except OSError as error:
                say(f"{stanza}: the result of its test restore cannot be kept: {error}")

    def restore(self, volume: Volume, reach: str) -> dict[str, Any]:
        """Restore the latest state, and return the number of relations and the time of the last transaction."""
        if not volume.backups:
            raise Failed("there is no backup yet")
        self.check_room(volume.backups[-1]["size"])
        if volume.is_running:
            # The server writes a mark into its log. So there is always something to replay, and it is a moment old.
            self.repository.check(volume)
        last = self.repository.last_archived(volume)
        control = self.directory / "control"
        (control / "global").mkdir(parents=True)
        (self.new / "data").mkdir(parents=True, mode=0o700)
        self.repository.restore(volume, self.new / "data")
        # pgBackRest reads these files whenever it gets a file of the log, and the server's container can change its own.
        for file in ("backup_label", "global/pg_control"):
            shutil.copyfile(self.new / "data" / file, control / file)
        version = volume.stanza[2:].partition("-")[0]
        test = self.work / f"{version}-{secrets.token_hex(4)}"
        self.new.rename(test)
        said = self.serve(volume, control, test)
        found = DONE.fullmatch(said)
        if not found:
            raise Failed(said.removeprefix("failed "))
        replayed, relations, until = found.groups()
        if position(replayed) < position(reach) or position(replayed) <= begin_of(last):
            raise Failed(f"the log was replayed only up to {replayed}; after that, files up to {last} are missing or damaged")
        return {"relations": int(relations), "until": until}

    def serve(self, volume: Volume, control: Path, test: Path) -> str:
        """Give the server the files of the log that it wants, and return what it says at its end."""
        begin, ready = time.monotonic(), self.directory / "ready"
        wanted_file = test.with_name(f"{test.name}.wanted")
        while not (said := read(test.with_name(f"{test.name}.result"))):
            if wanted := read(wanted_file):
                wanted_file.unlink()
                if not WANTED.fullmatch(wanted):
                    raise Failed(f"the server wants {wanted}, which is no file of the log")
                self.check_room(SEGMENT)
                if self.repository.fetch(volume, control, wanted, ready):
                    ready.rename(self.work / wanted)
                else:
                    ready.touch()
                    ready.rename(self.work / f"{wanted}.none")
            seconds = time.monotonic() - begin
            if seconds > BEGIN_SECONDS and not test.with_name(f"{test.name}.begun").is_file():
                version = test.name.partition("-")[0]
                raise Failed(f"no server of PostgreSQL {version} took the restored database; see `nomad job status _backup_test`")
            if seconds > LIMIT_SECONDS:
                raise Failed(f"the server was not done within {LIMIT_SECONDS / 3600:g} hours")
            time.sleep(LOOK)
        return said

    def check_room(self, size: int) -> None:
        for disk in self.disks:
            room = shutil.disk_usage(disk)
            least = round(KEEP_FREE * room.total)
            if room.free - size < least:
                needs, has, stays = (f"{number / 2**30:.1f} GiB" for number in (size, room.free, least))
                raise Failed(f"no room for a test restore: it takes {needs}; {has} are free, and {stays} have to stay free")

    def clean(self) -> None:
        """Remove all that a test leaves. A server that has lost its files ends within seconds, but may still be writing."""
        for tries_left in reversed(range(CLEAN_TRIES)):
            try:
                self.remove_all()
                return
            except OSError as error:
                if not tries_left:
                    say(f"what a test restore left is not removed yet: {error}")
                    return
            time.sleep(1)

    def remove_all(self) -> None:
        for place in (self.new, self.directory / "control", self.directory / "ready", *self.work.iterdir()):
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)
