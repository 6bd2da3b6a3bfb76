# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wait until jobs are what they were asked to be, and say why one is not.

All jobs are watched by one blocking query (/v1/jobs/statuses), which answers when one of them changes: success is noticed
within milliseconds, and a hundred jobs cost no more requests than one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.errors import InfiniteError, NomadError
from ansible_collections.infinite.databases.plugins.module_utils.nomad import NomadClient

JobKey = tuple[str, str]  # namespace, id
ENDED = ("complete", "failed", "lost")
# Nomad needs a moment after a failure to decide on a replacement; only then is a failure final.
GRACE = 1.0


@dataclass
class Verdict:
    """How a job's wait ended: no error is success."""

    status: dict[str, Any]
    error: str = ""
    alloc: str = ""


def judge(status: dict[str, Any] | None) -> Verdict | None:
    """What can be said of a job from the answer of /v1/jobs/statuses; None: not yet."""
    if status is None:
        return Verdict({}, "it was removed meanwhile")
    if status.get("ChildStatuses") is not None:
        return Verdict(status)  # parameterized or periodic: nothing runs until it is dispatched
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
    """The same for a job that is to stop: all its allocations have ended."""
    if status and any(a["ClientStatus"] not in (*ENDED, "unknown") for a in status.get("Allocs") or []):
        return None
    return Verdict(status or {})


def wait_for(client: NomadClient, jobs: Iterable[JobKey], timeout: float, stopping: bool = False) -> dict[JobKey, Verdict]:
    """Wait for all jobs at once; afterwards there is a verdict on each."""
    pending = dict.fromkeys(jobs)
    verdicts: dict[JobKey, Verdict] = {}
    failing: dict[JobKey, float] = {}
    latest: dict[JobKey, dict[str, Any]] = {}
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
            if verdict and verdict.alloc and now - failing.setdefault(key, now) < GRACE:
                continue
            if verdict:
                verdicts[key] = verdict
                pending.pop(key)
            if not (verdict and verdict.alloc) or key not in pending:
                failing.pop(key, None)
        # Many jobs that start at once change all the time: let changes gather, so that waiting costs little itself.
        time.sleep(max(0.01, 0.001 * len(pending), min(0.2, (now - started) / 4 if len(pending) > 1 else 0)))
    for key in pending:
        status = latest.get(key, {})
        allocs = [a for a in status.get("Allocs") or [] if stopping or a["JobVersion"] == status.get("Version")]
        what = "it did not stop" if stopping else "it was not ready"
        verdicts[key] = Verdict(status, f"{what} within {timeout:g} s", _culprit(allocs))
    return verdicts


def explain(client: NomadClient, key: JobKey, verdict: Verdict) -> dict[str, Any]:
    """Why a job failed: {"reason": one line, "events": [...], "log": text}. Never raises: the failure is what matters."""
    namespace, job = key
    found: dict[str, Any] = {"reason": verdict.error, "events": [], "log": ""}
    try:
        if not verdict.alloc:
            # What was stopped shall have no place.
            evaluations = [] if verdict.status.get("Stop") else client.job.get(job, "evaluations", namespace=namespace)
            if blocked := placement(evaluations):
                found["reason"] += f"; no node can take it: {blocked}"
            return found
        alloc = client.endpoint("allocation").get(verdict.alloc, namespace=namespace)
        task, found["events"] = last_events(alloc)
        found["log"] = last_log(client, verdict.alloc, task, namespace)
    except (InfiniteError, KeyError, ValueError) as error:
        found["reason"] += f" (no details: {error})"
    if found["events"]:
        found["reason"] += f"; task {task}: " + " | ".join(found["events"][-4:])
    if found["log"]:
        lines = [line.strip()[:200] for line in found["log"].splitlines() if line.strip()]
        found["reason"] += "; its log ends: " + " | ".join(lines[-5:])
    return found


def placement(evaluations: list[dict[str, Any]]) -> str:
    """Why the scheduler could place a group nowhere, from the newest evaluation that says so."""
    for evaluation in sorted(evaluations, key=lambda e: -int(e["ModifyIndex"])):
        if reasons := unplaced(evaluation):
            return reasons
    return ""


def unplaced(found: dict[str, Any], exhausted: bool = False) -> str:
    """Why groups have no place, from an evaluation or a plan; with ``exhausted`` only for want of memory or the like."""
    groups = (found.get("FailedTGAllocs") or {}).items()
    return "; ".join(f"group {name}: {metrics(m)}" for name, m in groups if m.get("DimensionExhausted") or not exhausted)


def exhausted_jobs(client: NomadClient, evaluations: Mapping[JobKey, str]) -> dict[JobKey, str]:
    """Which of these jobs wait for memory or the like, by their newest evaluations, and why: waiting would not help.

    Other reasons, such as a client that is being restarted, pass.
    """
    # The last one is decided last; then one list has them all.
    last = list(evaluations.values())[-1]
    deadline = time.monotonic() + GRACE
    while client.endpoint("evaluation").get(last)["Status"] == "pending" and time.monotonic() < deadline:
        time.sleep(0.01)
    found: dict[JobKey, str] = {}
    for namespace in {namespace for namespace, _job in evaluations}:
        for blocked in client.endpoint("evaluations").get(namespace=namespace, status="blocked"):
            key = (blocked["Namespace"], blocked["JobID"])
            if key in evaluations and (reason := unplaced(blocked, exhausted=True)):
                found[key] = reason
    return found


def metrics(metric: dict[str, Any]) -> str:
    """A scheduler's metric in words."""
    if not metric.get("NodesEvaluated") and not metric.get("NodesInPool"):
        return "no eligible node in the node pool and datacenters"
    parts = []
    for key, label in (("ConstraintFiltered", "filtered"), ("ClassFiltered", "class"), ("DimensionExhausted", "exhausted")):
        parts += [f"{reason} ({label} on {count} nodes)" for reason, count in (metric.get(key) or {}).items()]
    parts += list(metric.get("QuotaExhausted") or [])
    return ", ".join(parts) or f"{metric.get('NodesEvaluated', 0)} nodes evaluated"


def last_events(alloc: dict[str, Any]) -> tuple[str, list[str]]:
    """The task that failed (else the one that changed last) and what happened to it."""
    states: dict[str, dict[str, Any]] = alloc.get("TaskStates") or {}
    if not states:
        return "", [alloc["ClientDescription"]] if alloc.get("ClientDescription") else []

    def rank(name: str) -> tuple[bool, int]:
        return bool(states[name].get("Failed")), max((e["Time"] for e in states[name].get("Events") or []), default=0)

    task = max(states, key=rank)
    events = [f"{event['Type']}: {event['DisplayMessage']}"[:300] for event in states[task].get("Events") or []]
    return task, events


def last_log(client: NomadClient, alloc: str, task: str, namespace: str, size: int = 2000) -> str:
    """The last bytes of the task's log; empty where Nomad does not collect it."""
    logs = client.endpoint("client/fs/logs")
    for stream in ("stderr", "stdout"):
        try:
            text: str = logs.send(
                "get", alloc, namespace=namespace, task=task, type=stream, origin="end", offset=str(size), plain="true", timeout=5
            ).text
        except NomadError:
            return ""
        if text.strip():
            return text
    return ""
