# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filters that turn records into other modules' lists."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.infinite.databases.plugins.filter.database import (
    FilterModule,
    address_types,
    dns_records,
    endpoints,
    jobs,
    run_seconds,
)

RECORDS: list[dict[str, Any]] = [
    {"name": name, "user": name, "password": f"secret-{name}", "version": "17", "volume": f"v-{name}", "spec": {}, "created": True}
    for name in ("a", "b")
]


DEFAULTS = {"memory": 64, "memory_max": 256, "cpu": 20, "allowed_cidrs": ["192.0.2.0/24"]}


def test_jobs_hold_no_password() -> None:
    made = jobs(RECORDS, DEFAULTS, {"17": "image"}, "db.localhost", "databases")
    assert [one["id"] for one in made] == ["a", "b"]
    assert made[0]["variables"]["host"] == "a.db.localhost"
    assert "secret" not in str(made)


@pytest.mark.parametrize("left_out", DEFAULTS)
def test_no_default_is_made_up(left_out: str) -> None:
    """Least of all an allow-list: without it a database would be open to everybody."""
    defaults = {key: value for key, value in DEFAULTS.items() if key != left_out}
    with pytest.raises(AnsibleFilterError, match=f"^defaults: {left_out} is missing; give memory"):
        jobs(RECORDS, defaults, {"17": "image"}, "db.localhost", "databases")


def test_endpoints() -> None:
    assert endpoints(RECORDS[:1], "db.localhost", 6432) == [
        {
            "host": "a.db.localhost",
            "port": 6432,
            "extensions": [],
            "allowed_cidrs": [],
            "name": "a",
            "user": "a",
            "password": "secret-a",
        }
    ]


def test_each_database_leads_to_its_node() -> None:
    placed = [{"name": "a", "node": "n1"}, {"name": "b", "node": "n2"}, {"name": "forgotten", "node": ""}]
    assert dns_records(placed, "db.example.com", {"n1": "203.0.113.1", "n2": "2001:db8::1"}) == [
        {"name": "a.db.example.com", "type": "A", "values": ["203.0.113.1"]},
        {"name": "b.db.example.com", "type": "AAAA", "values": ["2001:db8::1"]},
    ]
    with pytest.raises(AnsibleFilterError, match="no address of n2"):
        dns_records(placed, "db.example.com", {"n1": "203.0.113.1"})


def test_both_kinds_of_addresses_are_removed() -> None:
    assert address_types("a.x") == [{"name": "a.x", "type": "A"}, {"name": "a.x", "type": "AAAA"}]


def test_run_seconds() -> None:
    """Of this process's parent, which is older than a moment and younger than the machine."""
    with open("/proc/uptime", encoding="utf-8") as file:
        uptime = float(file.read().split()[0])
    assert 0 < run_seconds() <= uptime + 1


def test_names() -> None:
    assert set(FilterModule().filters()) == {
        "address_record",
        "address_types",
        "connection_url",
        "dns_records",
        "endpoints",
        "jobs",
        "preview_labels",
        "preview_name",
        "run_seconds",
        "short_time",
    }
