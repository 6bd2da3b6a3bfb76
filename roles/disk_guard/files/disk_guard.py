# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps the databases' shared file system from becoming full, by stopping the one that fills it.

While there is room it asks statvfs, and measures the volumes once per 5 % that are written. Below `warn` percent free it
measures at each percent and says which database grew most since the measurement before; below `read-only` it makes that one
read-only; below `last` it ends the logins of one that grows all the same. Above `lift` it takes all of this back. It keeps no
state of its own: a database is read-only where its postgresql.auto.conf says so.

With --quota it also gives each database's volume the size that its description asks for, as an XFS project quota.
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
# Seconds between two looks at the free space, at what has to be taken back and at quotas, and that one order may take.
LOOK = 0.25
CHORES = 10.0
PATIENCE = 15

# The superuser has to be able to undo what it does. xact_start: those that were reading may be filling the disk with temporary
# files; what begins now obeys the setting.
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
# Here all roles but PostgreSQL's own are logins; one that was ended for good, by a rotation, has no password.
LIFT = """
ALTER SYSTEM RESET default_transaction_read_only;
SELECT format('ALTER ROLE %I LOGIN', rolname) FROM pg_roles WHERE NOT rolcanlogin AND rolname !~ '^pg_' \\gexec
SELECT pg_reload_conf() \\g /dev/null
"""


@dataclass(frozen=True)
class Limits:
    """Percent of the file system that are free."""

    warn: float
    lift: float
    read_only: float
    last: float

    def step(self, free: float) -> float:
        """How much has to change before the volumes are measured again."""
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
    """Who grew most, whether that is why the space shrank, and what is done about it: read-only, end-logins or nothing."""

    volume: str
    is_cause: bool
    deed: str


def judge(limits: Limits, before: Moment, now: Moment, running: Collection[str], read_only: Collection[str]) -> Verdict:
    """What else grew on the file system harms no database until the last threshold: there, one that stands still is better off
    than all without room for their write-ahead log."""
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
    """What it takes on disk. Files come and go meanwhile."""
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
    """The file that the file system is in, where it is in one."""
    device = os.stat(mount).st_dev
    try:
        return Path(Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/loop/backing_file").read_text().strip())
    except FileNotFoundError:
        return None


def room(mount: Path, file: Path | None) -> Room:
    """What databases can still write: a file that takes space as it fills needs room where it lies as well."""
    inner = os.statvfs(mount)
    total, free = inner.f_blocks * inner.f_frsize, inner.f_bavail * inner.f_frsize
    if file and file.exists():
        outer = os.statvfs(file.parent)
        reserved = file.stat().st_blocks * 512 - (total - free)
        free = max(0, min(free, outer.f_bavail * outer.f_frsize + reserved))
    return Room(total, free)


def servers() -> dict[str, Server]:
    """The databases that run here, by the name of their volume's directory."""
    found = {}
    listed = subprocess.run(
        ["docker", "ps", "--quiet", "--filter", "name=postgres-"], check=True, capture_output=True, text=True, timeout=PATIENCE
    ).stdout.split()
    if not listed:
        return {}
    form = '{{.Name}}\t{{json .Config.Env}}\t{{range .Mounts}}{{if eq .Destination "/volume"}}{{.Source}}{{end}}{{end}}'
    # One that ended meanwhile makes the command fail, and is not in what it says.
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
    """A server did not do as it was told."""


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
    """To the journal, which takes the number for the level: 4 is a warning, 6 information."""
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
        """The volumes of databases that are, whether they run or not."""
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
        # Not before: what could not be done is tried again.
        self.last = moment

    def act(self, before: Moment, now: Moment) -> None:
        running, read_only = servers(), self.read_only()
        verdict = judge(self.limits, before, now, running, read_only)
        space = f"{self.mount}: {amount(now.room.free)} free ({now.room.percent:.1f} %)"
        if not verdict.volume:
            say(f"{space}; no database runs here: see what else fills it")
            return
        server = running[verdict.volume]
        taken = now.sizes.get(verdict.volume, 0)
        growth = taken - before.sizes.get(verdict.volume, 0)
        seconds = now.when - before.when
        blame = f"database {server.database} grew by {amount(growth)} to {amount(taken)} within {seconds:.0f} s"
        if not verdict.is_cause:
            blame = f"what else is there grew more than any database{f' ({blame})' if growth >= MEBIBYTE else ''}"
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
                return f"read-only did not stop it, nor could its logins be ended: killed its server, which starts again ({error})"
            return "read-only did not stop it: ended its logins until there is room or it is started again"
        if was_read_only:
            return f"it is read-only, and loses its logins below {limits.last:g} %"
        if not verdict.is_cause:
            return f"see what it is; below {limits.last:g} % the database that grows most becomes read-only"
        return f"it becomes read-only below {limits.read_only:g} %"

    def chores(self) -> None:
        """Take back what is no longer needed, of databases that were not running before as well; set quotas."""
        now = room(self.mount, self.file)
        read_only = self.read_only() if now.percent >= self.limits.lift else set()
        if not read_only and not self.quota:
            return
        running = servers()
        for volume in read_only & set(running):
            try:
                order(running[volume], LIFT)
            except Refused as error:
                say(f"{self.mount}: could not be made writable again, tried on: {error}", 3)
                continue
            space = f"{self.mount}: {amount(now.free)} free ({now.percent:.1f} %)"
            say(f"{space}; database {running[volume].database} is writable again", 6)
        if self.quota:
            for volume, server in running.items():
                self.limit(volume, server)

    def limit(self, volume: str, server: Server) -> None:
        """Where a directory has a limit, XFS tells that instead of the file system's size. xfs_quota(8)"""
        path = self.volumes / volume
        inner, outer = os.statvfs(path), os.statvfs(self.mount)
        found = inner.f_blocks if inner.f_blocks < outer.f_blocks else 0
        wanted = server.disk // outer.f_frsize if server.disk // outer.f_frsize < outer.f_blocks else 0
        if found == wanted:
            return
        # Unique on the file system, and no file is needed to remember it.
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
                # Docker may be starting again. What was measured counts all the same.
                say(f"{self.mount}: {error}", 3)
                time.sleep(1)
            time.sleep(LOOK)


def main() -> None:
    parser = argparse.ArgumentParser(description="Keeps one database from filling the disk of all.")
    parser.add_argument("--volumes", type=Path, required=True)
    for name in ("warn", "lift", "read-only", "last"):
        parser.add_argument(f"--{name}", type=float, required=True, metavar="PERCENT")
    parser.add_argument("--quota", action="store_true")
    given = parser.parse_args()
    Guard(given.volumes, Limits(given.warn, given.lift, given.read_only, given.last), given.quota).run()


if __name__ == "__main__":
    main()
