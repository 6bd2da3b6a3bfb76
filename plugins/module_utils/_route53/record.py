# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Changes records in a hosted zone, any number at once: reads the zone, plans, writes and waits."""

from __future__ import annotations

import random
import time
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._route53.aws import AWS_SPEC, AwsClient, AwsOutdated
from ansible_collections.infinite.databases.plugins.module_utils._route53.names import (
    MARK,
    MARK_WILDCARD,
    canonical,
    mark_name,
    readable,
    within,
)
from ansible_collections.infinite.databases.plugins.module_utils._route53.plan import Plan, Rules, batches, plan
from ansible_collections.infinite.databases.plugins.module_utils._route53.record_values import TYPES, Record, from_params
from ansible_collections.infinite.databases.plugins.module_utils._route53.zone import ZONE_SPEC, Zone, find
from ansible_collections.infinite.databases.plugins.module_utils.errors import InfiniteError, InvalidInput
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **AWS_SPEC,
    **ZONE_SPEC,
    "records": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "type": {"type": "str", "choices": TYPES, "required": True},
            "values": {"type": "list", "elements": "str"},
            "ttl": {"type": "int"},
            "alias": {
                "type": "dict",
                "options": {
                    "hosted_zone_id": {"type": "str", "required": True},
                    "dns_name": {"type": "str", "required": True},
                    "evaluate_target_health": {"type": "bool", "default": False},
                },
            },
        },
    },
    "ttl": {"type": "int", "default": 300},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "owner": {"type": "str", "default": ""},
    "exclusive": {"type": "bool", "default": False},
    "domain": {"type": "str"},
    "force": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 300},
}
# How often a plan is made again because somebody else has changed the zone since it was read.
ROUNDS = 4
MAX_OWNER = 200


def parse(params: dict[str, Any]) -> tuple[list[Record], Rules]:
    """Check the parameters, as far as this is possible without AWS, and return the wanted records and the rules."""
    present, owner = params["state"] == "present", params["owner"]
    wanted: dict[tuple[str, str], Record] = {}
    for given in params["records"]:
        record = from_params(given, params["ttl"], present)
        if record.key in wanted:
            raise InvalidInput(f"{record.label} is in the list twice; name it once, with all its values")
        if record.name.startswith(MARK) or (owner and record.name.startswith(MARK_WILDCARD)):
            raise InvalidInput(f"{record.label}: names that begin with {MARK} or {MARK_WILDCARD} are reserved for marks")
        wanted[record.key] = record
    if len(owner) > MAX_OWNER:
        raise InvalidInput(f"owner is {len(owner)} characters long; {MAX_OWNER} are allowed")
    if not params["exclusive"]:
        return list(wanted.values()), Rules(owner, present, params["force"])
    if not present or not owner or not params.get("domain"):
        raise InvalidInput("exclusive needs state present, domain and owner, so that no record of others is removed")
    domain = canonical(params["domain"])
    for record in wanted.values():
        if not within(record.name, domain):
            raise InvalidInput(f"{record.label} is not in the domain {readable(domain)} that the list is exclusive for")
    return list(wanted.values()), Rules(owner, present, params["force"], domain)


def read(zone: Zone, wanted: list[Record], rules: Rules) -> list[Record]:
    for name in (*(record.name for record in wanted), *filter(None, [rules.exclusive])):
        if not within(name, zone.name):
            raise InvalidInput(f"{readable(name)} is not in the zone {readable(zone.name)} ({zone.id})")
    names = {record.name for record in wanted}
    if rules.owner:
        names |= {mark_name(name) for name in names}
    return zone.read(names, rules.exclusive)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    wanted, rules = parse(params)
    zone = find(AwsClient("route53", params), params)
    if not wanted and not rules.exclusive:
        return zone.result | {"changes": [], "diff": {"before": "", "after": ""}}
    todo = plan(read(zone, wanted, rules), wanted, rules)
    result: dict[str, Any] = {
        "changed": bool(todo.units),
        "changes": [change.summary for change in todo.changes],
        "diff": {"before": todo.lines("DELETE"), "after": todo.lines("CREATE")},
    }
    if check_mode or not todo.units:
        return result | zone.result
    try:
        write(zone, todo, wanted, rules)
        if params["wait"]:
            zone.wait(params["wait_timeout"])
    except InfiniteError as error:
        error.result = zone.result | {"changed": zone.written > 0} | error.result
        raise
    return result | zone.result


def write(zone: Zone, todo: Plan, wanted: list[Record], rules: Rules) -> None:
    """Write the plan. If the zone has changed since it was read, read it and plan again.

    This also happens if the answer to a write was lost: the repeated write finds that the records exist already, and nothing is
    left to do. The lost answer had the id of the change, so the module cannot wait for this change.
    """
    for attempt in range(ROUNDS):
        try:
            for batch in batches(todo.units):
                zone.write(batch)
        except AwsOutdated:
            if attempt == ROUNDS - 1:
                raise
        else:
            return
        # The pause is random, so that two runs that disturbed each other do not do so again.
        time.sleep(random.uniform(0, 0.3) * attempt)
        todo = plan(read(zone, wanted, rules), wanted, rules)


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
