# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs PostgreSQL's programs beside a database's server, and carries their input and output. Dumps and loads share this.

The programs are those of the server's own image. stream.nomad.hcl starts a container in the network of the server, and one of its
scripts is run there by Nomad's exec. The password is the first line of the script's input. Nothing is stored on the node.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.connection import IMPORT_ERROR, connect
from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import end_job
from ansible_collections.infinite.databases.plugins.module_utils._database.record import read_record
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.exec import Exec
from ansible_collections.infinite.databases.plugins.module_utils._nomad.hcl import parse_job
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import (
    ENDED,
    Verdict,
    explain,
    newest_allocation,
    placement,
)
from ansible_collections.infinite.databases.plugins.module_utils._transfer.transfer import SIZES
from ansible_collections.infinite.databases.plugins.module_utils._transfer.url import Place
from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    InfiniteError,
    InvalidInput,
    JobFailed,
    NomadDenied,
    NomadNotFound,
)
from ansible_collections.infinite.databases.plugins.module_utils.waiting import waiting

if not IMPORT_ERROR:
    import psycopg

TASK = "programs"
# stream_wait.sh ends the job if this does not happen for a minute or two.
ALIVE, ALIVE_SECONDS = ["touch", "/tmp/alive"], 15.0
EXEC_ATTEMPTS = 10
POLL_SECONDS = 0.1
# How long Nomad may have no room for the job.
PATIENCE_SECONDS = 60.0
# A file that is a descriptor of this process: `idb` passes its standard input or output on in this way.
DESCRIPTOR = re.compile(r"/dev/fd/(\d+)")
STANDARD = {"rb": "the standard input", "wb": "the standard output"}

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "name": {"type": "str", "required": True},
    "file": {"type": "path", "required": True},
    "images": {"type": "dict", "required": True},
    "stream_job": {"type": "str", "required": True},
    "stream_namespace": {"type": "str", "default": "dumps"},
    "domain": {"type": "str", "required": True},
    "port": {"type": "int", "default": 5432},
    "ca_cert": {"type": "str", "default": ""},
}


class Greeting:
    """Waits for the script's first line, which says that it reads its input. What comes later is for ``output``."""

    LINE = b"ready\n"

    def __init__(self, output: Callable[[str, bytes], None]) -> None:
        self.output, self.seen, self.problems = output, b"", b""

    def add(self, stream: str, data: bytes) -> None:
        if self.is_said():
            self.output(stream, data)
        elif stream == "stdout":
            self.seen += data
        else:
            self.problems += data

    def is_said(self) -> bool:
        return self.seen == self.LINE


class Beside:
    """A database of this environment, and a place for programs beside its server."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params, self.name = params, str(params["name"])
        if not params["file"]:
            raise InvalidInput("file: not given; add -e file=PATH, or use idb, which takes the standard output or input without it")
        self.client = NomadClient(params)
        self.jobs = NomadClient(dict(params) | {"nomad_namespace": params["stream_namespace"]})
        try:
            self.record = read_record(self.client, self.name)
        except NomadNotFound:
            raise InvalidInput(f"{self.name}: there is no such database; see `list` for the names there are") from None
        servers = [one for one in self.client.services("postgres") if one["JobID"] == self.name]
        if not servers:
            raise InvalidInput(f"{self.name}: its server does not run; start it (idb start {self.name})")
        self.server = servers[0]
        if self.version not in params["images"]:
            raise InvalidInput(f"{self.name}: there is no image of PostgreSQL {self.version} here; run site.yml with that version")

    @property
    def version(self) -> str:
        return str(self.record["version"])

    @property
    def api_calls(self) -> int:
        return self.client.api_calls + self.jobs.api_calls

    def variables(self, job: str) -> dict[str, Any]:
        return {
            "id": job,
            "namespace": self.jobs.namespace,
            "node": self.server["NodeID"],
            "network": f"container:postgres-{self.server['AllocID']}",
            "image": self.params["images"][self.version],
            "version": self.version,
            "user": self.record["user"],
            "database": self.name,
            "replace": bool(self.params.get("replace")),
            "without_extensions": self.params.get("without_extensions") or [],
            "extensions": self.record["spec"].get("extensions") or [],
        }

    @contextmanager
    def running(self, verb: str, script: list[str], output: Callable[[str, bytes], None]) -> Iterator[Exec]:
        """Start the job and the script in it. After the block, remove the job."""
        job = f"{verb}-{self.name}-{secrets.token_hex(4)}"
        try:
            self._submit(job)
            command = self._greeted(self._started(job), script, output)
            try:
                command.send(Place("", {}, self.record["password"]).passfile().encode())
                with self._kept_alive(command.alloc):
                    yield command
            finally:
                command.close()
        finally:
            # If the job cannot be removed now, it ends by itself.
            with suppress(InfiniteError):
                end_job(self.jobs, job, purge=True)

    def _greeted(self, alloc: str, script: list[str], output: Callable[[str, bytes], None]) -> Exec:
        """Run the script. Nomad may say that it has ended before it has begun; then it is tried again, as it did nothing."""
        problems = b""
        for _attempt in range(EXEC_ATTEMPTS):
            greeting = Greeting(output)
            command = Exec(self.jobs, alloc, TASK, ["/bin/sh", *script], greeting.add)
            try:
                command.run(done=greeting.is_said)
            except BaseException:
                command.close()
                raise
            if greeting.is_said():
                return command
            problems = greeting.problems or problems
            command.close()
        reason = " ".join(problems.decode("utf-8", "replace").split()) or "it ends at once"
        raise JobFailed(f"{self.name}: Nomad does not run {script[0]} beside the database: {reason}")

    @contextmanager
    def _kept_alive(self, alloc: str) -> Iterator[None]:
        """Tell the job again and again that this run still exists, also while the run waits for whoever reads its output."""
        ended, watch = Event(), run_watcher()

        def tell() -> None:
            while not ended.wait(ALIVE_SECONDS):
                # Nomad may be out of reach for a moment. If it stays so, the command's own connection fails, too.
                with suppress(InfiniteError):
                    watch()
                    alive = Exec(self.jobs, alloc, TASK, ALIVE, lambda _stream, _data: None)
                    try:
                        alive.run(done=ended.is_set)
                    finally:
                        alive.close()

        thread = Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _submit(self, job: str) -> None:
        try:
            specification = parse_job(self.jobs, self.params["stream_job"], self.variables(job))
            self.jobs.jobs.put(json={"Job": specification})
        except NomadDenied as denied:
            raise NomadDenied(
                f"{denied}; if this environment is older than the verbs dump and load, site.yml gives the right to use them"
            ) from None

    def _started(self, job: str) -> str:
        """Return the allocation, once its task runs."""
        key, deadline = (self.jobs.namespace, job), time.monotonic() + PATIENCE_SECONDS
        while True:
            alloc = newest_allocation(self.jobs, job, self.jobs.namespace)
            if alloc and ((alloc.get("TaskStates") or {}).get(TASK) or {}).get("State") == "running":
                return str(alloc["ID"])
            if alloc and alloc["ClientStatus"] in ENDED:
                why = explain(self.jobs, key, Verdict({}, "its job failed before it did anything", alloc["ID"]))
                raise JobFailed(f"{self.name}: {why['reason']}")
            if time.monotonic() > deadline:
                reason = (placement(self.jobs, key) if not alloc else "its task does not start") or "its evaluation is pending"
                raise JobFailed(f"{self.name}: Nomad cannot run the job beside the database: {reason}")
            time.sleep(POLL_SECONDS)

    def sizes(self) -> dict[str, int]:
        """Return the database's tables and bytes. This is for check mode, which runs no job."""
        if IMPORT_ERROR:
            return {}
        server = {"host": f"{self.name}.{self.params['domain']}", "port": self.params["port"]}
        with suppress(psycopg.Error), connect({**self.record, **server}, self.params["ca_cert"], 5) as connection:
            return dict(zip(("tables", "bytes"), connection.execute(SIZES).fetchone() or (), strict=True))
        return {}


def place_of(file: str, mode: str) -> str:
    """Return the file's name for messages."""
    return STANDARD[mode] if DESCRIPTOR.fullmatch(file) else file


def open_descriptor(file: str, flags: int) -> int:
    """Open a file, or return the descriptor that its name means. That one is not opened again: a socket cannot be, and a regular
    file would be written from its beginning."""
    given = DESCRIPTOR.fullmatch(file)
    if not given:
        return os.open(file, flags, 0o600)
    os.fstat(int(given[1]))
    return os.dup(int(given[1]))


def run_watcher() -> Callable[[], None]:
    """Return a function that raises an error once the run that this process belongs to has been killed.

    Ansible runs a task in a child process. If the run is killed, the child notices it only by its new parent.
    """
    parent = os.getppid()

    def watch() -> None:
        if os.getppid() != parent:
            raise JobFailed("The run was killed")

    return watch


def carry(command: Exec, source: int | None, done: Callable[[], bool], progress: Callable[[], str]) -> int | None:
    """Run the command until it is done, or until it ends by itself with the returned status."""
    watch = run_watcher()

    def is_done() -> bool:
        watch()
        return done()

    with waiting(progress):
        return command.run(source, is_done)
