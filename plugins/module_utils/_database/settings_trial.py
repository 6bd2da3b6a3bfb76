# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lets PostgreSQL itself check settings, before anything is made or changed.

A batch job asks the image's server whether it would start with the settings. The running server is not touched, and provisioning
needs no right to run commands in its container.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.description import memory_of, settings_of
from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import end_job
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils._nomad.hcl import parse_job
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import exhausted_jobs, explain, wait_for
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput, JobFailed

JOB_PREFIX = "_settings-"
TRIAL_SECONDS = 120.0
# The keys whose values only PostgreSQL can check.
JUDGED = ("settings", "connections")
# The severity in a line of the log, after any log_line_prefix. The rest of the line is the reason, or what to do.
REASON = re.compile(r"(?:^|\s)(?:FATAL|DETAIL|HINT|postgres):\s+(.*)")


@dataclass(frozen=True)
class Trial:
    """The version, memory and settings with which one server is tried."""

    version: str
    memory_max: int
    settings: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Change:
    """A database whose description changes. For a new database, ``before`` is empty."""

    name: str
    version: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


def trials(changes: Iterable[Change], defaults: Mapping[str, Any]) -> dict[Trial, list[str]]:
    """Return the trials to make, each with the names of its databases."""
    found: dict[Trial, list[str]] = {}
    for change in changes:

        def trial(spec: Mapping[str, Any], change: Change = change) -> Trial:
            memory_max = memory_of(spec, defaults)[1]
            return Trial(change.version, memory_max, tuple(sorted(settings_of(change.name, spec, memory_max).items())))

        if any(change.after.get(key) for key in JUDGED) and trial(change.after) != trial(change.before):
            found.setdefault(trial(change.after), []).append(change.name)
    return found


def reasons(log: str) -> str:
    """Return the server's reasons from its log."""
    return "; ".join(match[1].strip() for line in log.splitlines() if (match := REASON.search(line)))


def refusals(client: NomadClient, job: str, images: Mapping[str, str], wanted: Sequence[Trial]) -> dict[Trial, str]:
    """Return the trials that failed, each with the reason.

    If no node has room for a trial, it counts as passed: the start will tell.
    """

    def register(trial: Trial) -> str:
        name = JOB_PREFIX + secrets.token_hex(6)
        variables = {
            "id": name,
            "namespace": client.namespace,
            "image": images[trial.version],
            "version": trial.version,
            "memory_max": trial.memory_max,
            "settings": dict(trial.settings),
        }
        answer = client.jobs.put(json={"Job": parse_job(client, job, variables)})
        evaluations[client.namespace, name] = answer["EvalID"]
        return name

    evaluations: dict[tuple[str, str], str] = {}
    names = dict(zip(wanted, values(client.map(register, wanted)), strict=True))
    try:
        placed = evaluations.keys() - exhausted_jobs(client, evaluations).keys()
        verdicts = wait_for(client, placed, TRIAL_SECONDS)
        found = {}
        for trial, name in names.items():
            verdict = verdicts.get((client.namespace, name))
            if verdict and verdict.error:
                why = explain(client, (client.namespace, name), verdict)
                if not (said := reasons(why["log"])):
                    raise JobFailed(f"Nomad at {client.address}: settings could not be tried: {why['reason']}")
                found[trial] = said
        return found
    finally:
        client.map(lambda name: end_job(client, name, purge=True), names.values())


def try_settings(client: NomadClient, job: str, images: Mapping[str, str], wanted: Mapping[Trial, Sequence[str]]) -> None:
    """Raise InvalidInput if PostgreSQL refuses any of the settings."""
    refused = refusals(client, job, images, list(wanted)) if wanted else {}
    problems = [
        f"{', '.join(wanted[trial])}: PostgreSQL {trial.version} does not start with these settings: {why}"
        for trial, why in refused.items()
    ]
    if problems:
        raise InvalidInput(f"Nothing was changed: {'; '.join(problems)}")
