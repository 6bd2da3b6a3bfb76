# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the agent reads from a database's volume, and writes to it.

- ``stanza``: the database wants to be backed up, and this is its stanza's name (start.sh writes the file).
- ``data/pg_wal/archive_status/*.ready``: PostgreSQL wants these files archived. Its archive_command waits for pgBackRest's
  note in ``spool`` that a file is in the repository.
- ``run``: the server's socket. pgBackRest talks to the server through it during a backup.
- ``order``: the id and the kind of a backup that somebody asks for now (grant.sh writes the file), and how far the log was written.
- ``repository``: the repository that has a backup of all that the log is based on. The agent writes the file after a full backup;
  start.sh removes it when the database runs without being archived. Without it, a full backup is due.

Whoever has broken into a database's container can write to the volume. So the agent reads only small regular files there, follows
no symbolic link, and backs up no directory that has one.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

SEGMENT = 16 * 1024 * 1024
# The longest file of a volume that is read, and how many finished orders are told.
FILE_BYTES = 200
CONTROL_BYTES = 8192
ORDERS = 20
# A stanza has the name of its volume.
STANZA = re.compile(r"pg[0-9]{1,2}-[0-9a-f]{12}")
ORDER = re.compile(r"([0-9a-f]{12}) (full|diff|incr|wal|test) ([0-9A-F]+/[0-9A-F]+)")


def read_bytes(path: Path, size: int) -> bytes:
    """Return the first bytes of a regular file. Raise OSError for anything else."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no regular file")
        return file.read(size)


def read_file(path: Path, size: int = FILE_BYTES) -> str:
    """Return the content of a small regular file. Raise OSError for anything else, and ValueError if it is no text."""
    return read_bytes(path, size).decode("ascii").strip()


def find_link(directory: Path) -> str:
    """Return the first symbolic link below a directory. Files may vanish meanwhile."""
    for place, directories, files in os.walk(directory):
        for name in (*directories, *files):
            if os.path.islink(path := os.path.join(place, name)):
                return path
    return ""


def read_stanza(path: Path) -> str:
    """Return the stanza of the database on a volume; nothing if no database there is to be backed up."""
    try:
        stanza = read_file(path / "stanza")
    except (OSError, ValueError):
        return ""
    return stanza if STANZA.fullmatch(stanza) else ""


class Order(NamedTuple):
    """What somebody asks for: its id, the kind of the backup, the position in the log, and the time of the order."""

    id: str
    kind: str
    reach: str
    time: float


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
    record_error: str = ""
    # When the repository was last seen to have the database's record.
    recorded: float | None = None
    # Whether the repository has a backup from which on nothing is missing in the log.
    continuous: bool = False
    # The last orders that were accepted, and those that are done: {id: {"error": text, "reach": position in the log}}.
    accepted: list[str] = field(default_factory=list)
    orders: dict[str, dict[str, str]] = field(default_factory=dict)
    archive_again: float = 0.0
    backup_again: float = 0.0
    archiving: Future[None] | None = None
    queued: bool = False
    making: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_running(self) -> bool:
        return (self.path / "data" / "postmaster.pid").exists()

    def ready_files(self) -> dict[str, float]:
        """Return the names of the log's files that are to be archived, and when each was finished."""
        status = self.path / "data" / "pg_wal" / "archive_status"
        notes = self.path / "spool" / "archive" / self.stanza / "out"
        found = {}
        with suppress(FileNotFoundError), os.scandir(status) as entries:
            for entry in entries:
                name = entry.name.removesuffix(".ready")
                if name != entry.name and not (notes / f"{name}.ok").exists():
                    with suppress(FileNotFoundError):
                        found[name] = entry.stat(follow_symlinks=False).st_mtime
        return found

    def read_control(self) -> bytes:
        """Return the control file. https://www.postgresql.org/docs/current/storage-file-layout.html"""
        return read_bytes(self.path / "data" / "global" / "pg_control", CONTROL_BYTES)

    def read_order(self) -> Order | None:
        path = self.path / "order"
        try:
            found = ORDER.fullmatch(read_file(path))
            return Order(found[1], found[2], found[3], path.stat(follow_symlinks=False).st_mtime) if found else None
        except (OSError, ValueError):
            return None

    def read_base(self) -> str:
        """Return the repository that has a backup from which on nothing is missing in the log; nothing if there is none."""
        try:
            return read_file(self.path / "repository")
        except (OSError, ValueError):
            return ""

    def write_base(self, repository: str) -> None:
        new = self.path / "repository.new"
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(repository)
        new.rename(self.path / "repository")

    def accept(self, order: str) -> None:
        self.accepted = [*self.accepted[-ORDERS:], order]

    def done(self, order: str, error: str, reach: str) -> None:
        self.orders[order] = {"error": error, "reach": reach}
        while len(self.orders) > ORDERS:
            del self.orders[next(iter(self.orders))]

    def told(self) -> dict[str, Any]:
        """Return what the state says of the database, in a form that no later change of this volume changes."""
        names = ("seen", "backups", "archived", "pending", "pending_since", "archive_error", "backup_error", "record_error")
        names += ("recorded", "continuous", "accepted")
        more = {"pending_bytes": self.pending * SEGMENT, "running": self.is_running, "orders": dict(self.orders)}
        return {name: getattr(self, name) for name in names} | more
