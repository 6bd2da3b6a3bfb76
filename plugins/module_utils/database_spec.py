# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check descriptions of databases before anything is asked of any API."""

from __future__ import annotations

from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.database import check_all, select
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    # Any type: what is not a list is a problem to report among the others.
    "databases": {"type": "raw"},
    "only": {"type": "raw"},
    "options": {"type": "dict", "default": {}},
    "versions": {"type": "list", "elements": "str", "required": True},
    "domain": {"type": "str", "required": True},
    "disk_quota": {"type": "bool", "default": False},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    chosen = select(params["databases"], params["only"], params["options"])
    return {"databases": check_all(chosen, params["versions"], params["domain"], params["disk_quota"])}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
