# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The repository of backups: pgBackRest's commands, and what they say. https://pgbackrest.org/command.html"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from volume import Volume, find_link

# The file in a stanza's archive. records.sh reads it, too.
RECORD = "record"


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
        return self.call(f"--stanza={volume.stanza}", *arguments, seconds=seconds)

    def call(self, *arguments: str, seconds: float | None = None) -> str:
        command = ["pgbackrest", f"--config={self.config}", *arguments]
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
            volume.write_base(self.name)

    def has_base(self, volume: Volume) -> bool:
        """Return whether this repository has a backup from which on nothing is missing in the log."""
        return volume.read_base() == self.name

    def backups(self, volume: Volume) -> list[dict[str, Any]]:
        """Return the backups that the repository has, oldest first."""
        return read_backups(json.loads(self.run(volume, "--output=json", "info", seconds=120)))

    def write_record(self, stanza: str, control: bytes, record: Mapping[str, Any]) -> None:
        """Write the copy of a database's record beside its log: pgBackRest archives files of any name, and encrypts them.

        It recognizes the stanza by the server's control file. The volume may be gone, so the file is in a directory of its own.
        """
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / "global").mkdir()
            (Path(directory) / "global" / "pg_control").write_bytes(control)
            file = Path(directory) / RECORD
            file.write_text(json.dumps(record), encoding="ascii")
            place = (f"--stanza={stanza}", f"--pg1-path={directory}", "--no-archive-async")
            self.call(*place, "archive-push", str(file), seconds=120)

    def read_record(self, stanza: str) -> dict[str, Any]:
        version = stanza.removeprefix("pg").partition("-")[0]
        found: dict[str, Any] = json.loads(self.call("repo-get", f"archive/{stanza}/{version}-1/{RECORD}", seconds=120))
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
