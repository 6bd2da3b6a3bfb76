# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waits until jobs run or have stopped, and explains why a job failed.

One blocking query (/v1/jobs/statuses) watches all jobs. Nomad answers it when one of the jobs changes. So success is noticed within
milliseconds, and a hundred jobs take no more requests than one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.task_log import last_log
from ansible_collections.infinite.databases.plugins.module_utils.errors import InfiniteError, NomadNotFound
from ansible_collections.infinite.databases.plugins.module_utils.waiting import some, waiting

JobKey = tuple[str, str]  # namespace, id
ENDED = ("complete", "failed", "lost")
# After a failure, Nomad needs a moment to decide on a replacement. A failure is final only after this time.
GRACE = 1.0


@dataclass
class Verdict:
    """How the wait for a job ended. Without an error, the job succeeded."""

    status: dict[str, Any]
    error: str = ""
    alloc: str = ""


def judge(status: dict[str, Any] | None) -> Verdict | None:
    """Return the verdict on a job, from the answer of /v1/jobs/statuses; None if the job is not decided yet."""
    if status is None:
        return Verdict({}, "it was removed meanwhile")
    if status.get("ChildStatuses") is not None:
        return Verdict(status)  # a parameterized or periodic job does not run until it is dispatched
    if status.get("Stop"):
        return Verdict(status, "it was stopped meanwhile")
    allocs = [a for a in status.get("Allocs") or [] if a["JobVersion"] == status["Version"]]
    deployment = status.get("LatestDeployment") or {}
    if deployment.get("JobVersion") != status["Version"]:
        deployment = {}
    if deployment.get("Status") in ("failed", "cancelled"):
        reason = deployment.get("StatusDescription") or deployment["Status"]
        return Verdict(status, f"its deployment {deployment['Status']}: {reason}", _culprit(allocs))
    wanted = status.get("GroupCountSum", 0)
    if status["Type"] in ("batch", "sysbatch"):
        complete = [a for a in allocs if a["ClientStatus"] == "complete"]
        live = [a for a in allocs if a["ClientStatus"] not in ENDED]
        if complete and not live and (len(complete) >= wanted or status["Type"] == "sysbatch"):
            return Verdict(status)
    else:
        good = [a for a in allocs if a["ClientStatus"] == "running" and (not deployment or _healthy(a))]
        if status["Type"] == "system":
            others = [a for a in status.get("Allocs") or [] if a["ClientStatus"] not in ENDED and a not in good]
            if (good and not others) or deployment.get("Status") == "successful":
                return Verdict(status)
        elif len(good) >= wanted or deployment.get("Status") == "successful":
            return Verdict(status)
    return _final_failure(status, allocs)


def _healthy(alloc: dict[str, Any]) -> bool:
    return alloc["DeploymentStatus"]["Healthy"] is True


def _bad(alloc: dict[str, Any]) -> bool:
    return alloc["ClientStatus"] in ("failed", "lost") or alloc["DeploymentStatus"]["Healthy"] is False


def _culprit(allocs: list[dict[str, Any]]) -> str:
    return next((a["ID"] for a in allocs if _bad(a)), allocs[0]["ID"] if allocs else "")


def _final_failure(status: dict[str, Any], allocs: list[dict[str, Any]]) -> Verdict | None:
    bad = [a for a in allocs if _bad(a)]
    hopeful = [a for a in allocs if not _bad(a) and a["ClientStatus"] != "complete"]
    if not bad or hopeful or any(a["FollowupEvalID"] for a in bad):
        return None
    return Verdict(status, "its allocation failed", bad[0]["ID"])


def judge_stopped(status: dict[str, Any] | None) -> Verdict | None:
    """Return the verdict on a job that should stop, once all of its allocations have ended."""
    if status and any(a["ClientStatus"] not in (*ENDED, "unknown") for a in status.get("Allocs") or []):
        return None
    return Verdict(status or {})


def changed_back(client: NomadClient, status: dict[str, Any], version: int) -> Verdict | None:
    """Return a verdict if this version failed and Nomad registered the job again as it was before (auto_revert)."""
    deployments = client.job.get(status["ID"], "deployments", namespace=status["Namespace"])
    if not any(one["JobVersion"] == version and one["Status"] == "failed" for one in deployments):
        return None
    allocs = [a for a in status.get("Allocs") or [] if a["JobVersion"] == version]
    return Verdict(status, "it did not stay up, and was changed back to what it was before", _culprit(allocs))


def wait_for(client: NomadClient, jobs: Iterable[JobKey], timeout: float, stopping: bool = False) -> dict[JobKey, Verdict]:
    """Wait for all jobs at once, and return a verdict on each."""
    pending = dict.fromkeys(jobs)
    count, what = len(pending), "stop" if stopping else "run"
    with waiting(lambda: f"{len(pending)} of {count} jobs to {what}: {some({job for _namespace, job in pending.copy()})}"):
        return _wait_for(client, pending, timeout, stopping)


def _wait_for(client: NomadClient, pending: dict[JobKey, None], timeout: float, stopping: bool) -> dict[JobKey, Verdict]:
    verdicts: dict[JobKey, Verdict] = {}
    failing: dict[JobKey, float] = {}
    latest: dict[JobKey, dict[str, Any]] = {}
    versions: dict[JobKey, int] = {}
    deadline = time.monotonic() + timeout
    index = "0"
    while pending and (left := deadline - time.monotonic()) > 0:
        wait = min(left, 30.0, GRACE if failing else 30.0)
        started = time.monotonic()
        body = {"Jobs": [{"Namespace": namespace, "ID": job} for namespace, job in pending]}
        response = client.jobs.send(
            "post", "statuses", json=body, timeout=wait + client.timeout, index=index, wait=f"{wait * 1000:.0f}ms"
        )
        index = response.headers.get("X-Nomad-Index", "0")
        now = time.monotonic()
        latest = {(status["Namespace"], status["ID"]): status for status in response.json() or []}
        for key in list(pending):
            status = latest.get(key)
            verdict = judge_stopped(status) if stopping else judge(status)
            if status and not stopping and status["Version"] != versions.setdefault(key, status["Version"]):
                verdict = changed_back(client, status, versions[key]) or verdict
            if verdict and verdict.alloc and now - failing.setdefault(key, now) < GRACE:
                continue
            if verdict:
                verdicts[key] = verdict
                pending.pop(key)
            if not (verdict and verdict.alloc) or key not in pending:
                failing.pop(key, None)
        # If many jobs start at once, some job changes all the time. The pause lets changes gather, so that waiting costs little.
        time.sleep(max(0.01, 0.001 * len(pending), min(0.2, (now - started) / 4 if len(pending) > 1 else 0)))
    for key in pending:
        status = latest.get(key, {})
        allocs = [a for a in status.get("Allocs") or [] if stopping or a["JobVersion"] == status.get("Version")]
        what = "it did not stop" if stopping else "it was not ready"
        verdicts[key] = Verdict(status, f"{what} within {timeout:g} s", _culprit(allocs))
    return verdicts


def newest(allocs: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the allocation that was made last. Nomad's lists have no order, and a job's version says nothing about the time."""
    last = max(allocs, key=lambda one: int(one["CreateIndex"]), default=None)
    return dict(last) if last else None


def newest_allocation(client: NomadClient, job: str, namespace: str, version: int | None = None) -> dict[str, Any] | None:
    """Return the job's allocation that was made last, or that of one version of the job."""
    try:
        allocs = client.job.get(job, "allocations", namespace=namespace)
    except NomadNotFound:
        return None
    return newest(one for one in allocs if version in (None, one["JobVersion"]))


def explain(client: NomadClient, key: JobKey, verdict: Verdict) -> dict[str, Any]:
    """Return why a job failed: {"reason": one line, "events": [...], "log": text}.

    It never raises, so that the failure is reported.
    """
    namespace, job = key
    found: dict[str, Any] = {"reason": verdict.error, "events": [], "log": ""}
    try:
        if not verdict.alloc:
            # A stopped job needs no place.
            if blocked := "" if verdict.status.get("Stop") else placement(client, key):
                found["reason"] += f"; no node can take it: {blocked}"
            return found
        blamed = client.endpoint("allocation").get(verdict.alloc, namespace=namespace)
        # The allocation may have been replaced since. The last allocation of the same version has the reason.
        last = newest_allocation(client, job, namespace, blamed["Job"]["Version"])
        alloc = client.endpoint("allocation").get(last["ID"], namespace=namespace) if last else blamed
        task, found["events"] = last_events(alloc)
        found["log"] = last_log(client, alloc["ID"], task, namespace)
    except (InfiniteError, KeyError, ValueError) as error:
        found["reason"] += f" (no details: {error})"
    if found["events"]:
        found["reason"] += f"; task {task}: " + " | ".join(found["events"][-4:])
    if found["log"]:
        lines = [line.strip()[:200] for line in found["log"].splitlines() if line.strip()]
        found["reason"] += "; its log ends: " + " | ".join(lines[-5:])
    return found


def placement(client: NomadClient, key: JobKey) -> str:
    """Return why the scheduler cannot place the job, from a new plan.

    A blocked evaluation only has the reason from its first second.
    """
    namespace, job = key
    plan = {"Job": client.job.get(job, namespace=namespace), "Diff": False}
    return unplaced(client.job.put(job, "plan", json=plan, namespace=namespace))


def unplaced(found: dict[str, Any], exhausted: bool = False) -> str:
    """Return why groups have no place, from an evaluation or a plan. With ``exhausted``, only lack of memory or the like counts."""
    groups = (found.get("FailedTGAllocs") or {}).items()
    return "; ".join(f"group {name}: {metrics(m)}" for name, m in groups if m.get("DimensionExhausted") or not exhausted)


def exhausted_jobs(client: NomadClient, evaluations: Mapping[JobKey, str]) -> dict[JobKey, str]:
    """Return the jobs whose newest evaluations lack memory or the like, with the reasons. To wait for them would not help.

    Other reasons, such as a client that is being restarted, pass by themselves.
    """
    # The last evaluation is decided last. After it, one list has all of them.
    last = list(evaluations.values())[-1]
    deadline = time.monotonic() + GRACE
    while client.endpoint("evaluation").get(last)["Status"] == "pending" and time.monotonic() < deadline:
        time.sleep(0.01)
    namespaces = {namespace for namespace, _job in evaluations}
    found = {key: reason for one in namespaces for key, reason in blocked_for_room(client, one).items()}
    return {key: reason for key, reason in found.items() if key in evaluations}


def blocked_for_room(client: NomadClient, namespace: str) -> dict[JobKey, str]:
    """Return the jobs that wait for memory or the like, with the reasons, from one list."""
    blocked = client.endpoint("evaluations").get(namespace=namespace, status="blocked")
    return {(one["Namespace"], one["JobID"]): reason for one in blocked if (reason := unplaced(one, exhausted=True))}


def metrics(metric: dict[str, Any]) -> str:
    """Describe a metric of the scheduler in words."""
    if not metric.get("NodesEvaluated") and not metric.get("NodesInPool"):
        return "no eligible node in the node pool and datacenters"
    parts = []
    for key, label in (("ConstraintFiltered", "filtered"), ("ClassFiltered", "class"), ("DimensionExhausted", "exhausted")):
        parts += [f"{reason} ({label} on {count} nodes)" for reason, count in (metric.get(key) or {}).items()]
    parts += list(metric.get("QuotaExhausted") or [])
    return ", ".join(parts) or f"{metric.get('NodesEvaluated', 0)} nodes evaluated"


def last_events(alloc: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the task that failed (or else the task that changed last), and its last events."""
    states: dict[str, dict[str, Any]] = alloc.get("TaskStates") or {}
    if not states:
        return "", [alloc["ClientDescription"]] if alloc.get("ClientDescription") else []

    def rank(name: str) -> tuple[bool, int]:
        return bool(states[name].get("Failed")), max((e["Time"] for e in states[name].get("Events") or []), default=0)

    task = max(states, key=rank)
    events = [f"{event['Type']}: {event['DisplayMessage']}"[:300] for event in states[task].get("Events") or []]
    return task, events
