# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.infinite.databases.plugins.module_utils._database import preview
from ansible_collections.infinite.databases.plugins.module_utils._database.checks import short_time
from ansible_collections.infinite.databases.plugins.module_utils._database.description import connection_url, job_variables
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput


def jobs(
    records: Sequence[Mapping[str, Any]],
    defaults: Mapping[str, Any],
    images: Mapping[str, str],
    domain: str,
    namespace: str,
) -> list[dict[str, Any]]:
    """Return each database's entry in the list of nomad_job."""
    try:
        return [
            {"id": record["name"], "variables": job_variables(record, defaults, images, domain, namespace)} for record in records
        ]
    except InvalidInput as error:
        raise AnsibleFilterError(str(error)) from None


def endpoints(
    records: Sequence[Mapping[str, Any]], domain: str, port: int, allowed_cidrs: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return each database's entry in the list of postgresql_ready. ``allowed_cidrs`` is for databases without their own."""
    return [
        {"host": f"{record['name']}.{domain}", "port": port, "extensions": record["spec"].get("extensions", [])}
        | {"allowed_cidrs": list(record["spec"].get("allowed_cidrs") or allowed_cidrs)}
        | {key: record[key] for key in ("name", "user", "password")}
        for record in records
    ]


def address_record(name: str, address: str) -> dict[str, Any]:
    """Return the entry in the list of route53_record that leads the name to the address."""
    kind = "AAAA" if ipaddress.ip_address(address).version == 6 else "A"
    return {"name": name, "type": kind, "values": [address]}


def address_types(name: str) -> list[dict[str, Any]]:
    """Return entries in the list of route53_record that remove all address records of a name."""
    return [{"name": name, "type": kind} for kind in ("A", "AAAA")]


def dns_records(databases: Sequence[Mapping[str, Any]], domain: str, addresses: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return each database's address record.

    ``databases`` have name and node; ``addresses`` has each node's address by its name.
    """
    lost = sorted({database["node"] for database in databases} - set(addresses) - {""})
    if lost:
        raise AnsibleFilterError(
            f"connection.yml knows no address of {', '.join(lost)}, where databases are; run site.yml with all hosts"
        )
    return [address_record(f"{one['name']}.{domain}", addresses[one["node"]]) for one in databases if one["node"]]


def run_seconds(_value: Any = None) -> float:
    """Return the seconds since ansible-playbook was started. A task runs in a child of that process.

    proc(5), /proc/pid/stat, field 22.
    """
    with open(f"/proc/{os.getppid()}/stat", encoding="utf-8") as file:
        started = int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return round(time.clock_gettime(time.CLOCK_BOOTTIME) - started, 1)


def preview_name(key: Any, project: Any = "") -> str:
    """Return the name of a pull request's database."""
    try:
        return preview.name_of(key, project)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from None


def preview_labels(name: str, given: Any, known: Mapping[str, str] | None = None, source: str = "") -> dict[str, str]:
    """Return the labels of a pull request's database."""
    try:
        return preview.labels_of(name, given, known, source)
    except ValueError as error:
        raise AnsibleFilterError(f"labels: {error}") from None


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "jobs": jobs,
            "endpoints": endpoints,
            "connection_url": connection_url,
            "address_record": address_record,
            "address_types": address_types,
            "dns_records": dns_records,
            "run_seconds": run_seconds,
            "short_time": short_time,
            "preview_name": preview_name,
            "preview_labels": preview_labels,
        }
