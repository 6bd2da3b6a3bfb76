# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A database's log: its last lines, or new ones as they come, across restarts and the log's rotation.

https://developer.hashicorp.com/nomad/api-docs/client#stream-logs: JSON objects without anything between them, each with a piece
of the log or, every second, with nothing. Nomad goes on to the next file by itself, not to the next allocation.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput, NomadError, NomadNotFound
from ansible_collections.infinite.databases.plugins.module_utils.nomad import CONNECTION_SPEC, IMPORT_ERROR, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.nomad_job_wait import ENDED, last_log
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

if not IMPORT_ERROR:
    import requests

    from ansible_collections.infinite.databases.plugins.module_utils.nomad_http import connection_problem

TASK = "postgres"
# More than most lines have; what is too much is cut.
BYTES_PER_LINE = 400
# Something comes every second.
SILENCE_SECONDS = 10.0
CHECK_SECONDS = 2.0
BACKLOG_SECONDS = 1.5

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "name": {"type": "str", "required": True},
    "lines": {"type": "int", "default": 50},
    "follow": {"type": "bool", "default": False},
    "seconds": {"type": "int", "default": 0},
}


def pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """What the objects hold, however the chunks cut them; empty for those that say only that the connection stands."""
    decoder, rest = json.JSONDecoder(), ""
    for chunk in chunks:
        # Everything but base64 is ASCII: a chunk cannot end within a character.
        rest += chunk.decode("ascii", "replace")
        while rest := rest.lstrip():
            try:
                found, end = decoder.raw_decode(rest)
            except ValueError:
                break
            rest = rest[end:]
            yield base64.b64decode(found.get("Data") or "")


class Lines:
    """Whole lines out of pieces. Those before ``live`` are kept, and but the last of them forgotten."""

    def __init__(self, count: int, show: Callable[[str], Any]) -> None:
        self.count, self.show = count, show
        self.rest, self.kept, self.live = b"", list[str](), False

    def add(self, piece: bytes) -> None:
        *whole, self.rest = (self.rest + piece).split(b"\n")
        for line in (one.decode("utf-8", "replace") for one in whole):
            if self.live:
                self.show(line)
            else:
                self.kept.append(line)

    def go_live(self) -> None:
        if not self.live:
            self.live = True
            for line in self.kept[-self.count :] if self.count else []:
                self.show(line)


class Follower:
    """Somebody who reads along, until the run that shows the lines is gone."""

    def __init__(self, client: NomadClient, name: str, lines: Lines, seconds: int) -> None:
        self.client, self.name, self.lines = client, name, lines
        self.run = os.getppid()
        self.end = time.monotonic() + seconds if seconds else float("inf")

    def follow(self, alloc: dict[str, Any] | None) -> None:
        """Until the time is over, or the database has ended."""
        where = {"origin": "end", "offset": str(self.lines.count * BYTES_PER_LINE)}
        while alloc:
            following = self.read(alloc["ID"], where)
            self.lines.go_live()
            # Another server's log begins at its beginning.
            alloc, where = following, {"origin": "start", "offset": "0"}

    def read(self, alloc: str, where: dict[str, str]) -> dict[str, Any] | None:
        """One allocation's log to its end. The allocation that came after it; None if there is none."""
        begun = checked = time.monotonic()
        ended = False
        for piece in self.stream(alloc, where):
            now = time.monotonic()
            self.lines.add(piece)
            if not piece or now - begun > BACKLOG_SECONDS:
                self.lines.go_live()
            if now > self.end or os.getppid() != self.run:
                return None
            if not piece and now - checked > CHECK_SECONDS:
                checked = now
                newest = newest_allocation(self.client, self.name)
                if newest and newest["ID"] != alloc:
                    return newest
                # Seen twice, so that its last lines have come.
                if ended:
                    return None
                ended = not newest or newest["ClientStatus"] in ENDED
        return None

    def stream(self, alloc: str, where: dict[str, str]) -> Iterator[bytes]:
        query = {"namespace": self.client.namespace, "task": TASK, "type": "stderr", "follow": "true", **where}
        logs = self.client.endpoint("client/fs/logs")
        while True:
            try:
                response = logs.request(alloc, method="get", params=dict(query), stream=True, timeout=SILENCE_SECONDS)
                with response:
                    yield from pieces(response.iter_content(chunk_size=None))
                return
            except requests.exceptions.RequestException as error:
                raise connection_problem(error, self.client.address, SILENCE_SECONDS) from None
            except NomadError as error:
                # A new server has no log before it has been started.
                if "not found" not in str(error):
                    raise
                yield b""
                time.sleep(CHECK_SECONDS / 4)


def newest_allocation(client: NomadClient, name: str) -> dict[str, Any] | None:
    try:
        allocs = client.job.get(name, "allocations")
    except NomadNotFound:
        return None
    return max(allocs, key=lambda one: int(one["CreateIndex"]), default=None)


def run(params: dict[str, Any], check_mode: bool, show: Callable[[str], Any] | None = None) -> dict[str, Any]:
    """``show`` is given each line at once; without it they are in the result."""
    for option in ("lines", "seconds"):
        if params[option] < 0:
            raise InvalidInput(f"{option}: {params[option]} is less than nothing; give a whole number such as 100")
    if params["follow"] and not show and not params["seconds"]:
        raise InvalidInput("follow: what runs as a module's process can show nothing before its end; give seconds, too")
    client, name, found = NomadClient(params), params["name"], list[str]()
    alloc = newest_allocation(client, name)
    if params["follow"]:
        follower = Follower(client, name, Lines(params["lines"], show or found.append), params["seconds"])
        follower.follow(alloc)
    elif alloc and params["lines"]:
        text = last_log(client, alloc["ID"], TASK, client.namespace, params["lines"] * BYTES_PER_LINE)
        found = text.splitlines()[-params["lines"] :]
    if not alloc or not (found or params["follow"] or params["lines"] == 0):
        raise InvalidInput(f"{name}: Nomad has no log of it any more; `start` it, or see `list` for the names there are")
    return {"lines": found, "api_calls": client.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
