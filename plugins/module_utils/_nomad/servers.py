# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Chooses which of Nomad's servers is asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar
from urllib.parse import urlsplit

from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput, NomadError, NomadNoLeader

UNIX = "unix://"
# How long a server may take to say whether it knows a leader, before the next one is asked.
ANSWER_SECONDS = 2.0
ELECTION_POLL_SECONDS = 0.2


def read_addresses(given: Any) -> list[str]:
    """Read nomad_address in any of its forms: one address, several with commas between them, or a list."""
    each = given.split(",") if isinstance(given, str) else given or []
    found = list(dict.fromkeys(str(one).strip().rstrip("/") for one in each if str(one).strip()))
    for address in found or [""]:
        parts = urlsplit(address)
        socket = address.startswith(f"{UNIX}/") and len(found) == 1
        if not socket and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise InvalidInput(f"nomad_address: {address!r} is not an http://, https:// or (alone) unix:// address")
    return found


class Servers:
    """Chooses the first server that answers and knows a leader, and stays with it until a request to it fails."""

    # The tasks of one run are processes of their own. They tell each other in this file which server answered.
    memory: ClassVar[Path | None] = None

    def __init__(self, addresses: Sequence[str], patience: float) -> None:
        """``patience`` is how many seconds to wait for a leader."""
        self.several, self.patience = len(addresses) > 1, patience
        self._order = list(addresses)
        self._chosen = "" if self.several else addresses[0]
        self._lock = Lock()
        if self.several and self.memory:
            # The file may not exist yet, or may have an address of another environment.
            with suppress(OSError, ValueError):
                self._prefer(self.memory.read_text(encoding="utf-8"))

    def __str__(self) -> str:
        return self._chosen or ", ".join(self._order)

    def choose(self, check: Callable[[str], None]) -> str:
        """Return the server to ask.

        ``check`` raises a NomadError for a server that cannot be used. A single server is not checked.
        """
        with self._lock:
            self._chosen = self._chosen or self._find(check)
            return self._chosen

    def failed(self, address: str) -> None:
        """Look for another server with the next request, unless another thread has already done so."""
        with self._lock:
            if self.several and self._chosen == address:
                self._chosen = ""
                self._order = [*(one for one in self._order if one != address), address]

    def _find(self, check: Callable[[str], None]) -> str:
        deadline = time.monotonic() + self.patience
        while True:
            problems: list[NomadError] = []
            for address in self._order:
                try:
                    check(address)
                except NomadError as problem:
                    problems.append(problem)
                    continue
                self._prefer(address)
                if self.memory:
                    with suppress(OSError):
                        self.memory.write_text(address, encoding="utf-8")
                return address
            electing = [problem for problem in problems if isinstance(problem, NomadNoLeader)]
            if not electing or time.monotonic() > deadline:
                each = "; ".join(str(problem).removeprefix("Nomad at ").partition("; ")[0] for problem in problems)
                advice = "are enough of them running, and is nomad_address right?"
                raise type((electing or problems)[0])(f"No server of Nomad can be used: {each}; {advice}")
            time.sleep(ELECTION_POLL_SECONDS)

    def _prefer(self, address: str) -> None:
        self._order.remove(address)
        self._order.insert(0, address)
