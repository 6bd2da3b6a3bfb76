# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Registers, stops and removes Nomad jobs, one or a list."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.changes import changes, differing
from ansible_collections.infinite.databases.plugins.module_utils._nomad import job_diff
from ansible_collections.infinite.databases.plugins.module_utils._nomad.capacity import CURE, read_capacity, wanted_by
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.hcl import parse_job, read_variables, variables_file
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_change_back import change_back
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_item import ITEM_SPEC, Item, items_of
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_revive import ended_of, revive
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import (
    JobKey,
    exhausted_jobs,
    explain,
    unplaced,
    wait_for,
)
from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    BatchFailed,
    InfiniteError,
    InvalidInput,
    JobFailed,
    NomadConflict,
    NomadNotFound,
)
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

# This many jobs begin together. Two processors start so many PostgreSQL servers in about 5 s; a job's healthy_deadline is 20 s.
AT_ONCE = 16
STATES = ["present", "stopped", "absent"]
ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    **ITEM_SPEC,
    "state": {"type": "str", "choices": STATES, "default": "present"},
    "jobs": {"type": "list", "elements": "dict", "options": {**ITEM_SPEC, "state": {"type": "str", "choices": STATES}}},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "float", "default": 300},
    "digest_service": {"type": "str"},
    "plan_all": {"type": "bool", "default": False},
    "report": {"type": "bool", "default": False},
    "change_back": {"type": "bool", "default": False},
}


def add_digest(spec: dict[str, Any], service: str, digest: str) -> None:
    """Add the digest as a tag to the job's services of that name.

    A change of a tag needs no restart, unlike a change of the meta.
    """
    for group in spec.get("TaskGroups") or []:
        for holder in (group, *(group.get("Tasks") or [])):
            for one in holder.get("Services") or []:
                if one.get("Name") == service:
                    one["Tags"] = [*(one.get("Tags") or []), job_diff.DIGEST_TAG + digest]


def registered_digests(client: NomadClient, service: str, namespaces: Iterable[str]) -> dict[str, JobKey]:
    """Return the job that runs with each digest, from one list for each namespace."""
    found = {}
    for namespace in namespaces:
        for one in client.services(service, namespace=namespace):
            for tag in one["Tags"] or []:
                if tag.startswith(job_diff.DIGEST_TAG):
                    found[tag.removeprefix(job_diff.DIGEST_TAG)] = (one["Namespace"], one["JobID"])
    return found


def parse(client: NomadClient, digest_service: str | None, item: Item) -> None:
    """Let Nomad parse the HCL, and set the job's id, namespace and digest."""
    namespace = item.namespace or client.namespace
    if isinstance(item.source, str):
        spec = parse_job(client, item.source, item.variables, namespace)
        if spec.get("Namespace") not in (None, "", "default") and not item.namespace:
            namespace = spec["Namespace"]
    else:
        spec = dict(item.source)
    name = spec.get("ID") or spec.get("Name")
    if not name or (item.id and item.id != name):
        raise InvalidInput(f"The specification is for job {name!r}, but id is {item.id!r}; make them the same")
    item.id, item.namespace = name, namespace
    item.spec = {**spec, "ID": name, "Name": spec.get("Name") or name, "Namespace": namespace}
    if digest_service and item.digest:
        item.spec = copy.deepcopy(item.spec)
        add_digest(item.spec, digest_service, item.digest)


def plan_present(client: NomadClient, check_mode: bool, current: Any, item: Item) -> None:
    """Decide what to do for a job that should run. A new job needs no plan, except in check mode, which reports its problems."""
    if current is None:
        item.action = "registered"
        if not check_mode:
            item.diff = shown_new(item)
            return
    answer = client.job.put(item.id, "plan", json={"Job": item.spec, "Diff": True}, namespace=item.namespace)
    item.enforce = answer["JobModifyIndex"]
    if answer.get("Warnings"):
        item.details["warnings"] = answer["Warnings"]
    item.details["unplaced"] = sorted(answer.get("FailedTGAllocs") or {})
    if reason := unplaced(answer, exhausted=True):
        raise no_place(client, item, reason)
    difference = job_diff.normalise(answer["Diff"]) if answer["Diff"]["Type"] != "None" else None
    if difference is None:
        item.action = "unchanged"
        if (item.spec or {}).get("Type") == "system" and (nodes := ended_of(client, item.id, item.namespace)):
            item.action, item.failed_for_good = "updated", True
            before = "".join(f"failed for good on {alloc['NodeName']}\n" for alloc in nodes.values())
            item.diff = {"before": before, "after": "running\n", "before_header": item.id, "after_header": item.id}
        return
    if current is None and not item.enforce:
        item.diff = shown_new(item)
        return
    item.action = "updated"
    item.diff = changed_variables(client, item) or job_diff.shown(item.id, difference)
    updates = ((answer.get("Annotations") or {}).get("DesiredTGUpdates") or {}).values()
    item.details["restarts"] = any(update.get("DestructiveUpdate") for update in updates)


def no_place(client: NomadClient, item: Item, reason: str) -> JobFailed:
    wanted, there = wanted_by(item.spec or {}), read_capacity(client, but=item.id)
    return JobFailed(f"job {item.id}: no node can take it: {reason}; it reserves {wanted}, and {there}; {CURE}")


def shown_new(item: Item) -> dict[str, str]:
    """Return the diff of a new job: its specification, or only its variables if it has any."""
    if item.variables:
        return job_diff.of_variables(item.id, {}, item.variables)
    after = item.source if isinstance(item.source, str) else json.dumps(item.source, indent=2, sort_keys=True)
    return {"before": "", "after": after.rstrip() + "\n", "before_header": item.id, "after_header": item.id}


def changed_variables(client: NomadClient, item: Item) -> dict[str, str] | None:
    """Return the diff of the job's variables, if they differ.

    Nomad's own diff shows only the effects of the variables, such as `args[22]`.
    """
    if not item.variables:
        return None
    version = client.job.get(item.id, namespace=item.namespace)["Version"]
    try:
        submission = client.job.get(item.id, "submission", version=version, namespace=item.namespace)
    except NomadNotFound:
        return None
    before = read_variables(submission.get("Variables") or "")
    if not before or before == item.variables:
        return None
    item.details["changes"] = changes(differing(before, item.variables, {}))
    return job_diff.of_variables(item.id, before, item.variables)


def plan_ending(current: Any, item: Item) -> None:
    """Decide what to do for a job that should be stopped or absent."""
    if current is None or (item.state == "stopped" and current["Stop"]):
        return
    item.action = "removed" if item.state == "absent" else "stopped"
    was = "stopped" if current["Stop"] else current["Status"]
    item.diff = {"before": f"{was}\n", "after": f"{item.state}\n", "before_header": item.id, "after_header": item.id}


def settled(stub: dict[str, Any] | None) -> bool:
    """Return whether the job is ready, according to the list. An interrupted run may have left a job that is not ready."""
    if not stub:
        return False
    groups = ((stub.get("JobSummary") or {}).get("Summary") or {}).values()
    if any(group["Starting"] or group["Queued"] for group in groups):
        return False
    if stub["Type"] in ("batch", "sysbatch"):
        return stub["Status"] == "dead" and not any(group["Failed"] for group in groups)
    return bool(groups) and all(group["Running"] for group in groups)


def register(client: NomadClient, item: Item) -> None:
    """Register the job with check-and-set, because the plan and the diff were made for one version of the job.

    Nomad compares the index before it writes, and not while it writes. If two runs write within the same milliseconds, both may
    succeed. So what must never be taken twice is claimed in a Nomad Variable, whose check-and-set has no such gap.
    """
    action, item.action = item.action, "unchanged"
    body: dict[str, Any] = {"Job": item.spec, "EnforceIndex": True, "JobModifyIndex": item.enforce}
    if isinstance(item.source, str):
        body["Submission"] = {"Source": item.source, "Format": "hcl2", "Variables": variables_file(item.variables)}
    try:
        answer = client.jobs.post(json=body, namespace=item.namespace)
    except NomadConflict as conflict:
        # Somebody was faster, or this request was sent twice and succeeded the first time. Both are fine if the job is as wanted.
        now = client.job.get(item.id, namespace=item.namespace)
        plan_present(client, False, now, item)
        if item.action == "unchanged":
            item.action = action if conflict.uncertain else "unchanged"
            return
        item.action = "unchanged"
        raise
    item.action = action
    item.details |= {"eval_id": answer["EvalID"], "job_modify_index": answer["JobModifyIndex"]}
    if answer.get("Warnings"):
        item.details["warnings"] = answer["Warnings"]


def deregister(client: NomadClient, item: Item, purge: bool) -> None:
    answer = client.job.delete(item.id, namespace=item.namespace, purge="true" if purge else "false")
    item.details["eval_id"] = answer["EvalID"]


def each(client: NomadClient, items: list[Item], step: Callable[[Item], None]) -> None:
    """Do one step for all items that have not failed. A failure is noted in its item."""
    for outcome in client.map(step, [item for item in items if not item.error]):
        outcome.item.error = outcome.error


def begin(client: NomadClient, items: list[Item], wait: bool, timeout: float) -> None:
    """Register the jobs; with ``wait``, some at a time.

    If hundreds of jobs restarted at once, few would be healthy in time, and Nomad would change the others back.
    """
    size = AT_ONCE if wait else len(items)
    for start in range(0, len(items), max(size, 1)):
        batch = items[start : start + size]
        each(client, batch, partial(register, client))
        if wait:
            check(client, batch, timeout)


def apply(client: NomadClient, params: dict[str, Any], items: list[Item]) -> None:
    """Carry out the plan, and wait for the jobs."""
    wait, timeout = params["wait"], params["wait_timeout"]
    unsettled = [item for item in items if item.state == "present" and item.action == "unchanged" and not item.settled]
    begin(client, [i for i in items if i.action in ("registered", "updated") and not i.failed_for_good], wait, timeout)
    failed = [i for i in items if i.failed_for_good]
    each(client, failed, lambda item: revive(client, item.id, item.namespace, timeout if wait else 0))
    ending = [item for item in items if item.action in ("stopped", "removed")]
    # With wait, a job is purged after it has stopped, because the allocations of a purged job are hard to find.
    each(client, ending, lambda item: deregister(client, item, purge=item.action == "removed" and not wait))
    if not wait:
        check_places(client, [i for i in items if i.action == "registered" and i.state == "present" and not i.error])
        return
    if params["change_back"]:
        change_back(client, items)
    check(client, unsettled, timeout)
    check(client, ending, timeout, stopping=True)
    each(client, [i for i in ending if i.action == "removed"], lambda item: deregister(client, item, purge=True))


def check_places(client: NomadClient, items: list[Item]) -> None:
    """Note a failure for jobs that no node has room for. A later step would wait for them in vain."""
    evaluations = {item.key: item.details["eval_id"] for item in items if item.details.get("eval_id")}
    reasons = exhausted_jobs(client, evaluations) if evaluations else {}
    for item in items:
        if reason := reasons.get(item.key):
            item.error = no_place(client, item, reason)


def check(client: NomadClient, items: list[Item], timeout: float, stopping: bool = False) -> None:
    """Wait for the items that have not failed yet, and find out why some of them fail."""
    by_key = {item.key: item for item in items if not item.error}
    try:
        verdicts = wait_for(client, by_key, timeout, stopping) if by_key else {}
    except InfiniteError as error:  # the result still says what was done
        for item in by_key.values():
            item.error = error
        return
    for key, verdict in verdicts.items():
        if verdict.status:
            by_key[key].details["version"] = verdict.status["Version"]
    failed = [key for key, verdict in verdicts.items() if verdict.error]
    for outcome in client.map(lambda key: explain(client, key, verdicts[key]), failed):
        why = outcome.value or {"reason": str(outcome.error)}
        item = by_key[outcome.item]
        item.details |= {"events": why.get("events", []), "log": why.get("log", "")}
        item.error = JobFailed(f"Nomad at {client.address}: job {item.id}: {why['reason']}")


def prepare(client: NomadClient, params: dict[str, Any], check_mode: bool, items: list[Item]) -> None:
    """Decide for each item what to do. One list says which jobs exist, another which jobs already run with the right digest."""
    service = params["digest_service"]
    listed = client.jobs.get(namespace="*")
    current = {(job["Namespace"], job["ID"]): job for job in listed}
    trust = bool(service) and not params["plan_all"]
    same = registered_digests(client, service, {item.namespace or client.namespace for item in items}) if trust else {}
    running = {key for key, job in current.items() if not job["Stop"]}

    def decide(item: Item) -> None:
        twin = same.get(item.digest) if item.state == "present" else None
        if twin in running and item.namespace in ("", twin[0]):
            item.namespace, item.id = twin
        else:
            if item.source and (item.state == "present" or not item.id):
                parse(client, service, item)
            item.namespace = item.namespace or client.namespace
            if item.state == "present":
                plan_present(client, check_mode, current.get(item.key), item)
            else:
                plan_ending(current.get(item.key), item)
        item.settled = settled(current.get(item.key))

    each(client, items, decide)
    keys = [item.key for item in items if item.id]
    for item in items:
        if keys.count(item.key) > 1 and not item.error:
            item.error = InvalidInput(f"job {item.id} of namespace {item.namespace} is in the list more than once; name it once")


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    items = items_of(params, client.namespace)
    if items:
        prepare(client, params, check_mode, items)
    invalid = any(item.error for item in items) and not params["report"]
    if invalid:
        for item in items:
            item.action = "unchanged"
    elif not check_mode:
        apply(client, params, items)
    result: dict[str, Any] = {
        "changed": any(item.action != "unchanged" for item in items),
        "jobs": [item.result() for item in items],
        "diff": [item.diff for item in items if item.diff and item.action != "unchanged"],
        "api_calls": client.api_calls,
    }
    failed = [item for item in items if item.error]
    if params["report"]:
        return result
    if failed and len(items) == 1:
        raise BatchFailed(str(failed[0].error), **result)
    if failed:
        note = "; nothing was changed" if invalid else ""
        problems = "; ".join(f"{item.id or item.name_in_messages}: {item.error}"[:1500] for item in failed[:10])
        raise BatchFailed(f"{len(failed)} of {len(items)} jobs failed{note}: {problems}", **result)
    return result


SPEC = ModuleSpec(
    ARGUMENT_SPEC,
    run,
    required_one_of=[["job", "jobs", "id"]],
    mutually_exclusive=[["id", "jobs"], ["variables", "jobs"]],
)
