# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Follows a transfer's job, shows its progress, and explains its result to the user."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.common.text.formatters import bytes_to_human

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import ENDED, Verdict, explain, placement
from ansible_collections.infinite.databases.plugins.module_utils._nomad.task_log import TaskLog
from ansible_collections.infinite.databases.plugins.module_utils._transfer.lock import POLL_SECONDS, Lock
from ansible_collections.infinite.databases.plugins.module_utils._transfer.url import Place
from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    InfiniteError,
    InvalidInput,
    JobFailed,
    NomadError,
    NomadNoLeader,
    NomadUnreachable,
)

TASK = "restore"
BEAT_SECONDS = 2.0
REPORT_SECONDS = 5.0
# How long Nomad may be out of reach, or may have no room for the job.
PATIENCE_SECONDS = 60.0

# The words that the job's last line may begin with, and how often the line is looked for before it counts as missing.
VERDICTS = ("done", "missing", "occupied", "refused", "failed", "unknown")
RESULT_ATTEMPTS = 5
# The verdict is one line of at most 4000 bytes and a few words.
LOG_BYTES = 6000

# Patterns of the servers' messages, with advice for the user.
ADVICE = (
    (
        r"certificate verify failed|root certificate file",
        "give the CA by ca_file, or put sslmode=require into the URL to verify nothing",
    ),
    (
        r'unrecognized parameter "pg_attver"',
        "only a pg_dump of the source's version leaves this out; import into a database of that version, and from there into this",
    ),
    (r"server does not support SSL", "put sslmode=disable into the URL if the data may travel unencrypted"),
    (
        r"max_locks_per_transaction",
        'give the target more locks: provision.yml -e \'{"settings": {"max_locks_per_transaction": 512}}\'',
    ),
    (r"lock timeout", "somebody uses a table that is to be replaced; end these sessions and run again"),
    (r"heroku_ext", "Heroku keeps extensions in a schema of its own; docs/import-export.md says how to have one here"),
    (
        r"connection to server.*(closed the connection unexpectedly|unexpected eof)",
        "does it run, and do its allowed_cidrs let the node in?",
    ),
)
# Functions that show progress while it happens. A module's process has none; it can only return the progress.
_show: list[Callable[[str], None]] = []


@contextmanager
def shown_by(show: Callable[[str], None]) -> Iterator[None]:
    """Show progress with this function during the block."""
    _show.append(show)
    try:
        yield
    finally:
        _show.remove(show)


@dataclass(frozen=True)
class Ends:
    """What messages need: both places, and the description of the target if it is a database of this environment."""

    source: Place
    target: Place
    target_spec: Mapping[str, Any] | None

    def masked(self, text: str) -> str:
        for secret in filter(None, (*self.source.secrets, *self.target.secrets)):
            text = text.replace(secret, "********")
        return text


def failure(ends: Ends, verdict: str, rest: str) -> InfiniteError:
    """Turn the job's last line into an error that says what to do."""
    target = ends.target.label
    if verdict == "missing":
        missing = rest.split()
        names = ",".join(missing)
        if ends.target_spec is None:
            return InvalidInput(f"{target} lacks extensions of the source, and nothing was changed; create {names} there first")
        wanted = sorted({*(ends.target_spec.get("extensions") or []), *missing})
        argument = json.dumps({"extensions": wanted})
        return InvalidInput(
            f"{target} lacks extensions of the source, and nothing was changed; run provision.yml -e db={target} -e '{argument}', "
            f"or copy without them: -e without_extensions={names}"
        )
    if verdict == "occupied":
        return InvalidInput(
            f"{target} is not empty ({rest} tables, views, sequences and functions), and nothing was changed; "
            "-e replace=true drops all that it has"
        )
    if verdict == "refused":
        return InvalidInput(f"{target} was not changed: {rest}")
    if verdict == "unknown":
        return JobFailed(
            f"{target} was lost while the transaction was being committed; check whether it has all data, and if not, run again"
        )
    reason = re.sub(r"(psql(:<stdin>:\d+)?|pg_dump|pg_restore): (?=error|ERROR|FATAL|detail|hint)", "", ends.masked(rest))
    advice = next((f" ({text})" for pattern, text in ADVICE if re.search(pattern, reason)), "")
    return JobFailed(f"{target} is as it was, the transfer failed: {reason.strip()[:1500]}{advice}")


class Watch:
    """Follows the job to its end."""

    def __init__(self, client: NomadClient, ends: Ends, lock: Lock, job: str) -> None:
        self.client, self.ends, self.lock, self.job = client, ends, lock, job
        self.start = self.beaten = self.reported = time.monotonic()
        self.alloc, self.log, self.progress = "", "", list[str]()
        # Ansible runs a task in a child process. If the run is killed, the child notices it only by its new parent.
        self.parent = os.getppid()

    def run(self) -> dict[str, Any]:
        """Follow the job and return its result."""
        good = time.monotonic()
        while True:
            if os.getppid() != self.parent:
                raise JobFailed(f"{self.ends.target.label}: interrupted")
            try:
                if time.monotonic() - self.beaten > BEAT_SECONDS:
                    self.lock.beat()
                    self.beaten = time.monotonic()
                ended = self._look()
                good = time.monotonic()
            except (NomadUnreachable, NomadNoLeader):
                if time.monotonic() - good > PATIENCE_SECONDS:
                    raise
                ended = False
            if ended:
                return self._result()
            time.sleep(POLL_SECONDS)

    def _look(self) -> bool:
        if not self.alloc:
            return self._find()
        alloc = self.client.endpoint("allocation").get(self.alloc)
        ended = alloc["ClientStatus"] in ENDED
        self._read()
        return ended

    def _find(self) -> bool:
        allocs = self.client.job.get(self.job, "allocations")
        if allocs:
            self.alloc = str(allocs[0]["ID"])
        elif time.monotonic() - self.start > PATIENCE_SECONDS:
            reason = placement(self.client, (self.client.namespace, self.job)) or "its evaluation is still pending"
            raise JobFailed(f"{self.lock.database}: Nomad has no room for the transfer's job on its node: {reason}")
        return False

    def _read(self) -> None:
        """Read the log's last lines. There is no log before the task has started."""
        with suppress(NomadError):
            self.log = TaskLog(self.client, self.alloc, TASK, "stdout").last(LOG_BYTES)
        lines = [line.split() for line in self.log.splitlines() if re.fullmatch(r"progress( \d+){2} -?\d+ \d+", line)]
        if lines and time.monotonic() - self.reported >= REPORT_SECONDS:
            self.reported = time.monotonic()
            begun, tables, written, size = map(int, lines[-1][1:])
            text = (
                f"{self.ends.target.label}: table {begun} of {tables}, {bytes_to_human(max(0, written))} written "
                f"(the source has {bytes_to_human(size)}), {self.reported - self.start:.0f} s"
            )
            self.progress.append(text)
            for show in _show:
                show(text)

    def _verdict(self) -> tuple[str, str]:
        """Return the verdict and the rest of its line; both are empty while there is no verdict."""
        said = [line.partition(" ") for line in self.log.splitlines()]
        return next(((verdict, rest) for verdict, _space, rest in reversed(said) if verdict in VERDICTS), ("", ""))

    def _result(self) -> dict[str, Any]:
        for _attempt in range(RESULT_ATTEMPTS):
            verdict, rest = self._verdict()
            if verdict:
                break
            time.sleep(POLL_SECONDS)
            self._read()
        if verdict == "done":
            tables, size, source_size = map(int, rest.split())
            return {"tables": tables, "bytes": size, "source_bytes": source_size}
        if verdict:
            raise failure(self.ends, verdict, rest)
        why = explain(self.client, (self.client.namespace, self.job), Verdict({}, "the job ended without a message", self.alloc))
        raise failure(self.ends, "failed", why["reason"])
