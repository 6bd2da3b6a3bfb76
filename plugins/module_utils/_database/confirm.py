# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks, as the last step of provisioning, whether another run ended the databases meanwhile.

A run that ends a database writes a note into the record before it does anything else (release.py). If the note was written before
this check, the check finds it and takes back what this run did. If the note is written after this check, its writer finds all
that this run did.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import META_VOLUME, RECORDS, end_job
from ansible_collections.infinite.databases.plugins.module_utils._database.record import find_record
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadNotFound
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "databases": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "volume": {"type": "str", "required": True},
            "index": {"type": "int", "required": True},
        },
    },
}


def verdict(record: Mapping[str, Any] | None, volume: str) -> str:
    """Return erased, erasing or destroyed. An empty text means that somebody changed the record, but the database lives."""
    if record is None or record["volume"] != volume:
        return "erased"
    return "erasing" if record["erasing"] else "destroyed" if record["destroyed"] else ""


def take_back(client: NomadClient, name: str, volume: str, purge: bool) -> None:
    """End the job, if it is still the job that uses this volume."""
    try:
        meta = client.job.get(name).get("Meta") or {}
    except NomadNotFound:
        return
    if meta.get(META_VOLUME) == volume:
        end_job(client, name, purge=purge)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    indices = {stub["Path"]: stub["ModifyIndex"] for stub in client.variables.list(RECORDS)}
    changed = [one for one in params["databases"] if indices.get(RECORDS + one["name"]) != one["index"]]
    found = values(client.map(lambda one: verdict(find_record(client, one["name"]), one["volume"]), changed))
    ended = [(one, state) for one, state in zip(changed, found, strict=True) if state]
    if not check_mode:
        # A run that is erasing a database waits for the server to end, and removes the job itself.
        values(client.map(lambda pair: take_back(client, pair[0]["name"], pair[0]["volume"], pair[1] == "erased"), ended))
    return {
        "changed": bool(ended),
        "erased": [one["name"] for one, state in ended if state != "destroyed"],
        "destroyed": [one["name"] for one, state in ended if state == "destroyed"],
        "api_calls": client.api_calls,
    }


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
