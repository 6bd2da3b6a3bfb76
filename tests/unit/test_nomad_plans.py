# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pure plans of the modules: what is to be done, given what exists and what is wanted."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._nomad import acl_policy as nomad_acl_policy
from ansible_collections.infinite.databases.plugins.module_utils._nomad import acl_token as nomad_acl_token
from ansible_collections.infinite.databases.plugins.module_utils._nomad import namespace as nomad_namespace
from ansible_collections.infinite.databases.plugins.module_utils._nomad import scheduler_config as nomad_scheduler_config
from ansible_collections.infinite.databases.plugins.module_utils._nomad import variable as nomad_variable
from ansible_collections.infinite.databases.plugins.module_utils._nomad import volume as nomad_volume
from ansible_collections.infinite.databases.plugins.module_utils._nomad.objects import Change
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

NAMESPACE = {"Name": "a", "Description": "old", "Meta": None, "Capabilities": None, "Quota": "", "CreateIndex": 3}


@pytest.mark.parametrize(
    ("current", "wanted", "action"),
    [
        (None, {}, "created"),
        (NAMESPACE, {}, "unchanged"),
        (NAMESPACE, {"description": "old"}, "unchanged"),
        (NAMESPACE, {"description": "new"}, "updated"),
        (NAMESPACE, {"meta": {}}, "unchanged"),
        (NAMESPACE, {"meta": {"a": 1}}, "updated"),
        (NAMESPACE, {"enabled_task_drivers": ["docker"]}, "updated"),
        (NAMESPACE, {"state": "absent"}, "removed"),
        (None, {"state": "absent"}, "unchanged"),
    ],
)
def test_namespace(current: dict[str, Any] | None, wanted: dict[str, Any], action: str) -> None:
    assert nomad_namespace.plan(current, {"name": "a", "state": "present"} | wanted).action == action


POLICY = {"Name": "p", "Description": "d", "Rules": 'namespace "a" {\n  policy = "read"\n}\n', "JobACL": None}
SCOPE = {"namespace": "platform", "job_id": "traefik", "group": None, "task": None}


@pytest.mark.parametrize(
    ("current", "wanted", "action"),
    [
        (None, {}, "created"),
        (POLICY, {}, "unchanged"),
        (POLICY, {"rules": '# why\nnamespace "a" {\n      policy   = "read"\n\n}'}, "unchanged"),
        (POLICY, {"rules": 'namespace "a" {\n  policy = "write"\n}\n'}, "updated"),
        (POLICY, {"description": "x"}, "updated"),
        (POLICY, {"job_acl": SCOPE}, "updated"),
        (POLICY | {"JobACL": {"Namespace": "platform", "JobID": "traefik"}}, {"job_acl": SCOPE}, "unchanged"),
        (POLICY | {"JobACL": {"Namespace": "platform", "JobID": "traefik"}}, {}, "updated"),
        (POLICY, {"state": "absent"}, "removed"),
    ],
)
def test_policy(current: dict[str, Any] | None, wanted: dict[str, Any], action: str) -> None:
    defaults = {"name": "p", "state": "present", "description": "d", "rules": POLICY["Rules"]}
    assert nomad_acl_policy.plan(current, defaults | wanted).action == action


def token(accessor: str, **more: Any) -> dict[str, Any]:
    return {"AccessorID": accessor, "Name": "t", "Type": "client", "Global": False, "Policies": ["p"]} | more


@pytest.mark.parametrize(
    ("tokens", "known", "wanted", "action", "stale", "kept"),
    [
        ([], None, {}, "created", [], None),
        ([token("1")], "1", {}, "unchanged", [], "1"),
        ([token("1")], None, {}, "created", ["1"], None),  # its secret is lost
        ([token("1")], None, {"secret_file": None}, "unchanged", [], "1"),  # nobody asked us to keep it
        ([token("1"), token("2")], "2", {}, "unchanged", ["1"], "2"),
        ([token("1"), token("2", Name="other")], "1", {}, "unchanged", [], "1"),
        ([token("1")], "1", {"policies": ["p", "q"]}, "updated", [], "1"),
        ([token("1")], "1", {"type": "management", "policies": []}, "created", ["1"], None),
        ([token("1")], "1", {"state": "absent"}, "removed", ["1"], None),
    ],
)
def test_token(
    tokens: list[dict[str, Any]], known: str | None, wanted: dict[str, Any], action: str, stale: list[str], kept: str | None
) -> None:
    defaults = {"name": "t", "type": "client", "policies": ["p"], "global": False, "secret_file": "f", "state": "present"}
    change, old, same = nomad_acl_token.plan(tokens, known, defaults | wanted)
    assert (change.action, old, same) == (action, stale, kept)


VARIABLE = {"Path": "a/b", "Items": {"user": "u", "password": "hunter2"}, "ModifyIndex": 7}


@pytest.mark.parametrize(
    ("current", "wanted", "action", "index"),
    [
        (None, {"items": {"a": 1}}, "created", 0),
        (VARIABLE, {"items": {"user": "u", "password": "hunter2"}}, "unchanged", 7),
        (VARIABLE, {"items": {"user": "u", "password": "other"}}, "updated", 7),
        (VARIABLE, {"items": {"user": "u"}}, "updated", 7),
        (VARIABLE, {"items": {"user": "x"}, "overwrite": "never"}, "unchanged", 7),
        (VARIABLE, {"state": "absent"}, "removed", 7),
        (None, {"state": "absent"}, "unchanged", 0),
    ],
)
def test_variable(current: dict[str, Any] | None, wanted: dict[str, Any], action: str, index: int) -> None:
    defaults = {"path": "a/b", "namespace": "n", "state": "present", "overwrite": "always"}
    change = nomad_variable.plan(current, defaults | wanted)
    assert (change.action, change.details["modify_index"]) == (action, index)


@pytest.mark.parametrize("before", [None, {"password": "hunter2"}, {"password": "other", "user": "u"}])
@pytest.mark.parametrize("after", [None, {"password": "hunter2"}, {"password": "hunter2", "user": "u"}])
def test_a_diff_has_no_values(before: dict[str, str] | None, after: dict[str, str] | None) -> None:
    change = Change("a/b", before, after)
    shown = nomad_variable.masked(change)
    assert "hunter2" not in str(shown.diff())
    assert "other" not in str(shown.diff())
    assert (shown.changed, shown.action) == (change.changed, change.action)


def volume(volume_id: str = "1", name: str = "v", node: str = "n1", **more: Any) -> dict[str, Any]:
    capability = {"AttachmentMode": "file-system", "AccessMode": "single-node-single-writer"}
    kept = {"ID": volume_id, "Name": name, "Namespace": "default", "NodeID": node, "PluginID": "mkdir"}
    return kept | {"RequestedCapabilities": [capability], "Parameters": {"uid": "999"}} | more


WANTED_VOLUME = {
    "name": "v",
    "namespace": "default",
    "plugin_id": "mkdir",
    "access_mode": "single-node-single-writer",
    "attachment_mode": "file-system",
    "state": "present",
}


@pytest.mark.parametrize(
    ("current", "wanted", "action"),
    [
        (None, {}, "created"),
        (volume(), {}, "unchanged"),
        (volume(), {"parameters": {"uid": 999}}, "unchanged"),
        (volume(), {"parameters": {"uid": 1000}}, "updated"),
        (volume(), {"access_mode": "single-node-writer"}, "updated"),
        (volume(), {"capacity_max": 5}, "updated"),
        (volume(), {"state": "absent"}, "removed"),
    ],
)
def test_volume(current: dict[str, Any] | None, wanted: dict[str, Any], action: str) -> None:
    assert nomad_volume.plan(current, WANTED_VOLUME | wanted).action == action


def test_volume_names_that_are_not_unique() -> None:
    stubs = [volume("1"), volume("2", node="n2"), volume("3", name="other")]
    with pytest.raises(InvalidInput, match=r"2 volumes with the name v .*1, 2"):
        nomad_volume.find(stubs, WANTED_VOLUME)
    assert nomad_volume.find(stubs, WANTED_VOLUME | {"node_id": "n2"}) == stubs[1]
    assert nomad_volume.find(stubs, WANTED_VOLUME | {"name": "none"}) is None


def test_scheduler_keeps_what_is_not_mentioned() -> None:
    current = {"MemoryOversubscriptionEnabled": False, "PreemptionConfig": {"SystemSchedulerEnabled": True}, "ModifyIndex": 5}
    desired = nomad_scheduler_config.plan(current, {"memory_oversubscription": True, "preemption": {"batch": True}})
    assert desired == {
        "MemoryOversubscriptionEnabled": True,
        "PreemptionConfig": {"SystemSchedulerEnabled": True, "BatchSchedulerEnabled": True},
        "ModifyIndex": 5,
    }
