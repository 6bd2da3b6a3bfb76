# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what the nodes' backup agents say of the databases. roles/backup/files/agent.py writes them into a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadError, NomadNotFound

# The agents' job, and their file in the allocation's directory (role backup).
JOB = "_backup"
FILE = "alloc/data/backups.json"
# An agent writes its file every few seconds. One that has not for so long does not work.
SILENCE_SECONDS = 60.0
# PostgreSQL's files of the write-ahead log that wait for longer than this are an alarm.
PENDING_SECONDS = 300.0
# PostgreSQL ends a file of the log at most a minute after the file's first change (archive_timeout). PostgreSQL and the agent then
# need some seconds to notice.
FILE_SECONDS = 70.0
# An agent knows a new database within this time.
NEW_SECONDS = 60.0
# So long an agent may take until it has copied a record, or has seen that the copy is right.
RECORD_SECONDS = 300.0
DAY_SECONDS = 86400.0
# What an older agent does not say, until site.yml has replaced it.
UNSAID = {"record_error": "", "continuous": True, "accepted": []}


def read_states(client: NomadClient) -> dict[str, dict[str, Any]]:
    """Return what the agents say of each stanza. If there are no agents, return nothing.

    It costs one request, and one for each node. A node that does not answer is left out.
    """
    try:
        allocs = client.job.get(JOB, "allocations")
    except NomadNotFound:
        return {}

    def read(alloc: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        try:
            told = client.endpoint("client/fs/cat").get(alloc["ID"], path=FILE, namespace=client.namespace)
        except (NomadError, ValueError):
            # The node is away, or its agent has only just started.
            return {}
        said = {"time": told["time"], "schedule": told["schedule"]}
        return {stanza: UNSAID | {"recorded": told["time"]} | state | said for stanza, state in told["stanzas"].items()}

    running = [one for one in allocs if one["ClientStatus"] == "running"]
    return {stanza: state for found in values(client.map(read, running)) for stanza, state in found.items()}


def of_database(states: Mapping[str, Mapping[str, Any]], record: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Return the summary of a database's backups, from what the agents say of all stanzas."""
    state = states.get(record["volume"])
    is_wanted = record["spec"].get("backup", True) and not record["destroyed"] and not record["erasing"]
    # No agent can know a database that has not run yet.
    is_new = bool(record["restore"]) or now - record["created_at"] < NEW_SECONDS
    return summary(state, is_wanted and not (state is None and is_new), now)


def summary(state: Mapping[str, Any] | None, is_wanted: bool, now: float) -> dict[str, Any]:
    """Return what is shown of a database's backups. Times are seconds since 1970, sizes are bytes.

    ``last`` is when the newest backup was finished. ``oldest`` and ``newest`` are the first and the last moment that can be
    restored. ``pending`` is how much of the write-ahead log is not archived yet, and ``pending_since`` is since when.
    ``tested`` is when the database was last restored to test it, with success, and ``test`` has the details
    (roles/backup/files/tester.py).
    """
    backups = (state or {}).get("backups") or []
    test = (state or {}).get("test")
    return {
        "last": backups[-1]["stop"] if backups else None,
        "oldest": backups[0]["stop"] if backups else None,
        "newest": newest(state) if state and backups else None,
        "backups": backups,
        "pending": state["pending_bytes"] if state else None,
        "pending_since": state["pending_since"] if state else None,
        "tested": test["time"] if test else None,
        "test": test,
        "alarm": alarm(state, now) if is_wanted else "",
    }


def newest(state: Mapping[str, Any]) -> int:
    """Return a moment before which every commit is in the repository. If the host is lost now, this is what can be restored.

    The moment is the agent's last word, or the end of the first file that waits, less the time for which a file may be open. A
    backup comes with the log that was written during the backup. After a gap in the log, there is nothing more than the backup.
    """
    archived = (state["pending_since"] or state["time"]) - FILE_SECONDS if state["continuous"] else 0
    return int(max(archived, state["backups"][-1]["stop"]))


def alarm(state: Mapping[str, Any] | None, now: float) -> str:
    """Return what is wrong with a database's backups; empty if nothing is."""
    if state is None:
        return "it is not backed up: no agent knows it; provision it, which restarts it, or see docs/backup.md"
    if now - state["time"] > SILENCE_SECONDS:
        return f"its node's backup agent has said nothing for {_minutes(now - state['time'])}"
    if state["pending_since"] and now - state["pending_since"] > PENDING_SECONDS:
        why = state["archive_error"] or "archiving is too slow"
        return f"its log has not been archived for {_minutes(now - state['pending_since'])}: {why}"
    if state["backup_error"]:
        return f"its backup failed: {state['backup_error']}"
    recorded = state["recorded"] or state["seen"]
    if state["record_error"] or (state["running"] and state["time"] - recorded > RECORD_SECONDS):
        why = state["record_error"] or "the agent's log may say why"
        return f"its record is not in the repository, so `recover` would not bring it back: {why}"
    # A database that does not run has nothing new. A backup may wait for others, and takes its time.
    period = state["schedule"]["differential"]
    newest = state["backups"][-1]["stop"] if state["backups"] else state["seen"]
    if state["running"] and now - newest > max(1.25 * period, period + 3600):
        return f"its newest backup is {_minutes(now - newest)} old"
    return _test_alarm(state, now)


def _test_alarm(state: Mapping[str, Any], now: float) -> str:
    # Agents before the first test restores say nothing of them.
    period, test = state["schedule"].get("test"), state.get("test")
    if not period or not test or not state["backups"]:
        return ""
    if test["error"]:
        return f"its test restore failed: {test['error']}"
    # A test may wait for others, and takes its time.
    since = test["time"] or test["since"]
    return f"no restore of it was tested for {_minutes(now - since)}" if now - since > period + DAY_SECONDS else ""


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"
