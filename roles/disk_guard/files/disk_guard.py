# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps the databases' shared file system from becoming full, by stopping the database that fills it.

While there is room, it asks statvfs, and measures the volumes each time 5 % have been written. Below `warn` percent free, it
measures at each percent, and says which database grew most since the last measurement. Below `read-only`, it makes this database
read-only. Below `last`, it ends the logins of a database that grows all the same. Above `lift`, it takes all of this back. It
keeps no state of its own: a database is read-only if its postgresql.auto.conf says so.

With --quota, it also limits each database's volume to the size in the database's description, with an XFS project quota.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MEBIBYTE = 1024 * 1024
SETTING = "default_transaction_read_only"
# Seconds between two looks at the free space, seconds between two rounds of chores, and seconds that one order to a server may
# take.
LOOK = 0.25
CHORES = 10.0
PATIENCE = 15

# Open transactions are ended (xact_start), because even a reading one may fill the disk with temporary files. New transactions obey
# the setting. The superuser can undo all of this.
READ_ONLY = """
ALTER SYSTEM SET default_transaction_read_only = on;
SELECT pg_reload_conf() \\g /dev/null
SELECT pg_sleep(0.2) \\g /dev/null
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() AND backend_type NOT LIKE 'autovacuum%';
"""
END_LOGINS = """
SELECT format('ALTER ROLE %I NOLOGIN', rolname) FROM pg_roles WHERE rolcanlogin AND rolname <> 'postgres' \\gexec
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE datname IS NOT NULL AND pid <> pg_backend_pid() AND backend_type NOT LIKE 'autovacuum%';
"""
# All roles except PostgreSQL's own are logins here. A login that a rotation has ended for good has no password, so it stays
# unusable.
LIFT = """
ALTER SYSTEM RESET default_transaction_read_only;
SELECT format('ALTER ROLE %I LOGIN', rolname) FROM pg_roles WHERE NOT rolcanlogin AND rolname !~ '^pg_' \\gexec
SELECT pg_reload_conf() \\g /dev/null
"""


@dataclass(frozen=True)
class Limits:
    """The thresholds, as percentages of the file system that are free."""

    warn: float
    lift: float
    read_only: float
    last: float

    def step(self, free: float) -> float:
        """Return by how many percent the free space has to change before the volumes are measured again."""
        return 5 if free >= self.warn else 1 if free >= self.read_only else 0.5


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL."""

    database: str
    container: str
    disk: int


@dataclass(frozen=True)
class Room:
    total: int
    free: int

    @property
    def percent(self) -> float:
        return 100 * self.free / self.total


@dataclass(frozen=True)
class Moment:
    room: Room
    sizes: Mapping[str, int]
    when: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Verdict:
    """The volume that grew most, whether this is why the space shrank, and what to do: read-only, end-logins or nothing."""

    volume: str
    is_cause: bool
    deed: str


def judge(limits: Limits, before: Moment, now: Moment, running: Collection[str], read_only: Collection[str]) -> Verdict:
    """Decide what to do.

    If something other than a database filled the disk, no database is stopped before the last threshold. Below it, one stopped
    database is better than all databases without room for their write-ahead log.
    """
    growth = {volume: now.sizes.get(volume, 0) - before.sizes.get(volume, 0) for volume in running}
    top = max(growth, key=lambda volume: growth[volume], default="")
    most = growth.get(top, 0)
    rest = before.room.free - now.room.free - sum(growth.values())
    is_cause = most > 0 and most >= rest
    free = now.room.percent
    if most <= 0 or free >= limits.read_only or not (is_cause or free < limits.last):
        return Verdict(top, is_cause, "")
    if top not in read_only:
        return Verdict(top, is_cause, "read-only")
    return Verdict(top, is_cause, "end-logins" if free < limits.last else "")


def size(directory: str) -> int:
    """Return the space that a directory takes on disk. Files may appear and vanish meanwhile."""
    total = 0
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        total += size(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
                except FileNotFoundError:
                    continue
    except FileNotFoundError:
        pass
    return total


def loop_file(mount: Path) -> Path | None:
    """Return the loop file of the file system; None if the file system is on a disk."""
    device = os.stat(mount).st_dev
    try:
        return Path(Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/loop/backing_file").read_text().strip())
    except FileNotFoundError:
        return None


def room(mount: Path, file: Path | None) -> Room:
    """Return how much databases can still write. A loop file takes space as it fills, so the disk that it is on needs room, too."""
    inner = os.statvfs(mount)
    total, free = inner.f_blocks * inner.f_frsize, inner.f_bavail * inner.f_frsize
    if file and file.exists():
        outer = os.statvfs(file.parent)
        reserved = file.stat().st_blocks * 512 - (total - free)
        free = max(0, min(free, outer.f_bavail * outer.f_frsize + reserved))
    return Room(total, free)


def servers() -> dict[str, Server]:
    """Return the databases that run here, by the name of their volume's directory."""
    found = {}
    listed = subprocess.run(
        ["docker", "ps", "--quiet", "--filter", "name=postgres-"], check=True, capture_output=True, text=True, timeout=PATIENCE
    ).stdout.split()
    if not listed:
        return {}
    form = '{{.Name}}\t{{json .Config.Env}}\t{{range .Mounts}}{{if eq .Destination "/volume"}}{{.Source}}{{end}}{{end}}'
    # If a container has ended meanwhile, the command fails, but it still shows the others.
    told = subprocess.run(
        ["docker", "inspect", "--format", form, *listed], check=False, capture_output=True, text=True, timeout=PATIENCE
    ).stdout
    for line in told.splitlines():
        name, variables, volume = line.split("\t")
        env = dict(one.split("=", 1) for one in json.loads(variables))
        if volume and "DATABASE" in env:
            disk = int(env.get("NOMAD_META_infinite_disk") or 0) * MEBIBYTE
            found[Path(volume).name] = Server(env["DATABASE"], name.lstrip("/"), disk)
    return found


class Refused(OSError):
    """A server did not carry out an order."""


def order(server: Server, sql: str) -> None:
    options = f"-c {SETTING}=off -c statement_timeout={PATIENCE - 5}s -c client_min_messages=warning -c search_path=pg_catalog"
    psql = ["psql", "-h", "/tmp", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", "postgres"]
    command = ["docker", "exec", "-i", "-e", f"PGOPTIONS={options}", "-e", "PGCONNECT_TIMEOUT=5", server.container, *psql]
    try:
        done = subprocess.run(command, input=sql, check=False, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise Refused(f"database {server.database}: no answer within {PATIENCE} s") from None
    if done.returncode != 0:
        raise Refused(f"database {server.database}: {' '.join(done.stderr.split()) or f'exit status {done.returncode}'}")


def say(text: str, level: int = 4) -> None:
    """Write a line to the journal. The journal takes the number for the level: 4 is a warning, 6 is information."""
    print(f"<{level}>{text}", flush=True)


def amount(count: float) -> str:
    return f"{count / MEBIBYTE:.0f} MiB" if abs(count) < 10240 * MEBIBYTE else f"{count / MEBIBYTE / 1024:.1f} GiB"


class Guard:
    def __init__(self, volumes: Path, limits: Limits, quota: bool) -> None:
        self.volumes, self.limits, self.quota = volumes, limits, quota
        self.mount = next(path for path in (volumes, *volumes.parents) if path.is_mount())
        self.file = loop_file(self.mount)
        self.last: Moment | None = None

    def read_only(self) -> set[str]:
        """Return the volumes of read-only databases, whether they run or not."""
        found = set()
        for volume in os.listdir(self.volumes):
            try:
                text = (self.volumes / volume / "data" / "postgresql.auto.conf").read_text(errors="replace")
            except (FileNotFoundError, NotADirectoryError):
                continue
            if any(line.startswith(f"{SETTING} = 'on'") for line in text.splitlines()):
                found.add(volume)
        return found

    def measure(self, now: Room) -> Moment:
        return Moment(now, {volume: size(str(self.volumes / volume)) for volume in os.listdir(self.volumes)})

    def look(self) -> None:
        now = room(self.mount, self.file)
        if self.last and abs(now.percent - self.last.room.percent) < self.limits.step(now.percent):
            return
        moment = self.measure(now)
        if self.last and now.free < self.last.room.free and now.percent < self.limits.warn:
            self.act(self.last, moment)
        # This is noted last, so that an action that failed is tried again.
        self.last = moment

    def act(self, before: Moment, now: Moment) -> None:
        running, read_only = servers(), self.read_only()
        verdict = judge(self.limits, before, now, running, read_only)
        space = f"{self.mount}: {amount(now.room.free)} free ({now.room.percent:.1f} %)"
        if not verdict.volume:
            say(f"{space}; no database runs here: find out what else fills the disk")
            return
        server = running[verdict.volume]
        taken = now.sizes.get(verdict.volume, 0)
        growth = taken - before.sizes.get(verdict.volume, 0)
        seconds = now.when - before.when
        blame = f"database {server.database} grew by {amount(growth)} to {amount(taken)} within {seconds:.0f} s"
        if not verdict.is_cause:
            blame = f"something other than a database grew most{f' ({blame})' if growth >= MEBIBYTE else ''}"
        say(f"{space}; {blame}; {self.do(verdict, server, verdict.volume in read_only)}")

    def do(self, verdict: Verdict, server: Server, was_read_only: bool) -> str:
        limits = self.limits
        if verdict.deed == "read-only":
            order(server, READ_ONLY)
            return "made it read-only, and ended its transactions"
        if verdict.deed == "end-logins":
            try:
                order(server, END_LOGINS)
            except Refused as error:
                subprocess.run(["docker", "kill", server.container], check=False, capture_output=True, timeout=PATIENCE)
                return (
                    f"read-only did not stop it, and its logins could not be ended: killed its server, which starts again ({error})"
                )
            return "read-only did not stop it: ended its logins until there is room or it is started again"
        if was_read_only:
            return f"it is read-only, and loses its logins below {limits.last:g} %"
        if not verdict.is_cause:
            return f"find out what it is; below {limits.last:g} % the database that grows most becomes read-only"
        return f"it becomes read-only below {limits.read_only:g} %"

    def chores(self) -> None:
        """Make databases writable again once there is room, also databases that were not running before, and set quotas."""
        now = room(self.mount, self.file)
        read_only = self.read_only() if now.percent >= self.limits.lift else set()
        if not read_only and not self.quota:
            return
        running = servers()
        for volume in read_only & set(running):
            try:
                order(running[volume], LIFT)
            except Refused as error:
                say(f"{self.mount}: a database could not be made writable again, which will be tried again: {error}", 3)
                continue
            space = f"{self.mount}: {amount(now.free)} free ({now.percent:.1f} %)"
            say(f"{space}; database {running[volume].database} is writable again", 6)
        if self.quota:
            for volume, server in running.items():
                self.limit(volume, server)

    def limit(self, volume: str, server: Server) -> None:
        """Set the limit of a volume. If a directory has a limit, XFS reports it as the file system's size. xfs_quota(8)"""
        path = self.volumes / volume
        inner, outer = os.statvfs(path), os.statvfs(self.mount)
        found = inner.f_blocks if inner.f_blocks < outer.f_blocks else 0
        wanted = server.disk // outer.f_frsize if server.disk // outer.f_frsize < outer.f_blocks else 0
        if found == wanted:
            return
        # The inode's number is unique on the file system, so no file is needed to remember the project's number.
        project = path.stat().st_ino % (2**32 - 2) + 1
        steps = [f"limit -p bhard={server.disk // MEBIBYTE if wanted else 0}m {project}"]
        if wanted:
            steps.insert(0, f"project -s -p {path} {project}")
        command = ["xfs_quota", "-x", *(word for step in steps for word in ("-c", step)), str(self.mount)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
        said = f"database {server.database}: {f'at most {amount(server.disk)}' if wanted else 'no limit'} of disk"
        if os.statvfs(path).f_blocks == (wanted or outer.f_blocks):
            say(f"{self.mount}: {said}", 6)
        else:
            say(f"{self.mount}: {said} could not be set: {' '.join(done.stderr.split())}", 3)

    def run(self) -> None:
        last = float("-inf")
        while True:
            try:
                self.look()
                if time.monotonic() - last >= CHORES:
                    last = time.monotonic()
                    self.chores()
            except (OSError, subprocess.SubprocessError) as error:
                # Docker may be starting again. The last measurement stays valid.
                say(f"{self.mount}: {error}", 3)
                time.sleep(1)
            time.sleep(LOOK)


def main() -> None:
    parser = argparse.ArgumentParser(description="Keeps one database from filling the disk of all databases.")
    parser.add_argument("--volumes", type=Path, required=True)
    for name in ("warn", "lift", "read-only", "last"):
        parser.add_argument(f"--{name}", type=float, required=True, metavar="PERCENT")
    parser.add_argument("--quota", action="store_true")
    given = parser.parse_args()
    Guard(given.volumes, Limits(given.warn, given.lift, given.read_only, given.last), given.quota).run()


if __name__ == "__main__":
    main()
