# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lists Nomad's ACL tokens and when they expire. https://developer.hashicorp.com/nomad/api-docs/acl/tokens#list-tokens"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {**CONNECTION_SPEC}
# A token should be replaced in the last quarter of its life, but not earlier than this many seconds before its end. So a token for
# one day is not warned of all day.
EARLIEST = 14 * 86400
PART = 4


def seconds(moment: str) -> int:
    """Return seconds since 1970 for a time in RFC 3339, with up to nine digits of a second, as Go writes it."""
    return int(datetime.fromisoformat(moment).timestamp())


def described(token: Mapping[str, Any]) -> dict[str, Any]:
    expires = seconds(token["ExpirationTime"]) if token.get("ExpirationTime") else None
    return {
        "accessor_id": token["AccessorID"],
        "name": token["Name"],
        "type": token["Type"],
        "policies": sorted(token.get("Policies") or []),
        "expires": expires,
        "ending_from": expires and expires - min(EARLIEST, (expires - seconds(token["CreateTime"])) // PART),
    }


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    tokens = [described(token) for token in client.endpoint("acl/tokens").get()]
    return {"changed": False, "tokens": sorted(tokens, key=lambda one: one["name"]), "api_calls": client.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
