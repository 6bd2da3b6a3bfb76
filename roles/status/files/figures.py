# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measures what a host sees of its databases from outside. It needs no login and no password, and the servers do not notice it.

It sends one JSON object to every client that connects to its port on loopback, and reads nothing from the client. It measures
when a client asks, at most once in FRESH seconds:

- sizes: the bytes of each volume's databases, except PostgreSQL's own, as pg_database_size counts them
- connections: how many connections come through Traefik, by the address of the server's container
- read_only: the volumes that the disk guard made read-only
- out_of_memory: how often the kernel ended a process of a running server for lack of memory, by volume, without the zeros
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import socketserver
import struct
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Lock

FRESH = 5
POSTGRESQL = 5432
# PostgreSQL numbers the objects of users from here on. https://www.postgresql.org/docs/current/system-catalog-initial-data.html
FIRST_OF_USERS = 16384
READ_ONLY = "default_transaction_read_only = 'on'"
# The kernel's counters of each cgroup. https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
CGROUPS = (("/sys/fs/cgroup/memory", "memory.oom_control"), ("/sys/fs/cgroup", "memory.events"))


def files_size(directory: str) -> int:
    total = 0
    # Files may appear and vanish during the measurement.
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                total += entry.stat(follow_symlinks=False).st_size
    return total


def size(volume: Path) -> int | None:
    """Return the size of a volume's databases; None if the volume has no cluster."""
    try:
        databases = os.listdir(volume / "data" / "base")
    except (FileNotFoundError, NotADirectoryError):
        return None
    return sum(files_size(f"{volume}/data/base/{oid}") for oid in databases if oid.isdecimal() and int(oid) >= FIRST_OF_USERS)


def is_read_only(volume: Path) -> bool:
    try:
        lines = (volume / "data" / "postgresql.auto.conf").read_text(errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return any(line.startswith(READ_ONLY) for line in lines)


def connections(lines: Iterable[str]) -> dict[str, int]:
    """Count established connections to port 5432, by address.

    /proc/net/tcp (proc_pid_net(5)) has addresses in the host's byte order.
    """
    found: Counter[str] = Counter()
    for line in lines:
        _slot, _local, remote, state = line.split(maxsplit=4)[:4]
        address, _colon, port = remote.partition(":")
        if state == "01" and int(port, 16) == POSTGRESQL:
            found[socket.inet_ntoa(struct.pack("=L", int(address, 16)))] += 1
    return dict(found)


def volume_of(process: str) -> str:
    """Return the directory of the volume that a server's process works on; empty for other processes. proc_pid_mountinfo(5)"""
    for line in Path(f"/proc/{process}/mountinfo").read_text().splitlines():
        root, place = line.split()[3:5]
        if place == "/volume":
            return Path(root).name
    return ""


def out_of_memory(cgroups: Path, counter: str) -> dict[str, int]:
    found = {}
    for directory, _directories, files in os.walk(cgroups):
        # Containers may end during the measurement.
        with suppress(OSError):
            lines = Path(directory, counter).read_text().splitlines() if counter in files else []
            count = sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
            processes = Path(directory, "cgroup.procs").read_text().split() if count else []
            if processes and (volume := volume_of(processes[0])):
                found[volume] = count
    return found


class Host:
    def __init__(self, volumes: Path) -> None:
        self.volumes = volumes
        self.counters = next((Path(place), name) for place, name in CGROUPS if Path(place).is_dir())
        self.lock = Lock()
        self.answer, self.answered = b"", -FRESH * 1.0

    def measure(self) -> dict[str, object]:
        volumes = [self.volumes / name for name in os.listdir(self.volumes)]
        sizes = {volume.name: size(volume) for volume in volumes}
        with open("/proc/net/tcp", encoding="ascii") as lines:
            next(lines)
            counted = connections(lines)
        return {
            "sizes": {name: size for name, size in sizes.items() if size is not None},
            "connections": counted,
            "read_only": [volume.name for volume in volumes if is_read_only(volume)],
            "out_of_memory": out_of_memory(*self.counters),
        }

    def tell(self) -> bytes:
        with self.lock:
            if time.monotonic() - self.answered >= FRESH:
                self.answer = json.dumps(self.measure()).encode()
                self.answered = time.monotonic()
            return self.answer


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures the sizes, connections and lack of memory of this host's databases.")
    parser.add_argument("--volumes", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    host = Host(given.volumes)

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(10)
            with suppress(OSError):
                self.request.sendall(host.tell())

    with Server(("127.0.0.1", given.port), Answer) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
