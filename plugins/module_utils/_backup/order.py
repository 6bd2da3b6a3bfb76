# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Orders backups and test restores of databases, and waits for them.

An order is an id and a kind in the database's record. The server gets it through its variable, without a restart, and writes it to
its volume (grant.sh). The node's backup agent finds it there, and says in its file when the order is done.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._backup.state import SILENCE_SECONDS, read_states
from ansible_collections.infinite.databases.plugins.module_utils._database.record import change, find_record
from ansible_collections.infinite.databases.plugins.module_utils._database.restart import running_allocs
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils.errors import BatchFailed, InvalidInput
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec
from ansible_collections.infinite.databases.plugins.module_utils.waiting import some, waiting

POLL_SECONDS = 0.5
# Seconds between two looks whether an order is still in its record.
AGAIN_SECONDS = 5.0
ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "names": {"type": "list", "elements": "str", "required": True},
    "kind": {"type": "str", "choices": ["full", "diff", "incr", "wal", "test"], "default": "incr"},
    "wait_timeout": {"type": "float", "default": 3600},
}


def refusal(record: Mapping[str, Any] | None, state: Mapping[str, Any] | None, is_running: bool, now: float) -> str:
    """Return why a database cannot be backed up now; empty if it can."""
    if record is None or record["erasing"]:
        return "there is no such database; see `list` for the names there are"
    if record["destroyed"]:
        return "it is destroyed; bring it back first (undestroy)"
    if record["spec"].get("backup") is False:
        return "it has `backup: false`; provision it with `backup=true` first"
    if not is_running:
        return "its server does not run; start it first"
    if state is None:
        return "no backup agent knows it; provision it, which restarts it, if it is older than the environment's backups"
    if now - state["time"] > SILENCE_SECONDS:
        return "its node's backup agent does not answer; see `nomad job status -namespace=databases _backup`"
    return ""


class Orders:
    """Orders for several databases, which are all of one kind."""

    def __init__(self, client: NomadClient, records: Sequence[Mapping[str, Any]], kind: str) -> None:
        self.client, self.kind = client, kind
        self.ids = {record["name"]: secrets.token_hex(6) for record in records}
        self.volumes = {record["name"]: record["volume"] for record in records}
        values(client.map(self._place, records))

    def _place(self, record: Mapping[str, Any]) -> None:
        change(self.client, record, lambda now: dict(now) | {"order": f"{self.ids[record['name']]} {self.kind}"})

    def _place_again(self, name: str) -> None:
        """Place the order again if somebody else's order has replaced it."""
        record = find_record(self.client, name)
        if record and not record["order"].startswith(self.ids[name]):
            self._place(record)

    def wait(self, seconds: float) -> dict[str, dict[str, Any]]:
        """Wait until the orders are done.

        Return for each database that is done what its agent says, with ``error`` (empty for success) and ``reach``, the position in
        the write-ahead log that the repository has at least.
        """
        found: dict[str, dict[str, Any]] = {}
        accepted: set[str] = set()
        deadline = time.monotonic() + seconds
        look_again = time.monotonic() + AGAIN_SECONDS
        with waiting(lambda: f"the backups of {some(self.ids.keys() - found.keys())}"):
            while True:
                states = read_states(self.client)
                for name, order in self.ids.items():
                    state = states.get(self.volumes[name])
                    if state and order in state["accepted"]:
                        accepted.add(name)
                    if state and order in state["orders"]:
                        found[name] = state | state["orders"][order]
                left = self.ids.keys() - found.keys()
                if not left or time.monotonic() > deadline:
                    return found
                if time.monotonic() > look_again:
                    values(self.client.map(self._place_again, left - accepted))
                    look_again = time.monotonic() + AGAIN_SECONDS
                time.sleep(POLL_SECONDS)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    names: list[str] = list(dict.fromkeys(params["names"]))
    states, now = read_states(client), time.time()
    records = dict(zip(names, values(client.map(lambda name: find_record(client, name), names)), strict=True))
    allocs = running_allocs(client, names)

    def why_not(name: str) -> str:
        record = records[name]
        return refusal(record, states.get(record["volume"]) if record else None, bool(allocs[name]), now)

    problems = [f"{name}: {why}" for name in names if (why := why_not(name))]
    if problems:
        raise InvalidInput(f"No backup was begun: {'; '.join(problems)}")
    if check_mode:
        return {"changed": True, "databases": [{"name": name} for name in names], "api_calls": client.api_calls}
    done = Orders(client, [record for record in records.values() if record], params["kind"]).wait(params["wait_timeout"])
    failures = [f"{name}: {done[name]['error']}" for name in names if name in done and done[name]["error"]]
    what = "test restore" if params["kind"] == "test" else "backup"
    failures += [f"{name}: no {what} within {params['wait_timeout']:g} s; see `backups`" for name in names if name not in done]
    if failures:
        raise BatchFailed("; ".join(failures), changed=True)
    databases = [{"name": name, "backup": (done[name]["backups"] or [None])[-1], "test": done[name].get("test")} for name in names]
    return {"changed": True, "databases": databases, "api_calls": client.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
