# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Chooses the node, and the volume on it, for each new database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import Volume
from ansible_collections.infinite.databases.plugins.module_utils._nomad.capacity import CURE, Amount, Capacity, read_capacity
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.waiting import some


def wanted_for(asked: Mapping[str, Any], defaults: Mapping[str, Any]) -> Amount:
    """Return what the database's server will reserve."""
    return Amount(int(asked.get("memory") or defaults["memory"]), int(asked.get("cpu") or defaults["cpu"]))


def assign(
    wanted: Sequence[Mapping[str, Any]], ready: Sequence[Volume], capacity: Capacity, defaults: Mapping[str, Any]
) -> tuple[list[tuple[str, Volume]], list[tuple[str, str, str]], list[str]]:
    """Assign a prepared volume to each wanted database, on a node with room for the database.

    Return the assigned volumes; for databases without a volume, the version and the node where one is to be prepared; and the
    databases that no node has room for.
    """
    free: dict[str, list[Volume]] = {}
    for volume in ready:
        free.setdefault(volume.version, []).append(volume)
    given: list[tuple[str, Volume]] = []
    lacking: list[tuple[str, str, str]] = []
    nowhere: list[str] = []
    for one in wanted:
        amount, volumes = wanted_for(one, defaults), free.get(one["version"], [])
        if found := next((volume for volume in volumes if capacity.take(volume.node, amount)), None):
            volumes.remove(found)
            given.append((one["name"], found))
        elif node := capacity.place(amount):
            lacking.append((one["name"], one["version"], node))
        else:
            nowhere.append(f"{one['name']} ({amount})")
    return given, lacking, nowhere


def no_room(nowhere: Sequence[str], client: NomadClient) -> str:
    return f"no node has room for {some(nowhere)}: {read_capacity(client)}; {CURE}"
