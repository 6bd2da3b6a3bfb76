# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Manages a list of Nomad's dynamic host volumes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils._nomad.objects import Change, apply, result
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput, NomadConflict, NomadError
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec
from ansible_collections.infinite.databases.plugins.module_utils.waiting import some, waiting

# Nomad's clients tell the servers of a change every 5 to 10 s.
POLL_SECONDS = 1.0
ACCESS_MODES = ["single-node-reader-only", "single-node-writer", "single-node-single-writer", "single-node-multi-writer"]
ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "wait_timeout": {"type": "int", "default": 0},
    "volumes": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str"},
            "node_id": {"type": "str"},
            "node_pool": {"type": "str"},
            "plugin_id": {"type": "str", "default": "mkdir"},
            "capacity_min": {"type": "int"},
            "capacity_max": {"type": "int"},
            "parameters": {"type": "dict"},
            "access_mode": {"type": "str", "choices": ACCESS_MODES, "default": "single-node-single-writer"},
            "attachment_mode": {"type": "str", "choices": ["file-system", "block-device"], "default": "file-system"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
    },
}


def find(stubs: Sequence[dict[str, Any]], wanted: dict[str, Any]) -> dict[str, Any] | None:
    """Return the volume with this name (on this node, if a node is given)."""
    found = [
        stub
        for stub in stubs
        if (stub["Name"], stub["Namespace"]) == (wanted["name"], wanted["namespace"])
        and wanted.get("node_id") in (None, "", stub["NodeID"])
    ]
    if len(found) > 1:
        ids = ", ".join(sorted(stub["ID"] for stub in found))
        raise InvalidInput(
            f"There are {len(found)} volumes with the name {wanted['name']} in namespace {wanted['namespace']} ({ids}); "
            "give node_id, or remove all but one with: nomad volume delete -type host ID"
        )
    return found[0] if found else None


def shape(volume: dict[str, Any]) -> dict[str, Any]:
    """Return a volume in the form in which volumes are compared and shown."""
    capabilities = [(c["AttachmentMode"], c["AccessMode"]) for c in volume.get("RequestedCapabilities") or []]
    return {
        "Name": volume["Name"],
        "Namespace": volume["Namespace"],
        "PluginID": volume["PluginID"],
        "RequestedCapacityMinBytes": volume.get("RequestedCapacityMinBytes") or 0,
        "RequestedCapacityMaxBytes": volume.get("RequestedCapacityMaxBytes") or 0,
        "RequestedCapabilities": [{"AttachmentMode": a, "AccessMode": b} for a, b in sorted(capabilities)],
        "Parameters": volume.get("Parameters") or {},
    }


def plan(current: dict[str, Any] | None, wanted: dict[str, Any]) -> Change:
    """Decide what to do for one volume. Properties that are not given stay as they are."""
    removing = wanted["state"] == "absent"
    before = None if current is None else {"ID": current["ID"]} if removing else shape(current)
    details = {"namespace": wanted["namespace"]} | {
        key: (current or {}).get(name, "") for key, name in (("id", "ID"), ("node_id", "NodeID"))
    }
    if removing:
        return Change(wanted["name"], before, None, details)
    after = dict(before or shape({"Name": wanted["name"], "Namespace": wanted["namespace"], "PluginID": wanted["plugin_id"]}))
    mode = {"AttachmentMode": wanted["attachment_mode"], "AccessMode": wanted["access_mode"]}
    after |= {"PluginID": wanted["plugin_id"], "RequestedCapabilities": [mode]}
    if wanted.get("parameters") is not None:
        after["Parameters"] = {key: str(value) for key, value in wanted["parameters"].items()}
    for option, name in (("capacity_min", "RequestedCapacityMinBytes"), ("capacity_max", "RequestedCapacityMaxBytes")):
        if wanted.get(option) is not None:
            after[name] = wanted[option]
    return Change(wanted["name"], before, after, details)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    volumes = [volume | {"namespace": volume.get("namespace") or client.namespace} for volume in params["volumes"]]
    places = [(volume["namespace"], volume["name"], volume.get("node_id")) for volume in volumes]
    if len(set(places)) < len(places):
        twice = sorted({name for namespace, name, node in places if places.count((namespace, name, node)) > 1})
        raise InvalidInput(f"In the list twice: {', '.join(twice)}; name each volume once")
    namespaces = {volume["namespace"] for volume in volumes}
    where = namespaces.pop() if len(namespaces) == 1 else "*"
    stubs = client.volumes.list(namespace=where) if volumes else []
    found = [find(stubs, volume) for volume in volumes]

    def details(pair: tuple[dict[str, Any] | None, dict[str, Any]]) -> Change:
        stub, wanted = pair
        if stub and wanted["state"] == "present":
            # Nomad's list has neither parameters nor capabilities.
            stub = client.volumes.read(stub["ID"], namespace=stub["Namespace"])
        return plan(stub, wanted)

    changes = values(client.map(details, list(zip(found, volumes, strict=True))))
    by_change = {id(change): wanted for change, wanted in zip(changes, volumes, strict=True)}

    def write(change: Change) -> None:
        namespace, volume_id = change.details["namespace"], change.details["id"]
        if change.after is None:
            remove(client, change.name, volume_id, namespace)
            return
        wanted = by_change[id(change)]
        body = change.after | {"ID": volume_id, "NodeID": wanted.get("node_id") or "", "NodePool": wanted.get("node_pool") or ""}
        made = client.volumes.create(body, namespace=namespace)
        change.details |= {"id": made["ID"], "node_id": made["NodeID"], "host_path": made["HostPath"]}

    if not check_mode:
        apply(client, changes, write)
        if params["wait_timeout"] > 0:
            wait_reported(client, changes, where, params["wait_timeout"])
    return result(client, "volumes", changes)


def wait_reported(client: NomadClient, changes: Sequence[Change], namespace: str, timeout: float) -> None:
    """Until the scheduler knows of the volumes that were written. What its node does not report has that noted in its change."""
    written = [change for change in changes if change.changed and change.after is not None and not change.failed]
    pending = {str(change.details["id"]): change for change in written}
    deadline = time.monotonic() + timeout
    with waiting(lambda: f"nodes to report {some({change.name for change in pending.values()})}" if pending else ""):
        while pending and (now := time.monotonic()) < deadline:
            time.sleep(min(POLL_SECONDS, deadline - now))
            ready = {stub["ID"] for stub in client.volumes.list(namespace=namespace) if stub["State"] == "ready"}
            pending = {volume_id: change for volume_id, change in pending.items() if volume_id not in ready}
    for change in pending.values():
        node = change.details["node_id"]
        change.failed = (
            f"Nomad at {client.address}: node {node} did not report volume {change.name} within {timeout:g} s; is Nomad well there?"
        )


def remove(client: NomadClient, name: str, volume_id: str, namespace: str) -> None:
    try:
        client.volumes.delete(volume_id, namespace=namespace)
    except NomadError as error:
        if "in use by allocations" in str(error):
            raise NomadConflict(f"Nomad at {client.address}: volume {name} is in use; stop the job that uses it first") from None
        if "no such volume" not in str(error):
            raise


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
