# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the records of databases. A record holds the credentials and the volume of a database; it is made once and then kept.

A run first claims a volume and then creates the record with check-and-set. If two runs do so at the same time, one of them makes
the record. The other gives its volume back and uses the record of the first.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.changes import changes, differing, shown
from ansible_collections.infinite.databases.plugins.module_utils._database.fit import Offer, check_fit
from ansible_collections.infinite.databases.plugins.module_utils._database.placement import assign, no_room
from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import CLAIMS, RECORDS, Pool, Volume
from ansible_collections.infinite.databases.plugins.module_utils._database.record import (
    WANTED,
    find_record,
    new_logins,
    read_record,
    write_record,
    write_wanted,
)
from ansible_collections.infinite.databases.plugins.module_utils._database.settings_trial import Change, trials, try_settings
from ansible_collections.infinite.databases.plugins.module_utils._nomad.capacity import read_capacity
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    BatchFailed,
    InfiniteError,
    InvalidInput,
    NomadConflict,
    NomadNotFound,
)
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

PREPARE_SECONDS = 180.0
# The smallest unit of a ttl. A ttl is not renewed more often, so that a second run at once changes nothing.
RENEWAL_SECONDS = 60
# How often a record is written again if others write it at the same time.
TRIES = 10

# Keys that the server reads from the variable nomad/jobs/NAME, and not from its job.
BY_SERVER = ("extensions",)

# The keys of a record that the next tasks need.
RETURNED = ("name", "user", "password", "version", "volume", "spec", "created")

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "databases": {"type": "list", "elements": "dict", "required": True},
    "default_version": {"type": "str", "default": "17"},
    "images": {"type": "dict", "required": True},
    "extensions": {"type": "dict", "default": {}},
    "defaults": {"type": "dict", "default": {"memory": 64, "cpu": 5}},
    "pool_job": {"type": "str", "required": True},
    "settings_job": {"type": "str"},
    "keep": {"type": "bool", "default": True},
    "existing": {"type": "bool", "default": False},
    "renew": {"type": "bool", "default": False},
    "credentials": {"type": "bool", "default": True},
    "restore": {"type": "dict", "default": {}},
}


def merge_spec(kept: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the kept description with the keys that are asked for now. A key that is left out keeps its value."""
    return dict(kept) | {key: value for key, value in asked.items() if key not in ("name", "version")}


class Claims:
    """The records of one namespace. ``known`` has, for some names, parts of their new records, such as ``restore``."""

    def __init__(
        self,
        client: NomadClient,
        pool: Pool,
        defaults: Mapping[str, Any],
        known: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.client, self.pool, self.defaults, self.known = client, pool, defaults, known or {}
        # For each variable the index of its last change.
        self.indices = {stub["Path"]: stub["ModifyIndex"] for stub in client.variables.list()}

    def exists(self, name: str) -> bool:
        return RECORDS + name in self.indices

    def read(self, name: str) -> dict[str, Any]:
        return read_record(self.client, name)

    def write(self, record: Mapping[str, Any], index: int) -> int:
        """Write the record and return its new index. The new index also shows that the variable for the job is out of date."""
        self.indices[RECORDS + record["name"]] = new = write_record(self.client, record, index)
        return new

    def settle(self, record: Mapping[str, Any]) -> bool:
        """Write the variable for the job if it is older than the record. An interrupted run may have left it so."""
        if self.indices.get(WANTED + record["name"], 0) > self.indices.get(RECORDS + record["name"], 0):
            return False
        write_wanted(self.client, record)
        return True

    def read_again(self, name: str) -> dict[str, Any]:
        """Read the record again after somebody else has changed it."""
        record = find_record(self.client, name)
        if record is None:
            raise NomadNotFound("it was erased by another run meanwhile; provision it again")
        self.indices[RECORDS + name] = record["index"]
        return record

    def claim_volume(self, name: str, volume: Volume, index: int = 0) -> int:
        """Claim the volume and return the claim's index, or 0 if another run was quicker. ``index`` renews a claim of this run."""
        try:
            return int(self.client.variables.write(CLAIMS + volume.name, {"database": name}, cas=index)["ModifyIndex"])
        except NomadConflict:
            return 0

    def create(self, asked: Mapping[str, Any], volume: Volume, claim: int) -> dict[str, Any] | None:
        """Create the record and return it.

        If another run was quicker, give the volume back and return the record of that run. Return None if the claim was lost.

        If a run is delayed for a long time, its claim may have been given back as unused, and another run may have claimed the
        volume. So the run renews its claim after it has written the record, with the index of its first claim.
        """
        record: dict[str, Any] = {
            "name": asked["name"],
            "logins": new_logins(asked["name"]),
            "version": asked["version"],
            "volume": volume.name,
            "spec": merge_spec({}, asked),
            "created": True,
            **self.known.get(asked["name"], {}),
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

    def with_existing_volume(self, claims: Sequence[tuple[str, Volume, int]]) -> list[tuple[str, Volume, int]]:
        """Return the claims whose volume still exists, and delete the others.

        A volume may have been removed since it was listed. Its former database was erased then; the claim is deleted last.
        """
        present = {volume["Name"] for volume in self.client.volumes.list()} if claims else set()
        for _name, volume, index in claims:
            if volume.name not in present:
                with suppress(NomadConflict):
                    self.client.variables.delete(CLAIMS + volume.name, cas=index)
        return [claim for claim in claims if claim[1].name in present]

    def create_all(self, wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Create records for databases that have none, with volumes of the pool. If the pool has too few, new ones are prepared."""
        created: list[dict[str, Any]] = []
        todo = {one["name"]: one for one in wanted}
        while todo:
            capacity = read_capacity(self.client)
            ready = self.pool.read().on(capacity.nodes).having("ready")
            # Two runs that start together should not want the same volumes in the same order.
            random.shuffle(ready)
            given, lacking, nowhere = assign(list(todo.values()), ready, capacity, self.defaults)
            if nowhere:
                raise InvalidInput(f"{'' if created else 'Nothing was changed: '}{no_room(nowhere, self.client)}")
            given += self.prepare_volumes(lacking)
            claims = values(self.client.map(lambda pair: (*pair, self.claim_volume(*pair)), given))
            mine = self.with_existing_volume([claim for claim in claims if claim[2]])
            made = values(self.client.map(lambda claim: self.create(todo[claim[0]], claim[1], claim[2]), mine))
            for record in made:
                if record:
                    created.append(record)
                    del todo[record["name"]]
        return created

    def prepare_volumes(self, lacking: Sequence[tuple[str, str, str]]) -> list[tuple[str, Volume]]:
        """Prepare new volumes for these databases, versions and nodes. If this fails, no volume is left."""
        volumes = self.pool.create_volumes([(version, node) for _name, version, node in lacking])
        jobs: list[str] = []
        try:
            jobs = self.pool.prepare(volumes)
            self.pool.wait(jobs, PREPARE_SECONDS)
        except InfiniteError:
            self.pool.discard(jobs, volumes)
            raise
        return [(name, volume) for (name, _version, _node), volume in zip(lacking, volumes, strict=True)]

    def predict_all(self, wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Do the same as create_all in check mode, with volumes that the databases might get.

        The volumes are needed because Nomad's plan looks for room on a volume's node.
        """
        if not wanted:
            return []
        capacity = read_capacity(self.client)
        pairs, _lacking, nowhere = assign(wanted, self.pool.read().having("ready"), capacity, self.defaults)
        if nowhere:
            raise InvalidInput(no_room(nowhere, self.client))
        given = dict(pairs)
        return [
            {"name": one["name"], "user": one["name"], "password": "", "logins": {}, "version": one["version"]}
            | {"volume": given[one["name"]].name if one["name"] in given else "from-the-pool"}
            | {"spec": merge_spec({}, one), "created": True}
            for one in wanted
        ]


def revived_or_renewed(record: Mapping[str, Any], renew: bool, now: float) -> dict[str, Any]:
    """Return the changes of a record that do not depend on the description.

    A destroyed database lives again, and its ttl counts from now. With ``renew``, the ttl of any database counts from now.
    """
    revived = {"destroyed": 0, "renewed": int(now)} if record.get("destroyed") else {}
    last = record.get("renewed") or record.get("created_at", now)
    return revived or ({"renewed": int(now)} if renew and now - last >= RENEWAL_SECONDS else {})


def changed_trial(record: Mapping[str, Any], spec: Mapping[str, Any], keep: bool, existing: bool) -> dict[str, Any]:
    """Return the change of the record's key ``trying``: keys that are asked for but not kept yet.

    A run that only reads existing databases does not remove what another run is trying.
    """
    kept = record["spec"]
    trying = {} if keep else {key: spec[key] for key in BY_SERVER if spec.get(key) != kept.get(key)}
    before = record.get("trying", {})
    return {} if trying == before or (existing and not keep and not trying) else {"trying": trying}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    databases: list[dict[str, Any]] = params["databases"]
    known = {one["name"]: {"restore": params["restore"]} for one in databases}
    claims = Claims(client, Pool(client, params["images"], params["pool_job"]), params["defaults"], known)
    existing = [one["name"] for one in databases if claims.exists(one["name"])]
    records = {record["name"]: record for record in values(client.map(claims.read, existing))}
    gone = [one["name"] for one in databases if one["name"] not in records]
    if params["existing"] and gone:
        raise InvalidInput(f"{', '.join(gone)}: erased by another run meanwhile; provision it again")
    offer = Offer(params["default_version"], params["images"], params["extensions"])
    check_fit(databases, records, offer, params["renew"], time.time(), params["existing"])
    missing = [
        one | {"version": one.get("version") or params["default_version"]} for one in databases if one["name"] not in records
    ]
    if params["settings_job"] and not check_mode:

        def change(one: Mapping[str, Any]) -> Change:
            record = records.get(one["name"]) or {"version": one.get("version") or params["default_version"], "spec": {}}
            return Change(one["name"], record["version"], record["spec"], merge_spec(record["spec"], one))

        try_settings(client, params["settings_job"], params["images"], trials(map(change, databases), params["defaults"]))
    changed = [one["name"] for one in missing]
    created = claims.predict_all(missing) if check_mode else claims.create_all(missing)
    records |= {record["name"]: record for record in created}

    unkept: list[str] = []
    differences: dict[str, list[tuple[str, str, str]]] = {}

    def settle_once(record: dict[str, Any], asked: Mapping[str, Any]) -> bool:
        if record.get("erasing"):
            raise InvalidInput("is being erased, or its erasure was interrupted: destroy it with purge=true, then try again")
        if params["existing"] and record.get("destroyed"):
            raise InvalidInput("was destroyed by another run meanwhile; provision it again to bring it back")
        if record.get("restore") and not params["restore"]:
            raise InvalidInput(f"its restore from {record['restore']['source']} was not finished: restore it again, or purge it")
        spec = merge_spec(record["spec"], asked)
        differs = bool(spec != record["spec"])
        if differs:
            differences[record["name"]] = list(differing(record["spec"], spec, params["defaults"]))
        news = revived_or_renewed(record, params["renew"], time.time()) | ({"spec": spec} if differs and params["keep"] else {})
        if params["restore"] and not record.get("restore"):
            raise InvalidInput("a database of this name exists; restore under another name, or purge it first")
        if params["restore"] and record["restore"] != params["restore"]:
            news["restore"] = params["restore"]
        news |= changed_trial(record, spec, params["keep"], params["existing"])
        settled = False
        if not check_mode:
            if news:
                record["index"] = claims.write(record | news, record["index"])
            settled = claims.settle(record | news)
        records[asked["name"]] = record | news | {"spec": spec}
        if differs and not params["keep"]:
            unkept.append(record["name"])
        return bool(news) or settled

    def settle(asked: Mapping[str, Any]) -> bool:
        """Bring the record and the variable for the job up to date with the description."""
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
        "databases": [{key: records[one["name"]][key] for key in RETURNED} for one in databases if params["credentials"]],
        "states": [{key: records[one["name"]].get(key) for key in ("name", "volume", "index")} for one in databases],
        "names_created": [record["name"] for record in created if record["created"]],
        "names_unkept": sorted(unkept),
        "differences": {name: changes(found) for name, found in differences.items()},
        "diff": [shown(name, found) for name, found in differences.items()],
        "api_calls": client.api_calls,
    }


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
