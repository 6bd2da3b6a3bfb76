# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restores a database's backup, and its write-ahead log up to a moment, into the volume of a new database.

``begin`` decides what is restored, before anything is made. ``database_claim`` then notes it in the new record, so that nothing
runs on the volume before ``finish`` has restored it: recovery.nomad.hcl does so on the volume's node, and renames what it finds.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._backup.moment import read_moment, shown
from ansible_collections.infinite.databases.plugins.module_utils._backup.order import Orders, refusal
from ansible_collections.infinite.databases.plugins.module_utils._backup.records import (
    find_saved,
    is_directory,
    read_repository,
    read_saved,
)
from ansible_collections.infinite.databases.plugins.module_utils._backup.state import read_states
from ansible_collections.infinite.databases.plugins.module_utils._database.description import job_variables
from ansible_collections.infinite.databases.plugins.module_utils._database.keys import NOT_COPIED
from ansible_collections.infinite.databases.plugins.module_utils._database.record import (
    ROLES,
    WANTED,
    change,
    find_record,
    other_login,
    role_name,
)
from ansible_collections.infinite.databases.plugins.module_utils._database.restart import running_allocs
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.hcl import parse_job
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import (
    Verdict,
    explain,
    newest_allocation,
    wait_for,
)
from ansible_collections.infinite.databases.plugins.module_utils._nomad.task_log import TaskLog
from ansible_collections.infinite.databases.plugins.module_utils._transfer.lock import JOB_PREFIX, Lock, interruptible, locked
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput, JobFailed
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

TASK = "recovery"
ARCHIVE_SECONDS = 120.0
# The lock of a transfer has to be renewed more often than every ten seconds.
BEAT_SECONDS = 2.0
# recovery.sh ends with one of these lines.
VERDICT = re.compile(r"^(done|failed) (.*)", re.MULTILINE)

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "name": {"type": "str", "required": True},
    "step": {"type": "str", "choices": ["begin", "finish"], "required": True},
    "source": {"type": "str", "default": ""},
    "at": {"type": "str", "default": ""},
    "restore": {"type": "dict", "default": {}},
    "images": {"type": "dict", "default": {}},
    "defaults": {"type": "dict", "default": {}},
    "domain": {"type": "str", "default": ""},
    "recovery_job": {"type": "str", "default": ""},
    "records_job": {"type": "str", "default": ""},
    "wait_timeout": {"type": "float", "default": 86400},
}


def check_moment(source: str, moment: datetime | None, state: Mapping[str, Any] | None) -> None:
    """Raise InvalidInput if the repository has nothing of the source, or nothing from before the moment.

    If no agent says what the repository has, the restore itself will tell.
    """
    if state is None or state["backups"] is None:
        return
    if not state["backups"]:
        raise InvalidInput(f"{source}: there is no backup of it; make one (idb backup {source})")
    oldest = datetime.fromtimestamp(state["backups"][0]["stop"], UTC)
    if moment and moment <= oldest:
        raise InvalidInput(f"{source}: {shown(moment)} is before its first backup, which was finished at {shown(oldest)}")


def renames(source: str, name: str) -> list[str]:
    """Return the roles that have another name in the new database, as OLD:NEW."""
    if source == name:
        return []
    pairs = []
    for role in ROLES:
        first, new = role_name(source, role), role_name(name, role)
        pairs += [(first, new), (other_login(source, role, first), other_login(name, role, new))]
    # Roles of long names, which are cut, may have the same name in both.
    return [f"{old}:{new}" for old, new in pairs if old != new]


def find_erased(client: NomadClient, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a database that is gone, from the repository."""
    source = params["source"]
    if params["records_job"]:
        if found := find_saved(read_saved(client, params["records_job"], params["images"]).copies, source):
            return found
        raise InvalidInput(f"{source}: there is no such database, and no backup of one; see `list` for the names there are")
    raise InvalidInput(f"{source}: there is no such database; see `list` for the names there are")


def begin(client: NomadClient, params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    name, source = params["name"], params["source"]
    now = datetime.now(UTC)
    try:
        moment = read_moment(params["at"], now)
    except ValueError as error:
        raise InvalidInput(f"at: {error}") from None
    record = find_record(client, source) or find_erased(client, params)
    # For a volume, the name of the database that it had.
    source = record["name"]
    target = find_record(client, name)
    if target and not target["restore"]:
        raise InvalidInput(f"{name}: a database of this name exists; restore under another name, or purge it first")
    state = read_states(client).get(record["volume"])
    check_moment(source, moment, state)
    is_running = bool(running_allocs(client, [source])[source])
    reach, note = "", ""
    if record.get("erased"):
        note = f"{source} was erased at {shown(datetime.fromtimestamp(record['erased'], UTC))}"
    elif why := refusal(record | {"destroyed": 0}, state, is_running, time.time()):
        # A server that was stopped has had its log archived, unless its node's agent still waits.
        if is_running or state is None or state["pending"]:
            note = f"{source}: {why}. So commits that were not archived yet are missing"
    elif not check_mode:
        # What was committed until now is to be in the repository.
        done = Orders(client, [record], "wal").wait(ARCHIVE_SECONDS)
        if source not in done:
            raise JobFailed(f"{source}: its log was not archived within {ARCHIVE_SECONDS:g} s; see `backups` for the reason")
        reach = done[source]["reach"]
    return {
        "restore": {
            "source": source,
            "stanza": record["volume"],
            "at": moment.isoformat() if moment else "",
            "reach": reach,
        },
        "description": {key: value for key, value in record["spec"].items() if key not in NOT_COPIED}
        | {"version": record["version"]},
        "at": shown(moment) if moment else "its latest state",
        "note": note,
    }


def await_job(client: NomadClient, lock: Lock, job: str, seconds: float, stopping: threading.Event | None) -> Verdict:
    """Wait until the job has ended, and renew the lock meanwhile."""
    key, late = (client.namespace, job), f"it was not ready within {BEAT_SECONDS:g} s"
    deadline = time.monotonic() + seconds
    while True:
        lock.beat()
        if stopping and stopping.is_set():
            raise JobFailed(f"{lock.database}: interrupted")
        verdict = wait_for(client, [key], BEAT_SECONDS)[key]
        if verdict.error == late and time.monotonic() > deadline:
            verdict.error = f"it was not done within {seconds:g} s"
        if verdict.error != late:
            return verdict


def restore_data(
    client: NomadClient,
    params: Mapping[str, Any],
    record: Mapping[str, Any],
    repository: Mapping[str, str],
    stopping: threading.Event | None = None,
) -> str:
    """Restore into the record's volume what the record says, and note that it is done. Return the time of the last transaction.

    A restore is a transfer: see lock.py for what ends an interrupted one. ``stopping`` ends it from another thread.
    """
    name, asked = record["name"], record["restore"]
    job = f"{JOB_PREFIX}{name}_{secrets.token_hex(4)}"
    variables = job_variables(record, params["defaults"], params["images"], params["domain"], client.namespace)
    own = {"id": job, "name": name, "renames": renames(asked["source"], name)}
    own |= {key: asked[key] for key in ("stanza", "at", "source", "reach")}
    own |= {key: variables[key] for key in ("namespace", "image", "volume", "version", "memory", "memory_max", "settings")}
    own["directory"] = is_directory(repository)
    specification = parse_job(client, params["recovery_job"], own)
    with locked(client, name, job) as lock:
        client.variables.write(WANTED + job, repository)
        client.jobs.put(json={"Job": specification})
        verdict = await_job(client, lock, job, params["wait_timeout"], stopping)
        alloc = newest_allocation(client, job, client.namespace)
        said = VERDICT.search(TaskLog(client, alloc["ID"], TASK, "stdout").last(8000)) if alloc else None
        if not said or said[1] != "done":
            why = said[2] if said else explain(client, (client.namespace, job), verdict)["reason"]
            raise JobFailed(f"{name}: {asked['source']} could not be restored: {why}; run it again, or purge {name}")
    change(client, record, lambda now: dict(now) | {"restore": {}})
    return said[2]


def finish(client: NomadClient, params: Mapping[str, Any]) -> dict[str, Any]:
    name, started = params["name"], time.monotonic()
    record = find_record(client, name)
    if record is None or record["erasing"] or record["destroyed"]:
        raise InvalidInput(f"{name}: it was ended by another run meanwhile")
    if record["restore"] != params["restore"]:
        raise InvalidInput(f"{name}: another run restores it, or has restored it; see `info` for what it has")
    repository = read_repository(client)
    with interruptible(name):
        until = restore_data(client, params, record, repository)
    return {"until": until, "seconds": round(time.monotonic() - started, 1)}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    if params["step"] == "begin":
        result = begin(client, params, check_mode)
    else:
        result = {"until": "", "seconds": 0} if check_mode else finish(client, params)
    return {"changed": params["step"] == "finish", "api_calls": client.api_calls} | result


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
