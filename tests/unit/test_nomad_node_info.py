# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a node is described, and what is waited for."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._nomad.node_info import described, unready

NODE: dict[str, Any] = {
    "ID": "6f1c",
    "Name": "db1",
    "Status": "ready",
    "SchedulingEligibility": "eligible",
    "Address": "10.0.0.5",
    "Datacenter": "dc1",
    "NodePool": "default",
    "Version": "2.0.5",
    "Drivers": {"raw_exec": {"Detected": True, "Healthy": True}, "docker": {"Detected": True, "Healthy": True}},
}


def test_all_of_it() -> None:
    assert described(NODE) == {
        "id": "6f1c",
        "name": "db1",
        "status": "ready",
        "eligible": True,
        "address": "10.0.0.5",
        "datacenter": "dc1",
        "pool": "default",
        "version": "2.0.5",
        "drivers": ["docker", "raw_exec"],
    }


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"SchedulingEligibility": "ineligible"}, {"eligible": False}),
        ({"Drivers": {"docker": {"Detected": True, "Healthy": False}}}, {"drivers": []}),
        # One that has just registered.
        ({"Drivers": None, "Status": "initializing"}, {"drivers": [], "status": "initializing"}),
    ],
)
def test_what_may_differ(changes: dict[str, Any], found: dict[str, Any]) -> None:
    assert described(NODE | changes) == described(NODE) | found


def node(name: str, status: str = "ready", *drivers: str) -> dict[str, Any]:
    return {"name": name, "status": status, "drivers": list(drivers)}


WANTED: dict[str, Any] = {"wait_nodes": [], "wait_servers": [], "wait_driver": None}


@pytest.mark.parametrize(
    ("wanted", "lacking"),
    [
        ({}, []),
        ({"wait_servers": ["10.0.0.5:4647"]}, []),
        ({"wait_servers": ["10.0.0.6:4647", "10.0.0.5:4647"]}, ["server 10.0.0.6:4647 (has not joined)"]),
        ({"wait_nodes": ["a", "b"]}, []),
        ({"wait_nodes": ["a", "b"], "wait_driver": "docker"}, ["client b (no healthy docker)"]),
        # Another host took over its name.
        ({"wait_nodes": ["replaced"], "wait_driver": "docker"}, []),
        ({"wait_nodes": ["gone", "never"], "wait_driver": "docker"}, ["client gone (down)", "client never (unknown)"]),
    ],
)
def test_what_is_lacking(wanted: dict[str, Any], lacking: list[str]) -> None:
    nodes = [node("a", "ready", "docker"), node("b"), node("gone", "down", "docker")]
    nodes += [node("replaced", "down", "docker"), node("replaced", "ready", "docker")]
    assert unready({"nodes": nodes, "servers": ["10.0.0.5:4647"]}, WANTED | wanted) == lacking
