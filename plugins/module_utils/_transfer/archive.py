# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the head of a dump, so that a dump that cannot be loaded is refused before anything is started.

The format is defined by PostgreSQL's source, `ReadHead` in src/bin/pg_dump/pg_backup_archiver.c.
"""

from __future__ import annotations

import re

from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

MAGIC = b"PGDMP"
# The head ends much earlier.
HEAD_BYTES = 4096
CUSTOM_FORMAT = 1
# Formats of archives: since 1.10, the head names PostgreSQL's version; since 1.15, it names the compression in one byte.
WITH_VERSION, WITH_ALGORITHM = (1, 10), (1, 15)
DATE_NUMBERS = 7


class Head:
    """Takes values from the head, one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.int_bytes = data, len(MAGIC), 4

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def number(self) -> int:
        """A byte for the sign, and then the bytes, the lowest first."""
        sign = self.byte()
        value = sum(self.byte() << (8 * place) for place in range(self.int_bytes))
        return -value if sign else value

    def text(self) -> str:
        size = max(0, self.number())
        self.at += size
        return self.data[self.at - size : self.at].decode("utf-8", "replace")


def server_version(data: bytes) -> int:
    """Return the major version of the server that the dump came from, or raise InvalidInput."""
    if not data:
        raise InvalidInput("The dump is empty, and nothing was changed; was the run that should write it interrupted?")
    if not data.startswith(MAGIC):
        if re.match(rb"\s*(--|SET |CREATE |\\)", data):
            raise InvalidInput("That is a script of SQL and no dump in pg_dump's custom format; give it to psql (idb connect)")
        raise InvalidInput("That is no dump in pg_dump's custom format; make one by `idb dump` or `pg_dump -Fc`")
    head = Head(data)
    try:
        made_for = (head.byte(), head.byte())
        head.byte()
        head.int_bytes = head.byte()
        _offset_bytes, kind = head.byte(), head.byte()
        if kind != CUSTOM_FORMAT or made_for < WITH_VERSION:
            raise InvalidInput("That dump is not in pg_dump's custom format, or it is too old; make one by `pg_dump -Fc`")
        head.byte() if made_for >= WITH_ALGORITHM else head.number()
        for _number in range(DATE_NUMBERS):
            head.number()
        _database, version = head.text(), head.text()
        return int(re.match(r"\d+", version)[0])  # type: ignore[index]
    except (IndexError, TypeError):
        raise InvalidInput("The dump ends within its head, so it is not complete; was the run that wrote it interrupted?") from None
