# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes running servers apply their records again: the logins, the database and its extensions.

A server does this without a restart whenever its variable is written (grant.sh in postgres.nomad.hcl).
"""

from __future__ import annotations

from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.record import change, find_record
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils.errors import BatchFailed
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "names": {"type": "list", "elements": "str", "required": True},
    "take_back": {"type": "bool", "default": False},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client, take_back = NomadClient(params), params["take_back"]
    found = [record for record in values(client.map(lambda name: find_record(client, name), params["names"])) if record]
    # Databases that end, or that have nothing to take back, are skipped.
    records = [one for one in found if not (one["erasing"] or one["destroyed"] or (take_back and not one["trying"]))]
    taken_back: dict[str, Any] = {"trying": {}} if take_back else {}
    if not check_mode:
        outcomes = client.map(lambda one: change(client, one, lambda now: dict(now) | taken_back), records)
        failures = [f"{one.item['name']}: {one.error}" for one in outcomes if one.error]
        if failures:
            raise BatchFailed("; ".join(failures), changed=True)
    return {"changed": bool(records), "names": [one["name"] for one in records], "api_calls": client.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
