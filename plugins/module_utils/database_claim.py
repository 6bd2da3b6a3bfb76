# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A database's record is made once: credentials and a volume, kept for ever after.

It is created with check-and-set after a volume was claimed, so that of two runs one makes the record and the other gives
its volume back and uses the record of the first.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.database_fit import Offer, check_fit
from ansible_collections.infinite.databases.plugins.module_utils.database_record import (
    WANTED,
    find_record,
    new_logins,
    read_record,
    write_record,
    write_wanted,
)
from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    BatchFailed,
    InvalidInput,
    NomadConflict,
    NomadNotFound,
)
from ansible_collections.infinite.databases.plugins.module_utils.nomad import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils.pool import CLAIMS, RECORDS, Pool, PoolState, Volume
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

PREPARE_SECONDS = 180.0
# A ttl's smallest unit: running again at once changes nothing.
RENEWAL_SECONDS = 60
# How often a record that others write at the same time is tried again.
TRIES = 10

# What the next tasks need of a record.
RETURNED = ("name", "user", "password", "version", "volume", "spec", "created")

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "databases": {"type": "list", "elements": "dict", "required": True},
    "default_version": {"type": "str", "default": "17"},
    "images": {"type": "dict", "required": True},
    "extensions": {"type": "dict", "default": {}},
    "pool_job": {"type": "str", "required": True},
    "keep": {"type": "bool", "default": True},
    "existing": {"type": "bool", "default": False},
    "renew": {"type": "bool", "default": False},
}


def merge_spec(kept: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for now, over what was asked for before: a key that is left out keeps its value."""
    return dict(kept) | {key: value for key, value in asked.items() if key not in ("name", "version")}


def assign(wanted: Sequence[Mapping[str, Any]], ready: Sequence[Volume]) -> tuple[list[tuple[str, Volume]], dict[str, int]]:
    """A prepared volume for each wanted database, and how many are lacking of each version."""
    free: dict[str, list[Volume]] = {}
    for volume in ready:
        free.setdefault(volume.version, []).append(volume)
    given: list[tuple[str, Volume]] = []
    lacking: dict[str, int] = {}
    for one in wanted:
        if free.get(one["version"]):
            given.append((one["name"], free[one["version"]].pop()))
        else:
            lacking[one["version"]] = lacking.get(one["version"], 0) + 1
    return given, lacking


class Claims:
    """The records of one namespace."""

    def __init__(self, client: NomadClient, pool: Pool) -> None:
        self.client, self.pool = client, pool
        # The index of each variable's last change.
        self.indices = {stub["Path"]: stub["ModifyIndex"] for stub in client.variables.list()}

    def exists(self, name: str) -> bool:
        return RECORDS + name in self.indices

    def read(self, name: str) -> dict[str, Any]:
        return read_record(self.client, name)

    def write(self, record: Mapping[str, Any], index: int) -> int:
        """The record's new index, which also tells that what the job reads is out of date."""
        self.indices[RECORDS + record["name"]] = new = write_record(self.client, record, index)
        return new

    def settle(self, record: Mapping[str, Any], asked: Mapping[str, Any], always: bool) -> bool:
        """Write what the job reads, where it is older than the record: an interrupted run may have left it so."""
        path = WANTED + record["name"]
        if not always and self.indices.get(path, 0) > self.indices.get(RECORDS + record["name"], 0):
            return False
        write_wanted(self.client, record, merge_spec({}, asked))
        return True

    def read_again(self, name: str) -> dict[str, Any]:
        """The record after somebody else has changed it."""
        record = find_record(self.client, name)
        if record is None:
            raise NomadNotFound("it was erased by another run meanwhile; provision it again")
        self.indices[RECORDS + name] = record["index"]
        return record

    def claim_volume(self, name: str, volume: Volume, index: int = 0) -> int:
        """The claim's index; 0 if another run was quicker. With the index of a claim of ours, claim it again."""
        try:
            return int(self.client.variables.write(CLAIMS + volume.name, {"database": name}, cas=index)["ModifyIndex"])
        except NomadConflict:
            return 0

    def create(self, asked: Mapping[str, Any], volume: Volume, claim: int) -> dict[str, Any] | None:
        """The new record; or that of the run that was quicker, and the volume goes back; None if the claim was lost.

        A run that was held up for long enough finds its claim given back as unused, and perhaps claimed by another: it is
        claimed again after the record was written, with the index of the first time.
        """
        record: dict[str, Any] = {
            "name": asked["name"],
            "logins": new_logins(asked["name"]),
            "version": asked["version"],
            "volume": volume.name,
            "spec": merge_spec({}, asked),
            "created": True,
        }
        try:
            index = self.write(record, 0)
        except NomadConflict:
            with suppress(NomadConflict):
                self.client.variables.delete(CLAIMS + volume.name, cas=claim)
            return self.read_again(asked["name"])
        if self.claim_volume(asked["name"], volume, claim):
            return {**record, **record["logins"]["owner"], "index": index}
        self.client.variables.delete(RECORDS + asked["name"], cas=index)
        return None

    def there(self, claims: Sequence[tuple[str, Volume, int]]) -> list[tuple[str, Volume, int]]:
        """Without those whose volume was removed since it was listed: its database was erased, and gave its claim up last."""
        present = {volume["Name"] for volume in self.client.volumes.list()} if claims else set()
        for _name, volume, index in claims:
            if volume.name not in present:
                with suppress(NomadConflict):
                    self.client.variables.delete(CLAIMS + volume.name, cas=index)
        return [claim for claim in claims if claim[1].name in present]

    def create_all(self, wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Records for databases that have none, from the pool, which is filled first where it does not suffice."""
        created: list[dict[str, Any]] = []
        todo = {one["name"]: one for one in wanted}
        state: PoolState | None = None
        fresh: list[Volume] = []
        while todo:
            if state is None:
                state = self.pool.read()
            nodes = self.pool.nodes()
            ready = state.on(nodes).having("ready") + fresh
            # Two runs that start together should not want the same volumes in the same order.
            random.shuffle(ready)
            given, lacking = assign(list(todo.values()), ready)
            if lacking:
                fresh = [v for version, count in lacking.items() for v in self.pool.create_volumes(version, count, nodes)]
                self.pool.wait(self.pool.prepare(fresh), PREPARE_SECONDS)
                given += assign([one for one in todo.values() if one["name"] not in dict(given)], fresh)[0]
            claims = values(self.client.map(lambda pair: (*pair, self.claim_volume(*pair)), given))
            mine = self.there([claim for claim in claims if claim[2]])
            made = values(self.client.map(lambda claim: self.create(todo[claim[0]], claim[1], claim[2]), mine))
            for record in made:
                if record:
                    created.append(record)
                    del todo[record["name"]]
            state, fresh = None, []
        return created

    def foretell(self, wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The same in check mode, with volumes that they might get: Nomad's plan looks for room on a volume's node."""
        given = dict(assign(wanted, self.pool.read().on(self.pool.nodes()).having("ready"))[0]) if wanted else {}
        return [
            {"name": one["name"], "user": one["name"], "password": "", "logins": {}, "version": one["version"]}
            | {"volume": given[one["name"]].name if one["name"] in given else "from-the-pool"}
            | {"spec": merge_spec({}, one), "created": True}
            for one in wanted
        ]


def noted(record: Mapping[str, Any], renew: bool, now: float) -> dict[str, Any]:
    """What a run changes in a record whatever it asks for: a destroyed database lives again, and its ttl counts from now."""
    revived = {"destroyed": 0, "renewed": int(now)} if record.get("destroyed") else {}
    last = record.get("renewed") or record.get("created_at", now)
    return revived or ({"renewed": int(now)} if renew and now - last >= RENEWAL_SECONDS else {})


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    claims = Claims(client, Pool(client, params["images"], params["pool_job"]))
    databases: list[dict[str, Any]] = params["databases"]
    known = [one["name"] for one in databases if claims.exists(one["name"])]
    records = {record["name"]: record for record in values(client.map(claims.read, known))}
    gone = [one["name"] for one in databases if one["name"] not in records]
    if params["existing"] and gone:
        raise InvalidInput(f"{', '.join(gone)}: erased by another run meanwhile; provision it again")
    offer = Offer(params["default_version"], params["images"], params["extensions"])
    check_fit(databases, records, offer, params["renew"], time.time(), params["existing"])
    missing = [
        one | {"version": one.get("version") or params["default_version"]} for one in databases if one["name"] not in records
    ]
    changed = [one["name"] for one in missing]
    created = claims.foretell(missing) if check_mode else claims.create_all(missing)
    records |= {record["name"]: record for record in created}

    unkept: list[str] = []

    def settle_once(record: dict[str, Any], asked: Mapping[str, Any]) -> bool:
        if record.get("erasing"):
            raise InvalidInput("is being erased, or that was interrupted: destroy it with purge=true, then try again")
        if params["existing"] and record.get("destroyed"):
            raise InvalidInput("was destroyed by another run meanwhile; provision it again to bring it back")
        spec = merge_spec(record["spec"], asked)
        differs = bool(spec != record["spec"])
        news = noted(record, params["renew"], time.time()) | ({"spec": spec} if differs and params["keep"] else {})
        settled = False
        if not check_mode:
            if news:
                record["index"] = claims.write(record | news, record["index"])
            settled = claims.settle(record | news, asked, always=differs)
        records[asked["name"]] = record | news | {"spec": spec}
        if differs and not params["keep"]:
            unkept.append(record["name"])
        return bool(news) or settled

    def settle(asked: Mapping[str, Any]) -> bool:
        """Bring what the job reads, and what was asked for now, up to date."""
        record = records[asked["name"]]
        for _attempt in range(TRIES - 1):
            try:
                return settle_once(record, asked)
            except NomadConflict:
                record = claims.read_again(asked["name"])
        return settle_once(record, asked)

    outcomes = client.map(settle, databases)
    failures = [f"{outcome.item['name']}: {outcome.error}" for outcome in outcomes if outcome.error]
    if failures:
        raise BatchFailed("; ".join(failures))
    changed += [outcome.item["name"] for outcome in outcomes if outcome.value and outcome.item["name"] not in changed]
    return {
        "changed": bool(changed),
        "databases": [{key: records[one["name"]][key] for key in RETURNED} for one in databases],
        "states": [{key: records[one["name"]].get(key) for key in ("name", "volume", "index")} for one in databases],
        "names_created": [record["name"] for record in created if record["created"]],
        "names_unkept": sorted(unkept),
        "diff": {"before": "", "after": "".join(f"+ {name}\n" for name in changed)},
        "api_calls": client.api_calls,
    }


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
