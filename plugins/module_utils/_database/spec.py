# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks descriptions of databases before any API is called."""

from __future__ import annotations

from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.description import check_all, select
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    # Any type is accepted: a value that is not a list is reported together with the other problems.
    "databases": {"type": "raw"},
    "only": {"type": "raw"},
    "options": {"type": "dict", "default": {}},
    "versions": {"type": "list", "elements": "str", "required": True},
    "domain": {"type": "str", "required": True},
    "disk_quota": {"type": "bool", "default": False},
    "backups": {"type": "bool", "default": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    chosen = select(params["databases"], params["only"], params["options"])
    return {"databases": check_all(chosen, params["versions"], params["domain"], params["disk_quota"], params["backups"])}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
