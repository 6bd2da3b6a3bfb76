# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a transfer's job says while it runs and at its end, in words for whoever asked."""

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

from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    InfiniteError,
    InvalidInput,
    JobFailed,
    NomadError,
    NomadNoLeader,
    NomadUnreachable,
)
from ansible_collections.infinite.databases.plugins.module_utils.nomad import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.nomad_job_wait import ENDED, Verdict, explain, placement
from ansible_collections.infinite.databases.plugins.module_utils.transfer_lock import POLL_SECONDS, Lock
from ansible_collections.infinite.databases.plugins.module_utils.transfer_url import Place

TASK = "restore"
BEAT_SECONDS = 2.0
REPORT_SECONDS = 5.0
# How long Nomad may be out of reach, or without room for the job.
PATIENCE_SECONDS = 60.0

# What the job's last line begins with, and how often it is looked for before it is said that there is none.
VERDICTS = ("done", "missing", "occupied", "refused", "failed", "unknown")
RESULT_ATTEMPTS = 5

# What the ends' own words mean for whoever asked.
ADVICE = (
    (
        r"certificate verify failed|root certificate file",
        "give the CA by ca_file, or say sslmode=require in the URL to verify nothing",
    ),
    (r"server does not support SSL", "say sslmode=disable in the URL if it may go unencrypted"),
    (
        r"max_locks_per_transaction",
        'give the target more locks: provision.yml -e \'{"settings": {"max_locks_per_transaction": 512}}\'',
    ),
    (r"lock timeout", "somebody uses a table that is to be replaced; end those sessions and run again"),
    (r"heroku_ext", "Heroku keeps extensions in a schema of its own; docs/import-export.md says how to have one here"),
    (
        r"connection to server.*(closed the connection unexpectedly|unexpected eof)",
        "does it run, and do its allowed_cidrs let the node in?",
    ),
)
# Where progress is shown while it happens; a module process can only return it.
_show: list[Callable[[str], None]] = []


@contextmanager
def shown_by(show: Callable[[str], None]) -> Iterator[None]:
    """Have progress shown meanwhile."""
    _show.append(show)
    try:
        yield
    finally:
        _show.remove(show)


@dataclass(frozen=True)
class Ends:
    """What messages need to know: both places, and the description of a target that is ours."""

    source: Place
    target: Place
    target_spec: Mapping[str, Any] | None

    def masked(self, text: str) -> str:
        for secret in filter(None, (*self.source.secrets, *self.target.secrets)):
            text = text.replace(secret, "********")
        return text


def failure(ends: Ends, verdict: str, rest: str) -> InfiniteError:
    """The job's last line as an error that says what to do."""
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
            f"or do without: -e without_extensions={names}"
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
            f"{target} was lost while the transaction was being committed; see whether it has all, and if not, run again"
        )
    reason = re.sub(r"(psql(:<stdin>:\d+)?|pg_dump|pg_restore): (?=error|ERROR|FATAL|detail|hint)", "", ends.masked(rest))
    advice = next((f" ({text})" for pattern, text in ADVICE if re.search(pattern, reason)), "")
    return JobFailed(f"{target} is as it was, the transfer failed: {reason.strip()[:1500]}{advice}")


class Watch:
    """Follows the job to its end."""

    def __init__(self, client: NomadClient, ends: Ends, lock: Lock, job: str) -> None:
        self.client, self.ends, self.lock, self.job = client, ends, lock, job
        self.start = self.beaten = self.reported = time.monotonic()
        self.alloc, self.log, self.progress = "", b"", list[str]()
        # Ansible runs a task in a child, which nobody tells that the run was killed.
        self.parent = os.getppid()

    def run(self) -> dict[str, Any]:
        """What the job says at its end."""
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
            reason = placement(self.client.job.get(self.job, "evaluations")) or "its evaluation is still pending"
            raise JobFailed(f"{self.lock.database}: Nomad has no room for the transfer's job on its node: {reason}")
        return False

    def _read(self) -> None:
        """The log's new lines; there is none before the task has started."""
        with suppress(NomadError):
            answer = self.client.endpoint("client/fs/logs").send(
                "get", self.alloc, task=TASK, type="stdout", plain="true", origin="start", offset=str(len(self.log))
            )
            self.log += answer.content
        lines = [line.split() for line in self._lines() if line.startswith("progress ")]
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

    def _lines(self) -> list[str]:
        return self.log.decode(errors="replace").splitlines()

    def _result(self) -> dict[str, Any]:
        for _attempt in range(RESULT_ATTEMPTS):
            verdict, _space, rest = (self._lines() or [""])[-1].partition(" ")
            if verdict in VERDICTS:
                break
            time.sleep(POLL_SECONDS)
            self._read()
        if verdict == "done":
            tables, size, source_size = map(int, rest.split())
            return {"tables": tables, "bytes": size, "source_bytes": source_size}
        if verdict in VERDICTS:
            raise failure(self.ends, verdict, rest)
        why = explain(self.client, (self.client.namespace, self.job), Verdict({}, "the job ended without a word", self.alloc))
        raise failure(self.ends, "failed", why["reason"])
