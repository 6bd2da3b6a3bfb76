# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lists Nomad's jobs and their state."""

from __future__ import annotations

from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, paged, values
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import Verdict, explain, newest_allocation
from ansible_collections.infinite.databases.plugins.module_utils._nomad.task_log import last_log
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

# Most lines have fewer bytes. Lines that were read in excess are cut.
BYTES_PER_LINE = 400

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "ids": {"type": "list", "elements": "str"},
    "prefix": {"type": "str"},
    "namespace": {"type": "str"},
    "filter": {"type": "str"},
    "meta": {"type": "bool", "default": True},
    "status": {"type": "bool", "default": False},
    "specification": {"type": "bool", "default": False},
    "explain": {"type": "bool", "default": False},
    "log_lines": {"type": "int", "default": 0},
}


def verdict(client: NomadClient, job: dict[str, Any]) -> Verdict:
    """Return a verdict that names the job's newest allocation, so that explain() reads its events and its log."""
    last = newest_allocation(client, job["ID"], job["Namespace"]) or {}
    return Verdict(job, f"is {'stopped' if job['Stop'] else job['Status']}", last.get("ID", ""))


def log_of(client: NomadClient, job: dict[str, Any], lines: int) -> str:
    """Return the end of the log of the job's newest allocation, for the task that is named like its group."""
    last = newest_allocation(client, job["ID"], job["Namespace"])
    task = next(iter((job.get("JobSummary") or {}).get("Summary") or {}), "")
    text = last_log(client, last["ID"], task, job["Namespace"], lines * BYTES_PER_LINE) if last else ""
    return "\n".join(text.splitlines()[-lines:])


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    namespace = params["namespace"] or client.namespace
    meta = "true" if params["meta"] else None
    jobs = paged(client.jobs, namespace=namespace, prefix=params["prefix"], filter=params["filter"], meta=meta)
    if params["ids"] is not None:
        jobs = [job for job in jobs if job["ID"] in set(params["ids"])]
    if (params["status"] or params["explain"] or params["log_lines"]) and jobs:
        body = {"Jobs": [{"Namespace": job["Namespace"], "ID": job["ID"]} for job in jobs], "IncludeChildren": True}
        found = client.jobs.post("statuses", json=body)
        statuses = {(status["Namespace"], status["ID"]): status for status in found}
        for job in jobs:
            status = statuses.get((job["Namespace"], job["ID"]), {})
            job |= {key: status.get(key) for key in ("Version", "Allocs", "LatestDeployment", "GroupCountSum")}
    if params["specification"]:
        specifications = values(client.map(lambda job: client.job.get(job["ID"], namespace=job["Namespace"]), jobs))
        for job, specification in zip(jobs, specifications, strict=True):
            job["Specification"] = specification
    if params["explain"]:
        for outcome in client.map(lambda job: explain(client, (job["Namespace"], job["ID"]), verdict(client, job)), jobs):
            outcome.item["Reason"] = (outcome.value or {"reason": str(outcome.error)})["reason"]
    if params["log_lines"] > 0:
        for job, log in zip(jobs, values(client.map(lambda job: log_of(client, job, params["log_lines"]), jobs)), strict=True):
            job["Log"] = log
    return {"jobs": jobs, "api_calls": client.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
