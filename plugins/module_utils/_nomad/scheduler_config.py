# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Manages the cluster-wide settings of Nomad's scheduler."""

from __future__ import annotations

from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

# Nomad's name of each option.
FIELDS = {
    "memory_oversubscription": "MemoryOversubscriptionEnabled",
    "scheduler_algorithm": "SchedulerAlgorithm",
    "reject_job_registration": "RejectJobRegistration",
    "pause_eval_broker": "PauseEvalBroker",
}
PREEMPTION = {
    "system": "SystemSchedulerEnabled",
    "sysbatch": "SysBatchSchedulerEnabled",
    "batch": "BatchSchedulerEnabled",
    "service": "ServiceSchedulerEnabled",
}
ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "memory_oversubscription": {"type": "bool"},
    "scheduler_algorithm": {"type": "str", "choices": ["binpack", "spread"]},
    "reject_job_registration": {"type": "bool"},
    "pause_eval_broker": {"type": "bool"},
    "preemption": {"type": "dict", "options": {name: {"type": "bool"} for name in PREEMPTION}},
}


def plan(current: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration as it should be. Settings that are not given stay as they are."""
    desired = dict(current)
    for option, name in FIELDS.items():
        if params.get(option) is not None:
            desired[name] = params[option]
    wanted = {PREEMPTION[key]: value for key, value in (params.get("preemption") or {}).items() if value is not None}
    desired["PreemptionConfig"] = dict(current.get("PreemptionConfig") or {}) | wanted
    return desired


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    endpoint = client.endpoint("operator/scheduler/configuration")
    current = endpoint.get()["SchedulerConfig"]
    desired = plan(current, params)
    changed = desired != current
    if changed and not check_mode:
        endpoint.put(json=desired, cas=current["ModifyIndex"])
    index = ("CreateIndex", "ModifyIndex")
    before, after = ({k: v for k, v in config.items() if k not in index} for config in (current, desired))
    return {
        "changed": changed,
        "configuration": after,
        "diff": {"before": before, "after": after} if changed else {},
        "api_calls": client.api_calls,
    }


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
