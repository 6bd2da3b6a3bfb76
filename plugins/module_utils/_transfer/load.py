# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Loads a dump from a file on this machine into a database, in one transaction, by the `pg_restore` of the server's own version."""

from __future__ import annotations

import os
import time
from typing import Any

from ansible.module_utils.common.text.formatters import bytes_to_human

from ansible_collections.infinite.databases.plugins.module_utils._transfer.archive import HEAD_BYTES, server_version
from ansible_collections.infinite.databases.plugins.module_utils._transfer.lock import interruptible
from ansible_collections.infinite.databases.plugins.module_utils._transfer.stream import (
    ARGUMENT_SPEC,
    Beside,
    carry,
    open_descriptor,
    place_of,
)
from ansible_collections.infinite.databases.plugins.module_utils._transfer.url import Place
from ansible_collections.infinite.databases.plugins.module_utils._transfer.watch import VERDICTS, Ends, failure
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput, JobFailed, NomadError
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

SCRIPT = "/local/load.sh"
STDERR_BYTES = 4000

LOAD_SPEC: dict[str, dict[str, Any]] = {
    **ARGUMENT_SPEC,
    "replace": {"type": "bool", "default": False},
    "without_extensions": {"type": "list", "elements": "str", "default": []},
}


class Lines:
    """The lines of restore.sh: progress, and a last line with the verdict."""

    def __init__(self) -> None:
        self.rest, self.problems = b"", b""
        self.verdict, self.reason, self.progress = "", "", ""

    def add(self, stream: str, data: bytes) -> None:
        if stream == "stderr":
            self.problems = (self.problems + data)[-STDERR_BYTES:]
            return
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in (one.decode("utf-8", "replace") for one in lines):
            word, _space, rest = line.partition(" ")
            if word in VERDICTS:
                self.verdict, self.reason = word, rest
            elif word == "progress":
                begun, tables, written, _size = rest.split()
                self.progress = f": table {begun} of {tables}, {bytes_to_human(max(0, int(written)))} written"


def read_head(descriptor: int, place: str) -> bytes:
    head = b""
    try:
        while len(head) < HEAD_BYTES and (piece := os.read(descriptor, HEAD_BYTES)):
            head += piece
    except OSError as error:
        raise InvalidInput(f"file: cannot read {place} ({error.strerror})") from None
    return head


def check_version(beside: Beside, version: int) -> None:
    """Refuse a dump of a newer PostgreSQL: no server takes it for sure."""
    if version > int(beside.version):
        raise InvalidInput(
            f"{beside.name} is PostgreSQL {beside.version}, which cannot take a dump of PostgreSQL {version}; nothing was changed, "
            f"so provision a database of version {version} and load into that"
        )


def load(beside: Beside, descriptor: int, head: bytes) -> dict[str, Any]:
    start, lines = time.monotonic(), Lines()
    password = beside.record["password"]
    ends = Ends(Place("the dump", {}), Place(beside.name, {}, secrets=[password]), beside.record["spec"])
    lost = "the load ended without a message; was there not enough memory, or was the database stopped?"
    try:
        with beside.running("load", [SCRIPT], lines.add) as command:
            command.send(head)
            carry(command, descriptor, lambda: bool(lines.verdict), lambda: f"the load of {beside.name}{lines.progress}")
    except NomadError as error:
        lost = str(error)
    if not lines.verdict:
        reason = lines.problems.decode("utf-8", "replace") or lost
        raise JobFailed(f"{beside.name}: {reason} (the database has either all of the dump, or none of it)")
    if lines.verdict != "done":
        raise failure(ends, lines.verdict, lines.reason)
    tables, size, _source_size = map(int, lines.reason.split())
    return {"tables": tables, "bytes": size, "seconds": round(time.monotonic() - start, 1)}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    file = params["file"]
    beside, place = Beside(params), place_of(file, "rb")
    try:
        descriptor = open_descriptor(file, os.O_RDONLY)
    except OSError as error:
        raise InvalidInput(f"file: cannot read {place} ({error.strerror})") from None
    try:
        head = read_head(descriptor, place)
        check_version(beside, server_version(head))
        result = {"changed": True, "name": beside.name, "file": place}
        if check_mode:
            found = beside.sizes()
            if found.get("tables") and not params["replace"]:
                raise failure(Ends(Place(place, {}), Place(beside.name, {}), {}), "occupied", str(found["tables"]))
            return result | {"found": found, "api_calls": beside.api_calls}
        with interruptible(beside.name):
            return result | load(beside, descriptor, head) | {"api_calls": beside.api_calls}
    finally:
        os.close(descriptor)


SPEC = ModuleSpec(LOAD_SPEC, run)
