# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Manages Nomad's namespaces."""

from __future__ import annotations

from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.objects import Change, apply, result
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "namespaces": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "description": {"type": "str"},
            "meta": {"type": "dict"},
            "enabled_task_drivers": {"type": "list", "elements": "str"},
            "disabled_task_drivers": {"type": "list", "elements": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
    },
}


def plan(current: dict[str, Any] | None, wanted: dict[str, Any]) -> Change:
    """Decide what to do for one namespace. Properties that are not given stay as they are."""
    before = None
    if current is not None:
        keep = ("Name", "Description", "Meta", "Capabilities")
        before = {key: current.get(key) for key in keep}
    if wanted["state"] == "absent":
        return Change(wanted["name"], before, None)
    after = dict(before or {"Name": wanted["name"], "Description": "", "Meta": None, "Capabilities": None})
    if wanted.get("description") is not None:
        after["Description"] = wanted["description"]
    if wanted.get("meta") is not None:
        after["Meta"] = {key: str(value) for key, value in wanted["meta"].items()} or None
    drivers = {
        name: wanted[option] or None
        for option, name in (("enabled_task_drivers", "EnabledTaskDrivers"), ("disabled_task_drivers", "DisabledTaskDrivers"))
        if wanted.get(option) is not None
    }
    if drivers:
        after["Capabilities"] = dict(after["Capabilities"] or {}) | drivers
    return Change(wanted["name"], before, after)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    one = client.endpoint("namespace")
    current = {namespace["Name"]: namespace for namespace in client.endpoint("namespaces").get()}
    changes = [plan(current.get(wanted["name"]), wanted) for wanted in params["namespaces"]]

    def write(change: Change) -> None:
        if change.after is None:
            one.delete(change.name)
        else:
            one.put(change.name, json=change.after)

    if not check_mode:
        apply(client, changes, write)
    return result(client, "namespaces", changes)


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
