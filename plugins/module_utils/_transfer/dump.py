# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes a dump of a database to a file on this machine, by the `pg_dump` of the server's own version."""

from __future__ import annotations

import os
import secrets
import select
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ansible.module_utils.common.text.formatters import bytes_to_human

from ansible_collections.infinite.databases.plugins.module_utils._transfer.lock import interruptible
from ansible_collections.infinite.databases.plugins.module_utils._transfer.stream import (
    ARGUMENT_SPEC,
    DESCRIPTOR,
    Beside,
    carry,
    open_descriptor,
    place_of,
    run_watcher,
)
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput, JobFailed
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

SCRIPT = "/local/dump.sh"
STDERR_BYTES = 4000
TICK_SECONDS = 1.0


class Output:
    """Writes what comes before the mark. The script prints the mark only after `pg_dump` has succeeded, so nothing is missing.

    If `pg_dump` has failed, the mark follows its messages.
    """

    def __init__(self, descriptor: int, place: str) -> None:
        self.descriptor, self.place = descriptor, place
        self.mark = f"\ncomplete {secrets.token_hex(16)}\n".encode()
        self.held, self.problems, self.bytes = b"", b"", 0
        self.watch = run_watcher()

    def add(self, stream: str, data: bytes) -> None:
        if stream == "stderr":
            self.problems = (self.problems + data)[-STDERR_BYTES:]
            return
        self.held += data
        # The last bytes may be the mark.
        ready, self.held = self.held[: -len(self.mark)], self.held[-len(self.mark) :]
        self._write(ready)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                # A pipe that is ready takes so many bytes at once (pipe(7)). So this process never sleeps in a write while nobody
                # reads the pipe, and notices that it was interrupted.
                self.watch()
                if select.select([], [self.descriptor], [], TICK_SECONDS)[1]:
                    count = os.write(self.descriptor, rest[: select.PIPE_BUF])
                    rest, self.bytes = rest[count:], self.bytes + count
        except OSError as error:
            raise JobFailed(f"Cannot write to {self.place} ({error.strerror}), so the dump is not complete") from None

    @property
    def is_complete(self) -> bool:
        return self.held == self.mark

    def is_done(self) -> bool:
        return self.is_complete or self.problems.endswith(self.mark)

    @property
    def reason(self) -> str:
        return " ".join(self.problems.removesuffix(self.mark).decode("utf-8", "replace").split())


@contextmanager
def written(file: str) -> Iterator[int]:
    """Yield a descriptor to write to. A regular file gets its name only after the block, when it is whole."""
    is_other = DESCRIPTOR.fullmatch(file) or (os.path.exists(file) and not stat.S_ISREG(os.stat(file).st_mode))
    path = file if is_other else f"{file}.{secrets.token_hex(4)}.part"
    try:
        descriptor = open_descriptor(path, os.O_WRONLY if is_other else os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    except OSError as error:
        raise InvalidInput(f"file: cannot write to {place_of(file, 'wb')} ({error.strerror})") from None
    try:
        try:
            yield descriptor
        finally:
            os.close(descriptor)
        if not is_other:
            os.replace(path, file)
    finally:
        if not is_other:
            with suppress(FileNotFoundError):
                os.unlink(path)


def dump(beside: Beside, file: str) -> dict[str, Any]:
    start = time.monotonic()
    with written(file) as descriptor:
        output = Output(descriptor, place_of(file, "wb"))
        with beside.running("dump", [SCRIPT, output.mark.decode()], output.add) as command:
            carry(command, None, output.is_done, lambda: f"the dump of {beside.name}, {bytes_to_human(output.bytes)} so far")
        if not output.is_complete:
            reason = output.reason or "pg_dump ended without a message; was there not enough memory, or was the database stopped?"
            raise JobFailed(f"{beside.name}: the dump is not complete: {reason}")
    return {"bytes": output.bytes, "seconds": round(time.monotonic() - start, 1)}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    beside, file = Beside(params), params["file"]
    # The database is not changed, and the file is: a new dump each time.
    result = {"changed": True, "name": beside.name, "file": place_of(file, "wb")}
    if check_mode:
        return result | {"found": beside.sizes(), "api_calls": beside.api_calls}
    with interruptible(beside.name):
        return result | dump(beside, file) | {"api_calls": beside.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
