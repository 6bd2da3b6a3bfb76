# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads a database's log: its last lines, or new lines as they come. Restarts and the log's rotation do not interrupt it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import ENDED, newest_allocation
from ansible_collections.infinite.databases.plugins.module_utils._nomad.task_log import TaskLog
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

TASK, STREAM = "postgres", "stderr"
# Most lines have fewer bytes. Lines that were read in excess are cut.
BYTES_PER_LINE = 400
CHECK_SECONDS = 2.0
BACKLOG_SECONDS = 1.5

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "name": {"type": "str", "required": True},
    "lines": {"type": "int", "default": 50},
    "follow": {"type": "bool", "default": False},
    "seconds": {"type": "int", "default": 0},
}


class Lines:
    """Joins pieces of a log into whole lines.

    Lines that come before go_live() are kept. go_live() shows the last ``count`` of them; later lines are shown at once.
    """

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
    """Follows a database's log, until the run that shows the lines is gone."""

    def __init__(self, client: NomadClient, name: str, lines: Lines, seconds: int) -> None:
        self.client, self.name, self.lines = client, name, lines
        self.run = os.getppid()
        self.end = time.monotonic() + seconds if seconds else float("inf")

    def follow(self, alloc: dict[str, Any] | None) -> None:
        """Show lines until the time is over, or the database has ended."""
        count: int | None = self.lines.count * BYTES_PER_LINE
        while alloc:
            following = self.read(alloc["ID"], count)
            self.lines.go_live()
            # The log of the next server is shown from its beginning.
            alloc, count = following, None

    def read(self, alloc: str, count: int | None) -> dict[str, Any] | None:
        """Read one allocation's log to its end. Return the allocation that came after it, or None."""
        begun = checked = time.monotonic()
        ended = False
        for piece in TaskLog(self.client, alloc, TASK, STREAM).follow(count):
            now = time.monotonic()
            self.lines.add(piece)
            if not piece or now - begun > BACKLOG_SECONDS:
                self.lines.go_live()
            if now > self.end or os.getppid() != self.run:
                return None
            if not piece and now - checked > CHECK_SECONDS:
                checked = now
                newest = newest_allocation(self.client, self.name, self.client.namespace)
                if newest and newest["ID"] != alloc:
                    return newest
                # The end has to be seen twice, so that the last lines have arrived.
                if ended:
                    return None
                ended = not newest or newest["ClientStatus"] in ENDED
        return None


def run(params: dict[str, Any], check_mode: bool, show: Callable[[str], Any] | None = None) -> dict[str, Any]:
    """Call ``show`` with each line at once. Without ``show``, the lines are in the result."""
    for option in ("lines", "seconds"):
        if params[option] < 0:
            raise InvalidInput(f"{option}: {params[option]} is negative; give a whole number such as 100")
    if params["follow"] and not show and not params["seconds"]:
        raise InvalidInput("follow: a module that runs as its own process cannot show lines before its end; give seconds, too")
    client, name, found = NomadClient(params), params["name"], list[str]()
    alloc = newest_allocation(client, name, client.namespace)
    if params["follow"]:
        follower = Follower(client, name, Lines(params["lines"], show or found.append), params["seconds"])
        follower.follow(alloc)
    elif alloc and params["lines"]:
        text = TaskLog(client, alloc["ID"], TASK, STREAM).last(params["lines"] * BYTES_PER_LINE)
        found = text.splitlines()[-params["lines"] :]
    if not alloc or not (found or params["follow"] or params["lines"] == 0):
        raise InvalidInput(f"{name}: Nomad no longer has its log; `start` it, or see `list` for the names there are")
    return {"lines": found, "api_calls": client.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
