# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filters that turn records into other modules' lists."""

from __future__ import annotations

from typing import Any

from ansible_collections.infinite.databases.plugins.filter.database import FilterModule, endpoints, jobs, run_seconds

RECORDS: list[dict[str, Any]] = [
    {"name": name, "user": name, "password": f"secret-{name}", "version": "17", "volume": f"v-{name}", "spec": {}, "created": True}
    for name in ("a", "b")
]


def test_jobs_hold_no_password() -> None:
    made = jobs(RECORDS, {"memory": 64, "memory_max": 256, "cpu": 20}, {"17": "image"}, "db.localhost", "databases")
    assert [one["id"] for one in made] == ["a", "b"]
    assert made[0]["variables"]["host"] == "a.db.localhost"
    assert "secret" not in str(made)


def test_endpoints() -> None:
    assert endpoints(RECORDS[:1], "db.localhost", 6432) == [
        {"host": "a.db.localhost", "port": 6432, "name": "a", "user": "a", "password": "secret-a"}
    ]


def test_run_seconds() -> None:
    """Of this process's parent, which is older than a moment and younger than the machine."""
    with open("/proc/uptime", encoding="utf-8") as file:
        uptime = float(file.read().split()[0])
    assert 0 < run_seconds() <= uptime + 1


def test_names() -> None:
    assert set(FilterModule().filters()) == {"jobs", "endpoints", "connection_url", "run_seconds"}
