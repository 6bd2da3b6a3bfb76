# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.database import connection_url, job_variables


def jobs(
    records: Sequence[Mapping[str, Any]],
    defaults: Mapping[str, Any],
    images: Mapping[str, str],
    domain: str,
    namespace: str,
) -> list[dict[str, Any]]:
    """Each database's entry in nomad_job's list."""
    return [{"id": record["name"], "variables": job_variables(record, defaults, images, domain, namespace)} for record in records]


def endpoints(records: Sequence[Mapping[str, Any]], domain: str, port: int) -> list[dict[str, Any]]:
    """Each database's entry in postgresql_ready's list."""
    return [
        {"host": f"{record['name']}.{domain}", "port": port} | {key: record[key] for key in ("name", "user", "password")}
        for record in records
    ]


def run_seconds(_value: Any = None) -> float:
    """Seconds since ansible-playbook was started. A task runs in a child of that process. proc(5), /proc/pid/stat, field 22."""
    with open(f"/proc/{os.getppid()}/stat", encoding="utf-8") as file:
        started = int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return round(time.clock_gettime(time.CLOCK_BOOTTIME) - started, 1)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"jobs": jobs, "endpoints": endpoints, "connection_url": connection_url, "run_seconds": run_seconds}
