# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds out why databases that should run do not run, from one list of all allocations and the logs of those that failed.

https://developer.hashicorp.com/nomad/api-docs/allocations#list-allocations: TaskStates, with the last events of each task.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import newest
from ansible_collections.infinite.databases.plugins.module_utils._nomad.task_log import last_log

TASK = "postgres"
# Types of events that do not say why a task failed.
UNTELLING = ("Restarting", "Received", "Task Setup", "Driver", "Started", "Killing", "Not Restarting")
# Lines in which PostgreSQL, or start.sh, says why it ended.
CAUSE = re.compile(r"^(?:.*\b(?:FATAL|PANIC): +|database [a-z0-9-]+: )(.+)$", re.MULTILINE)
LOG_BYTES = 4000


def failed(allocs: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return, by the job's id, the newest allocation of each job whose task has failed and does not run now."""
    by_job: dict[str, list[Mapping[str, Any]]] = {}
    for alloc in allocs:
        by_job.setdefault(alloc["JobID"], []).append(alloc)
    last = {job: newest(of_job) or {} for job, of_job in by_job.items()}
    return {job: dict(alloc) for job, alloc in last.items() if (task := task_of(alloc)) and has_failed(task)}


def task_of(alloc: Mapping[str, Any]) -> Mapping[str, Any]:
    return (alloc.get("TaskStates") or {}).get(TASK) or {}


def has_failed(task: Mapping[str, Any]) -> bool:
    return task["State"] != "running" and bool(task["Failed"] or task["Restarts"])


def telling(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the task's events that say how the task ended, the first first."""
    return [one for one in task.get("Events") or [] if one["Type"] not in UNTELLING and one["DisplayMessage"]]


def event(task: Mapping[str, Any]) -> str:
    """Return the last of these events in Nomad's words."""
    found = telling(task)
    return str(found[-1]["DisplayMessage"]) if found else "its task failed"


def cause(log: str) -> str:
    """Return the last reason in the log; empty if the log gives none."""
    found = CAUSE.findall(log)
    return str(found[-1]).strip()[:200] if found else ""


def failing(client: NomadClient, names: Iterable[str], with_log: bool = True) -> dict[str, str]:
    """Return why databases have failed, for each database that has failed and does not run now.

    The reason comes from the server's log, or else from Nomad's last event. Without names, Nomad is not asked.
    """
    wanted = set(names)
    if not wanted:
        return {}
    found = failed(one for one in client.endpoint("allocations").get(namespace=client.namespace) if one["JobID"] in wanted)

    def reason(name: str) -> str:
        alloc = found[name]
        log = last_log(client, alloc["ID"], TASK, client.namespace, LOG_BYTES) if with_log else ""
        return cause(log) or event(task_of(alloc))

    return dict(zip(found, values(client.map(reason, found)), strict=True))
