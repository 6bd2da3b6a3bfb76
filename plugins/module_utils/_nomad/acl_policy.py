# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Manages Nomad's ACL policies, for tokens and for the workload identities of jobs."""

from __future__ import annotations

from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils._nomad.objects import Change, apply, result
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "policies": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "description": {"type": "str", "default": ""},
            "rules": {"type": "str"},
            "job_acl": {
                "type": "dict",
                "options": {
                    "namespace": {"type": "str", "required": True},
                    "job_id": {"type": "str", "required": True},
                    "group": {"type": "str"},
                    "task": {"type": "str"},
                },
                "required_by": {"task": ["group"]},
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        "required_if": [("state", "present", ["rules"])],
    },
}


def normalised(rules: str) -> str:
    """Return HCL rules without whole-line comments, indentation and empty lines, which do not change what the rules allow."""
    lines = (" ".join(line.split()) for line in rules.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(("#", "//"))) + "\n"


def shape(policy: dict[str, Any]) -> dict[str, Any]:
    """Return a policy in the form in which policies are compared and shown."""
    scope = policy.get("JobACL") or {}
    return {
        "Description": policy.get("Description") or "",
        "JobACL": {key: scope.get(key) or "" for key in ("Namespace", "JobID", "Group", "Task")} if scope else None,
        "Rules": normalised(policy["Rules"]),
    }


def plan(current: dict[str, Any] | None, wanted: dict[str, Any]) -> Change:
    """Decide what to do for one policy."""
    before = shape(current) if current else None
    if wanted["state"] == "absent":
        return Change(wanted["name"], before, None)
    scope = wanted.get("job_acl") or {}
    names = {"Namespace": "namespace", "JobID": "job_id", "Group": "group", "Task": "task"}
    job_acl = {name: scope.get(option) or "" for name, option in names.items()} if scope else None
    after = shape({"Description": wanted.get("description"), "Rules": wanted["rules"], "JobACL": job_acl})
    return Change(wanted["name"], before, after)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    one = client.endpoint("acl/policy")
    known = {policy["Name"] for policy in client.endpoint("acl/policies").get()}
    wanted = {policy["name"]: policy for policy in params["policies"]}
    # Nomad's list has no rules, so each existing policy is read by itself.
    current = dict(values(client.map(lambda name: (name, one.get(name)), [name for name in wanted if name in known])))
    changes = [plan(current.get(name), policy) for name, policy in wanted.items()]

    def write(change: Change) -> None:
        if change.after is None:
            one.delete(change.name)
        else:
            rules = wanted[change.name]["rules"]
            one.post(change.name, json=change.after | {"Name": change.name, "Rules": rules})

    if not check_mode:
        apply(client, changes, write)
    return result(client, "policies", changes)


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
