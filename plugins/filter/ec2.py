# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters for role ec2_host only, which compare what was asked for with what AWS has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._ec2 import hosts, plan, problems


def plain(value: Any) -> Any:
    """Return the value with plain containers. Ansible's own evaluate items when they are read; json reads them differently."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def ec2_problems(wanted: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with what was asked for."""
    return problems.problems(plain(wanted))


def ec2_hosts(names: Iterable[str], tagged: Mapping[str, Any], untagged: Mapping[str, Any]) -> dict[str, Any]:
    """Return each host's instance, data volume and address."""
    return hosts.find(plain(names), plain(tagged), plain(untagged))


def ec2_plan(
    found: Mapping[str, Any],
    wanted: Mapping[str, Any],
    subnets: Sequence[Mapping[str, Any]],
    zones: Sequence[Mapping[str, Any]],
    image: Mapping[str, Any],
) -> dict[str, Any]:
    """Return where new hosts go, the hosted zone's id, and what does not fit."""
    return plan.plan(plain(found), plain(wanted), plain(subnets), plain(zones), plain(image))


def ec2_open(wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return who may connect to which port."""
    return plan.open_ports(plain(wanted))


def ec2_rules(wanted: Mapping[str, Any], group: str) -> list[dict[str, Any]]:
    """Return the security group's rules."""
    return plan.rules(plain(wanted), group)


def ec2_mistagged(found: Mapping[str, Any], servers: Sequence[str], common: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what lacks one of its tags."""
    return hosts.mistagged(plain(found).values(), plain(servers), plain(common))


def ec2_outdated(found: Sequence[Mapping[str, Any]], shown: Mapping[str, Mapping[str, Any]], readdressed: bool) -> list[str]:
    """Return the hosts of which the inventory is out of date. ``shown`` stays lazy, because few of its variables are read."""
    return hosts.outdated(plain(found), shown, readdressed)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "ec2_problems": ec2_problems,
            "ec2_hosts": ec2_hosts,
            "ec2_plan": ec2_plan,
            "ec2_open": ec2_open,
            "ec2_rules": ec2_rules,
            "ec2_mistagged": ec2_mistagged,
            "ec2_outdated": ec2_outdated,
        }
