# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tells what a host sees of its databases from outside: no login, no password, and nothing that their servers would notice.

Whoever connects to the port on loopback is sent one JSON object; nothing is read from it. It measures when it is asked, at most
once within the seconds FRESH:

- sizes: bytes of each volume's databases but PostgreSQL's own, as pg_database_size counts them
- connections: how many come through Traefik, by the address of the server's container
- read_only: the volumes that the disk guard made read-only
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
# PostgreSQL numbers what users make from here on. https://www.postgresql.org/docs/current/system-catalog-initial-data.html
FIRST_OF_USERS = 16384
READ_ONLY = "default_transaction_read_only = 'on'"


def files_size(directory: str) -> int:
    total = 0
    # Files come and go meanwhile.
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                total += entry.stat(follow_symlinks=False).st_size
    return total


def size(volume: Path) -> int | None:
    """None where there is no cluster."""
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
    """Established connections to port 5432, by address. /proc/net/tcp (proc_pid_net(5)) has addresses in the host's byte order."""
    found: Counter[str] = Counter()
    for line in lines:
        _slot, _local, remote, state = line.split(maxsplit=4)[:4]
        address, _colon, port = remote.partition(":")
        if state == "01" and int(port, 16) == POSTGRESQL:
            found[socket.inet_ntoa(struct.pack("=L", int(address, 16)))] += 1
    return dict(found)


class Host:
    def __init__(self, volumes: Path) -> None:
        self.volumes = volumes
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
    parser = argparse.ArgumentParser(description="Tells the sizes and connections of this host's databases.")
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
