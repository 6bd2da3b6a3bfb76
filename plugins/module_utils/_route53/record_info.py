# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lists the records of a hosted zone, and their owners."""

from __future__ import annotations

from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._route53.aws import AWS_SPEC, AwsClient
from ansible_collections.infinite.databases.plugins.module_utils._route53.names import (
    MARK,
    canonical,
    mark_name,
    order,
    readable,
    within,
)
from ansible_collections.infinite.databases.plugins.module_utils._route53.plan import Mark
from ansible_collections.infinite.databases.plugins.module_utils._route53.record_values import Record
from ansible_collections.infinite.databases.plugins.module_utils._route53.zone import ZONE_SPEC, find
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **AWS_SPEC,
    **ZONE_SPEC,
    "names": {"type": "list", "elements": "str"},
    "domain": {"type": "str"},
    "types": {"type": "list", "elements": "str"},
    "owner": {"type": "str"},
}


def shown(record: Record, owner: str) -> dict[str, Any]:
    """Return the record with the keys of route53_record, and its owner and routing policy."""
    alias = record.alias and {
        "hosted_zone_id": record.alias.zone_id,
        "dns_name": readable(record.alias.dns_name),
        "evaluate_target_health": record.alias.evaluate_target_health,
    }
    about = {"name": readable(record.name), "type": record.type, "ttl": record.ttl, "values": list(record.values)}
    return about | {"alias": alias, "owner": owner, "routing_policy": record.routed}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    names = None if params["names"] is None else {canonical(name) for name in params["names"]}
    zone = find(AwsClient("route53", params), params)
    domain = canonical(params["domain"]) if params["domain"] else zone.name
    for name in (domain, *(names or ())):
        if not within(name, zone.name):
            raise InvalidInput(f"{readable(name)} is not in the zone {readable(zone.name)} ({zone.id})")
    records = zone.read([], domain) if names is None else zone.read(names | {mark_name(name) for name in names})
    marks = {record.name: Mark.read(record).owners for record in records if record.name.startswith(MARK)}
    found = []
    for record in sorted(records, key=lambda record: (order(record.name), record.type)):
        owner = marks.get(mark_name(record.name), {}).get(record.type, "")
        wanted = within(record.name, domain) if names is None else record.name in names
        wanted = wanted and (params["types"] is None or record.type in params["types"])
        if wanted and record.name not in marks and (params["owner"] is None or owner == params["owner"]):
            found.append(shown(record, owner))
    return zone.result | {"records": found}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
