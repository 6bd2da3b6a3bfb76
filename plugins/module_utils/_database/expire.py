# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ends what is past its time: databases past their ttl, destroyed databases past the retention time, and old passwords.

The playbook `expire` and the reaper, a job that Nomad runs from time to time, both use this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database import info as database_info
from ansible_collections.infinite.databases.plugins.module_utils._database import release as database_release
from ansible_collections.infinite.databases.plugins.module_utils._database import rotate as database_rotate
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC
from ansible_collections.infinite.databases.plugins.module_utils.errors import BatchFailed, InfiniteError
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec, with_defaults

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "retention": {"type": "str", "default": "7d"},
}


def due(databases: Sequence[Mapping[str, Any]], what: str) -> list[str]:
    return [one["name"] for one in databases if one["due"] == what]


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    connection = {key: params[key] for key in CONNECTION_SPEC}
    asked = connection | {"details": True, "retention": params["retention"]}
    found = database_info.run(with_defaults(database_info.ARGUMENT_SPEC, asked), check_mode)["databases"]
    todo = {
        "passwords": ([one["name"] for one in found], database_rotate, "expired"),
        "destroyed": (due(found, "destroy"), database_release, "destroyed"),
        "erased": (due(found, "erase"), database_release, "erased"),
    }
    result: dict[str, Any] = {"changed": False} | {kind: [] for kind in todo}
    problems = []
    for kind, (names, module, state) in todo.items():
        if not names:
            continue
        # Meanwhile somebody may have brought one of the databases back, or given it a longer ttl. So release.py checks it again.
        again = {"due_retention": params["retention"]} if module is database_release else {}
        given = with_defaults(module.ARGUMENT_SPEC, connection | {"names": names, "state": state} | again)
        # If one kind fails, the others are done all the same.
        try:
            done = module.run(given, check_mode)
        except InfiniteError as error:
            problems.append(str(error))
        else:
            result[kind] = done["names"] if kind == "passwords" else [name for name in names if name not in done["missing"]]
    result["changed"] = any(result[kind] for kind in todo)
    if problems:
        raise BatchFailed("; ".join(problems), **result)
    return result


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
