# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Clients that write all the time, and note which rows the server has acknowledged.

Each row is (client, sequence). Once its COMMIT has returned it is in the ledger, and must be in the table whatever happens. If the
connection breaks before, the row may or may not be there: it is in doubt, and is counted separately.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import psycopg

Row = tuple[int, int]
Connect = Callable[[], "psycopg.Connection[Any]"]
TABLE = "create {} table if not exists ledger (client int, sequence int, primary key (client, sequence))"


class Load:
    """``connect`` makes a connection with autocommit. With ``unlogged`` rows may be lost; this is the control of a test."""

    def __init__(self, connect: Connect, clients: int = 4, unlogged: bool = False) -> None:
        self.connect, self.clients = connect, clients
        self.ledger: set[Row] = set()
        self.in_doubt: set[Row] = set()
        self.failures: list[str] = []
        # The longest time in seconds between two acknowledged rows, and the moment of the last one.
        self.gap, self.last = 0.0, 0.0
        self._lock, self._end = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(clients)]
        with self.connect() as connection:
            connection.execute("drop table if exists ledger")
            connection.execute(TABLE.format("unlogged" if unlogged else "").encode())

    def __enter__(self) -> Load:
        self.last = time.monotonic()
        for thread in self._threads:
            thread.start()
        self.wait_for(20)
        self.gap = 0.0
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, rows: int, seconds: float = 60) -> None:
        """Wait until ``rows`` more rows are acknowledged."""
        before, deadline = len(self.ledger), time.monotonic() + seconds
        while len(self.ledger) < before + rows:
            assert time.monotonic() < deadline, f"no {rows} rows within {seconds} s; the last failures: {self.failures[-3:]}"
            time.sleep(0.02)

    def lost(self) -> set[Row]:
        """Return the rows that were acknowledged and are not in the table."""
        with self.connect() as connection:
            found = set(connection.execute("select client, sequence from ledger").fetchall())
        return self.ledger - found

    def _write(self, client: int) -> None:
        connection: psycopg.Connection[Any] | None = None
        sequence = 0
        while not self._end.is_set():
            sequence += 1
            try:
                connection = connection or self.connect()
            except psycopg.Error as error:
                self.failures.append(str(error))
                time.sleep(0.05)
                continue
            try:
                connection.execute("insert into ledger values (%s, %s)", (client, sequence))
            except psycopg.Error as error:
                self.failures.append(str(error))
                self.in_doubt.add((client, sequence))
                connection.close()
                connection = None
            else:
                self._note((client, sequence))
        if connection:
            connection.close()

    def _note(self, row: Row) -> None:
        with self._lock:
            now = time.monotonic()
            self.gap, self.last = max(self.gap, now - self.last), now
            self.ledger.add(row)
