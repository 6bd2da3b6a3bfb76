# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Manages a list of Nomad Variables with check-and-set."""

from __future__ import annotations

from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils._nomad.objects import Change, apply, result
from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    InvalidInput,
    NomadConflict,
    NomadNotFound,
)
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "variables": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "path": {"type": "str", "required": True},
            "namespace": {"type": "str"},
            "items": {"type": "dict"},
            "overwrite": {"type": "str", "choices": ["always", "never"], "default": "always", "no_log": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        "required_if": [("state", "present", ["items"])],
    },
    "return_items": {"type": "bool", "default": False},
}
Key = tuple[str, str]  # namespace, path


def read(client: NomadClient, key: Key) -> dict[str, Any] | None:
    namespace, path = key
    try:
        return client.variables.read(path, namespace=namespace)
    except NomadNotFound:
        return None


def plan(current: dict[str, Any] | None, wanted: dict[str, Any]) -> Change:
    """Decide what to do for one variable. ``before`` and ``after`` are its items."""
    before = dict(current["Items"]) if current else None
    if wanted["state"] == "absent":
        after = None
    elif before is not None and wanted["overwrite"] == "never":
        after = before
    else:
        after = {key: str(value) for key, value in wanted["items"].items()}
    details = {"namespace": wanted["namespace"], "modify_index": (current or {}).get("ModifyIndex", 0)}
    return Change(wanted["path"], before, after, details)


def masked(change: Change) -> Change:
    """Return the change for display: each value is replaced with a note whether it changes."""
    before, after = change.before or {}, change.after or {}

    def mask(side: dict[str, str], changed: str) -> dict[str, str]:
        return {key: "(same value)" if before.get(key) == after.get(key) else changed for key in side}

    shown = Change(change.name, None, None, change.details, change.failed)
    shown.before = None if change.before is None else mask(before, "(old value)")
    shown.after = None if change.after is None else mask(after, "(new value)")
    return shown


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    wanted: dict[Key, dict[str, Any]] = {}
    for given in params["variables"]:
        variable = given | {"namespace": given.get("namespace") or client.namespace}
        key = variable["namespace"], variable["path"]
        if key in wanted:
            raise InvalidInput(f"The variable {variable['path']} is in the list twice; name it once")
        wanted[key] = variable
    # Nomad's list has no items, so each variable is read anyway. To read a missing one costs no more.
    current = dict(values(client.map(lambda key: (key, read(client, key)), wanted)))
    changes = [plan(current[key], variable) for key, variable in wanted.items()]

    def write(change: Change) -> None:
        namespace, cas = change.details["namespace"], change.details["modify_index"]
        if change.after is None:
            client.variables.delete(change.name, namespace=namespace, cas=cas)
            change.details["modify_index"] = 0
            return
        try:
            written = client.variables.write(change.name, change.after, namespace=namespace, cas=cas)
        except NomadConflict:
            now = read(client, (namespace, change.name))
            if wanted[namespace, change.name]["overwrite"] != "never" or now is None:
                raise
            change.before = change.after = now["Items"]  # another run was first, so its values count
            written = now
        change.details["modify_index"] = written["ModifyIndex"]

    if not check_mode:
        apply(client, changes, write)
    if params["return_items"]:
        for change in changes:
            change.details["data"] = change.after or {}  # not "items", which is a method in Jinja
    shown = [masked(change) for change in changes]
    return result(client, "variables", shown)


SPEC = ModuleSpec(ARGUMENT_SPEC, run, hide_parameters=True)
