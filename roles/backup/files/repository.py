# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The repository of backups: pgBackRest's commands, and what they say. https://pgbackrest.org/command.html"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from volume import Volume, find_link

# The file in a stanza's archive. records.sh reads it, too.
RECORD = "record"
# A test restore waits for everything else.
GENTLY = ("nice", "-n", "19", "ionice", "-c", "3")
NOT_FOUND = 1


class Failed(OSError):
    """What was to be done is not done; the message is the reason, in one line."""


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
        self.placing = threading.Lock()

    def run(
        self, stanza: str, *arguments: str, seconds: float | None = None, before: Sequence[str] = (), good: Sequence[int] = (0,)
    ) -> subprocess.CompletedProcess[str]:
        command = [*before, "pgbackrest", f"--config={self.config}", f"--stanza={stanza}", *arguments]
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"pgbackrest {arguments[-1]} did not end within {seconds:g} s") from None
        if done.returncode not in good:
            raise Failed(reason(done.stdout + done.stderr, done.returncode))
        return done

    def create(self, volume: Volume) -> None:
        """Make the stanza, if it does not exist. The server is not asked, because it may be starting."""
        with volume.making:
            if not volume.ready:
                self.run(volume.stanza, f"--pg1-path={volume.path}/data", "--no-online", "stanza-create", seconds=120)
                volume.ready = True

    def archive(self, volume: Volume, name: str) -> None:
        """Archive this file, and others that are ready."""
        places = (f"--pg1-path={volume.path}/data", f"--spool-path={volume.path}/spool")
        self.run(volume.stanza, *places, "archive-push", f"{volume.path}/data/pg_wal/{name}", seconds=300)

    @contextmanager
    def placed(self, volume: Volume) -> Iterator[Sequence[str]]:
        """Put the volume where the server has it, and give pgBackRest's options for that.

        pgBackRest refuses a directory that the server calls by another name.
        """
        with self.placing:
            for name in ("data", "run"):
                place = self.seen / name
                place.unlink(missing_ok=True)
                place.symlink_to(volume.path / name)
            yield f"--pg1-path={self.seen}/data", f"--pg1-socket-path={self.seen}/run", "--pg1-user=postgres"

    def back_up(self, volume: Volume, kind: str) -> None:
        """Take a backup, and remove backups past their retention."""
        if link := find_link(volume.path / "data"):
            raise Failed(f"{link} is a symbolic link, which no server of this platform makes; nothing was backed up")
        with self.placed(volume) as places:
            self.run(volume.stanza, *places, f"--type={kind}", "backup")
        if kind == "full":
            volume.write_base(self.name)

    def has_base(self, volume: Volume) -> bool:
        """Return whether this repository has a backup from which on nothing is missing in the log."""
        return volume.read_base() == self.name

    def backups(self, volume: Volume) -> list[dict[str, Any]]:
        """Return the backups that the repository has, oldest first."""
        return read_backups(self.info(volume))

    def info(self, volume: Volume) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run(volume.stanza, "--output=json", "info", seconds=120).stdout)
        return found

    def last_archived(self, volume: Volume) -> str:
        """Return the newest file of the log that the repository has."""
        return str(self.info(volume)[0]["archive"][-1]["max"])

    def check(self, volume: Volume) -> None:
        """Have the server write a mark into its log, and wait until the repository has it."""
        with self.placed(volume) as places:
            self.run(volume.stanza, *places, "check", seconds=300)

    def restore(self, volume: Volume, target: Path) -> None:
        """Restore the latest backup into a directory. If somebody has made a tablespace, it does not get to its own place."""
        places = (f"--pg1-path={target}", f"--tablespace-map-all={target.parent}/tablespaces")
        self.run(volume.stanza, *places, "--archive-mode=off", "restore", before=GENTLY)

    def fetch(self, volume: Volume, control: Path, name: str, target: Path) -> bool:
        """Get a file of the log, and return whether there is one. ``control`` has the server's pg_control and backup_label."""
        options = (f"--pg1-path={control}", "--no-archive-async", "archive-get", name, str(target))
        return self.run(volume.stanza, *options, seconds=300, before=GENTLY, good=(0, NOT_FOUND)).returncode == 0

    def write_record(self, stanza: str, control: bytes, record: Mapping[str, Any]) -> None:
        """Write the copy of a database's record beside its log: pgBackRest archives files of any name, and encrypts them.

        It recognizes the stanza by the server's control file. The volume may be gone, so the file is in a directory of its own.
        """
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / "global").mkdir()
            (Path(directory) / "global" / "pg_control").write_bytes(control)
            file = Path(directory) / RECORD
            file.write_text(json.dumps(record), encoding="ascii")
            self.run(stanza, f"--pg1-path={directory}", "--no-archive-async", "archive-push", str(file), seconds=120)

    def read_record(self, stanza: str) -> dict[str, Any]:
        version = stanza.removeprefix("pg").partition("-")[0]
        copy = self.run(stanza, "repo-get", f"archive/{stanza}/{version}-1/{RECORD}", seconds=120).stdout
        found: dict[str, Any] = json.loads(copy)
        return found


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
