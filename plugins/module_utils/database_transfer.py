# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copy a database into another, by a job beside one that is ours: nothing of the data passes through this machine.

- ``nomad/jobs/_transfer-<database>`` is the lock: which job it is. It is written again every few seconds, so that a lock which
  nobody writes any more is known for that of a run that was interrupted.
- ``nomad/jobs/_transfer-<database>_<random>`` is what that job reads: how to connect to both ends.

An underscore is in no database's name, so that neither is ever a database's. transfer.nomad.hcl does the rest, in one
transaction: whenever anything ends early, the target is as it was.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from ansible.module_utils.common.parameters import env_fallback
from ansible.module_utils.common.text.formatters import bytes_to_human

from ansible_collections.infinite.databases.plugins.module_utils import transfer_url
from ansible_collections.infinite.databases.plugins.module_utils.database_keys import check_name
from ansible_collections.infinite.databases.plugins.module_utils.database_record import WANTED, read_record
from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    InfiniteError,
    InvalidInput,
    JobFailed,
    NomadConflict,
    NomadError,
    NomadNoLeader,
    NomadNotFound,
    NomadUnreachable,
)
from ansible_collections.infinite.databases.plugins.module_utils.nomad import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.nomad_hcl import parse_job
from ansible_collections.infinite.databases.plugins.module_utils.nomad_job_wait import (
    ENDED,
    Verdict,
    explain,
    placement,
    wait_for,
)
from ansible_collections.infinite.databases.plugins.module_utils.pool import end_job
from ansible_collections.infinite.databases.plugins.module_utils.postgresql import IMPORT_ERROR, connect
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec
from ansible_collections.infinite.databases.plugins.module_utils.transfer_url import Place

if not IMPORT_ERROR:
    import psycopg

JOB_PREFIX = "_transfer-"
TASK = "restore"
POLL_SECONDS = 0.5
BEAT_SECONDS = 2.0
# A lock that was not written for so long is nobody's.
STALE_SECONDS = 10.0
REPORT_SECONDS = 5.0
# How long Nomad may be out of reach, or without room for the job.
PATIENCE_SECONDS = 60.0
STOP_SECONDS = 30.0

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "source": {"type": "str"},
    "source_file": {"type": "path"},
    "source_url": {"type": "str", "no_log": True, "fallback": (env_fallback, ["SOURCE_URL"])},
    "target": {"type": "str"},
    "target_file": {"type": "path"},
    "target_url": {"type": "str", "no_log": True, "fallback": (env_fallback, ["TARGET_URL"])},
    "ca_file": {"type": "path"},
    "replace": {"type": "bool", "default": False},
    "without_extensions": {"type": "list", "elements": "str", "default": []},
    "images": {"type": "dict", "required": True},
    "transfer_job": {"type": "str", "required": True},
    "domain": {"type": "str", "required": True},
    "port": {"type": "int", "default": 5432},
    "ca_cert": {"type": "str", "default": ""},
}

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


class Lost(InfiniteError):
    """Another run took this one for interrupted, and ended it."""


class Lock:
    """One transfer for each database at a time."""

    def __init__(self, client: NomadClient, database: str, job: str) -> None:
        self.client, self.database = client, database
        self.path, self.items, self.index = WANTED + JOB_PREFIX + database, {"job": job}, 0

    def take(self) -> str:
        """The job of an interrupted run, which is to be ended; empty if there is none."""
        held = self._held()
        end = time.monotonic() + STALE_SECONDS
        while held and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
            now = self._held()
            if now and now["ModifyIndex"] != held["ModifyIndex"]:
                raise self._refusal()
            held = now
        try:
            self._write(held["ModifyIndex"] if held else 0)
        except NomadConflict:
            raise self._refusal() from None
        return str(held["Items"]["job"]) if held else ""

    def beat(self) -> None:
        try:
            self._write(self.index)
        except NomadConflict:
            raise Lost(f"{self.database}: another run took this one for interrupted; see what that one says") from None

    def release(self) -> None:
        with suppress(NomadConflict):
            self.client.variables.delete(self.path, cas=self.index)

    def _held(self) -> dict[str, Any] | None:
        try:
            return self.client.variables.read(self.path)
        except NomadNotFound:
            return None

    def _write(self, index: int) -> None:
        self.index = int(self.client.variables.write(self.path, self.items, cas=index)["ModifyIndex"])

    def _refusal(self) -> InvalidInput:
        return InvalidInput(f"{self.database}: a transfer of it is under way, and nothing was changed; wait for its end")


class Transfer:
    """Source, target, and the database of ours that the job runs beside."""

    def __init__(self, client: NomadClient, params: Mapping[str, Any]) -> None:
        self.client, self.params = client, params
        self.names = {end: self._name(end) for end in ("source", "target")}
        self.beside = self.names["target"] or self.names["source"]
        if not self.beside:
            raise InvalidInput("Neither source nor target is a database of this environment; name one of them")
        if self.names["source"] == self.names["target"]:
            raise InvalidInput(f"{self.beside}: a database cannot be copied into itself; name another")
        self.records = {name: self._record(name) for name in self.names.values() if name}
        self.servers = {one["JobID"]: one for one in client.services("postgres") if one["JobID"] in self.records}
        for name in self.records:
            if name not in self.servers:
                raise InvalidInput(f"{name}: its server does not run; start it (start.yml -e db={name})")
        self.places = {end: self._place(end) for end in ("source", "target")}

    def _name(self, end: str) -> str:
        given = self.params[end]
        if not given or transfer_url.is_url(given):
            return ""
        try:
            return check_name(given)
        except ValueError as error:
            raise InvalidInput(f"{end}: {error}") from None

    def _record(self, name: str) -> dict[str, Any]:
        try:
            return read_record(self.client, name)
        except NomadNotFound:
            raise InvalidInput(f"{name}: there is no such database; see `list` for the names there are") from None

    def _place(self, end: str) -> Place:
        if self.names[end]:
            return self._ours(self.records[self.names[end]])
        verb = {"source": "from", "target": "to"}[end]
        given, path, url = (self.params[option] for option in (end, f"{end}_file", f"{end}_url"))
        if given:
            place = transfer_url.place_of(end, given, self.params["ca_file"])
            if place.password:
                raise InvalidInput(
                    f"{end}: a password does not belong into arguments, which others can see; give the URL in the environment "
                    f"variable {end.upper()}_URL, or in a file (-e {verb}_file=PATH)"
                )
            return place
        if path:
            return transfer_url.place_of(f"{end}_file", transfer_url.read_url(f"{end}_file", path), self.params["ca_file"])
        if url:
            return transfer_url.place_of(f"{end.upper()}_URL", url, self.params["ca_file"])
        raise InvalidInput(
            f"{end}: not given; add -e {verb}=NAME for a database of this environment, or put the URL of another into the "
            f"environment variable {end.upper()}_URL or a file (-e {verb}_file=PATH)"
        )

    def _ours(self, record: Mapping[str, Any]) -> Place:
        """In the network of its own server where the job is on that node; from elsewhere, as its users come."""
        name, server = record["name"], self.servers[record["name"]]
        options = {"user": record["user"], "dbname": name}
        if server["NodeID"] == self.servers[self.beside]["NodeID"]:
            options |= {"host": "127.0.0.1", "port": "5432", "sslmode": "disable"}
            network = f"container:postgres-{server['AllocID']}"
            return Place(name, options, record["password"], network=network, secrets=[record["password"]])
        addresses = {node["ID"]: node["Address"] for node in self.client.endpoint("nodes").get()}
        ca = (
            transfer_url.read_certificates("ca_cert", self.params["ca_cert"])
            if self.params["ca_cert"]
            else transfer_url.system_cas()
        )
        options |= {
            "host": f"{name}.{self.params['domain']}",
            "hostaddr": addresses[server["NodeID"]],
            "port": str(self.params["port"]),
            "sslmode": "verify-full",
            "sslrootcert": transfer_url.CA_FILE,
        }
        return Place(name, options, record["password"], ca, secrets=[record["password"]])

    def variables(self, job: str) -> dict[str, Any]:
        version = self.records[self.beside]["version"]
        if version not in self.params["images"]:
            raise InvalidInput(f"{self.beside}: there is no image of PostgreSQL {version} here; run site.yml with that version")
        return {
            "id": job,
            "namespace": self.client.namespace,
            "node": self.servers[self.beside]["NodeID"],
            "image": self.params["images"][version],
            "version": version,
            "networks": {end: place.network for end, place in self.places.items()},
            "cas": {end: place.ca for end, place in self.places.items()},
            "replace": self.params["replace"],
            "without_extensions": self.params["without_extensions"],
        }

    def credentials(self) -> dict[str, str]:
        items: dict[str, str] = {}
        for end, place in self.places.items():
            items |= {f"{end}_service": place.service(end), f"{end}_pass": place.passfile()}
        return items

    def look(self) -> dict[str, dict[str, int]]:
        """Tables and bytes of the ends that are ours; for check mode, which runs no job."""
        found = {}
        for end, name in self.names.items():
            if not name or IMPORT_ERROR:
                continue
            server = {"host": f"{name}.{self.params['domain']}", "port": self.params["port"]}
            with suppress(psycopg.Error), connect({**self.records[name], **server}, self.params["ca_cert"], 5) as connection:
                row = connection.execute(
                    "select (select count(*) from pg_stat_user_tables), pg_database_size(current_database())"
                ).fetchone()
                found[end] = dict(zip(("tables", "bytes"), row or (), strict=True))
        return found

    def masked(self, text: str) -> str:
        for place in self.places.values():
            for secret in filter(None, place.secrets):
                text = text.replace(secret, "********")
        return text


def failure(transfer: Transfer, verdict: str, rest: str) -> InfiniteError:
    """The job's last line as an error that says what to do."""
    target, name = transfer.places["target"].label, transfer.names["target"]
    if verdict == "missing":
        missing = rest.split(",")
        if not name:
            return InvalidInput(f"{target} lacks extensions of the source, and nothing was changed; create {rest} there first")
        wanted = sorted({*(transfer.records[name]["spec"].get("extensions") or []), *missing})
        argument = json.dumps({"extensions": wanted})
        return InvalidInput(
            f"{target} lacks extensions of the source, and nothing was changed; run provision.yml -e db={name} -e '{argument}', "
            f"or do without: -e without_extensions={rest}"
        )
    if verdict == "occupied":
        return InvalidInput(
            f"{target} is not empty ({rest} tables, views, sequences and functions), and nothing was changed; "
            "-e replace=true drops all that it has"
        )
    if verdict == "refused":
        return InvalidInput(f"{target} was not changed: {rest}")
    reason = re.sub(r"(psql(:<stdin>:\d+)?|pg_dump|pg_restore): (?=error|ERROR|FATAL|detail|hint)", "", transfer.masked(rest))
    advice = next((f" ({text})" for pattern, text in ADVICE if re.search(pattern, reason)), "")
    return JobFailed(f"{target} is as it was, the transfer failed: {reason.strip()[:1500]}{advice}")


class Watch:
    """Follows the job to its end."""

    def __init__(self, transfer: Transfer, lock: Lock, job: str) -> None:
        self.transfer, self.lock, self.job, self.client = transfer, lock, job, transfer.client
        self.start = self.beaten = self.reported = time.monotonic()
        self.alloc, self.log, self.progress = "", "", list[str]()
        # Ansible runs a task in a child, which nobody tells that the run was killed.
        self.parent = os.getppid()

    def run(self) -> dict[str, Any]:
        """What the job says at its end."""
        good = time.monotonic()
        while True:
            if os.getppid() != self.parent:
                raise JobFailed(f"{self.transfer.places['target'].label}: interrupted")
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
            raise JobFailed(f"{self.transfer.beside}: Nomad has no room for the transfer's job on its node: {reason}")
        return False

    def _read(self) -> None:
        """The log's new lines; there is none before the task has started."""
        with suppress(NomadError):
            self.log += (
                self.client.endpoint("client/fs/logs")
                .send("get", self.alloc, task=TASK, type="stdout", plain="true", origin="start", offset=str(len(self.log.encode())))
                .text
            )
        lines = [line.split() for line in self.log.splitlines() if line.startswith("progress ")]
        if lines and time.monotonic() - self.reported >= REPORT_SECONDS:
            self.reported = time.monotonic()
            begun, tables, written, size = map(int, lines[-1][1:])
            text = (
                f"{self.transfer.places['target'].label}: table {begun} of {tables}, {bytes_to_human(max(0, written))} written "
                f"(the source has {bytes_to_human(size)}), {self.reported - self.start:.0f} s"
            )
            self.progress.append(text)
            for show in _show:
                show(text)

    def _result(self) -> dict[str, Any]:
        last = (self.log.splitlines() or [""])[-1]
        verdict, _, rest = last.partition(" ")
        if verdict == "done":
            tables, size, source_size = map(int, rest.split())
            return {"tables": tables, "bytes": size, "source_bytes": source_size}
        if verdict in ("missing", "occupied", "refused", "failed"):
            raise failure(self.transfer, verdict, rest)
        why = explain(self.client, (self.client.namespace, self.job), Verdict({}, "the job ended without a word", self.alloc))
        raise failure(self.transfer, "failed", why["reason"])


def remove(client: NomadClient, job: str) -> None:
    """A job, once it has stopped, and what it reads."""
    end_job(client, job)
    key = (client.namespace, job)
    if wait_for(client, [key], STOP_SECONDS, stopping=True)[key].error:
        raise JobFailed(f"The job {job} did not stop within {STOP_SECONDS:g} s; see `nomad job status -namespace={key[0]} {job}`")
    end_job(client, job, purge=True)
    client.variables.delete(WANTED + job)


def move(transfer: Transfer) -> dict[str, Any]:
    client, job = transfer.client, f"{JOB_PREFIX}{transfer.beside}_{secrets.token_hex(4)}"
    lock = Lock(client, transfer.beside, job)
    specification = parse_job(client, transfer.params["transfer_job"], transfer.variables(job))
    interrupted = lock.take()
    try:
        if interrupted:
            remove(client, interrupted)
        client.variables.write(WANTED + job, transfer.credentials())
        watch = Watch(transfer, lock, job)
        client.jobs.put(json={"Job": specification})
        result = watch.run()
        return result | {"progress": watch.progress, "seconds": round(time.monotonic() - watch.start, 1)}
    except Lost:
        job = ""
        raise
    finally:
        # What cannot be removed now is left to the next run, which finds it by the lock.
        with suppress(InfiniteError):
            if job:
                remove(client, job)
                lock.release()


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    transfer = Transfer(client, params)
    result: dict[str, Any] = {"changed": True} | {end: place.label for end, place in transfer.places.items()}
    if check_mode:
        found = transfer.look()
        if found.get("target", {}).get("tables") and not params["replace"]:
            raise failure(transfer, "occupied", str(found["target"]["tables"]))
        return result | {"found": found, "api_calls": client.api_calls}
    return result | move(transfer) | {"api_calls": client.api_calls}


SPEC = ModuleSpec(
    ARGUMENT_SPEC,
    run,
    mutually_exclusive=[["source", "source_file"], ["target", "target_file"]],
    # A URL that holds a password is refused, and must not be shown for it.
    hide_parameters=True,
)
