# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pool of prepared volumes: dynamic host volumes with an initialised cluster on each, waiting for a database.

A new volume can be scheduled only after 5 to 10 s, because that is how often a Nomad client reports its volumes, and
initdb takes another second. So volumes are made ahead. What is known of them is read from three lists:

- the volumes of the namespace, called ``pg<version>-<random>``;
- the batch jobs that prepare them, ``_pool-<random>``, with the volumes' names in their meta;
- the variables ``pool/<volume>``: a database has claimed it. Nomad's check-and-set makes sure that only one can.
"""

from __future__ import annotations

import random
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    InvalidInput,
    JobFailed,
    NomadConflict,
    NomadError,
    NomadNotFound,
)
from ansible_collections.infinite.databases.plugins.module_utils.nomad import NomadClient, map_concurrently, values
from ansible_collections.infinite.databases.plugins.module_utils.nomad_hcl import parse_job

JOB_PREFIX = "_pool-"
CLAIMS = "pool/"
RECORDS = "databases/"
JOB_STATES = ("failed", "preparing", "ready")
VOLUME = re.compile(r"pg([0-9]+)-[0-9a-f]{12}")
META_VOLUMES = "infinite_pool_volumes"
META_VOLUME = "infinite_volume"
# One container prepares so many: a container's start costs as much as a third of an initdb.
VOLUMES_PER_JOB = 4
# A claim whose database does not know of it belongs to a run that ended between two calls.
UNUSED_CLAIM_SECONDS = 15 * 60.0
# https://developer.hashicorp.com/nomad/docs/other-specifications/volume/host: the mkdir plugin's parameters.
# 999 is the user postgres of the official image and of ours.
PARAMETERS = {"uid": "999", "gid": "999", "mode": "0700"}


@dataclass(frozen=True)
class Volume:
    """A volume of the pool; state is claimed, ready, preparing, failed or unknown (no job says anything about it)."""

    id: str
    name: str
    version: str
    node: str
    state: str


@dataclass(frozen=True)
class PoolState:
    """``jobs``: the pool's own jobs and their volumes; ``used``: the volumes of the databases' jobs."""

    volumes: list[Volume]
    jobs: dict[str, list[str]]
    used: set[str]
    claims: list[dict[str, Any]]

    def having(self, state: str, version: str | None = None) -> list[Volume]:
        return [one for one in self.volumes if one.state == state and version in (None, one.version)]

    def on(self, nodes: Sequence[str]) -> PoolState:
        """With the volumes of these nodes (ids) only."""
        return replace(self, volumes=[one for one in self.volumes if one.node in nodes])


def taking_work(nodes: Iterable[Mapping[str, Any]]) -> list[str]:
    """The ids of the nodes on which Nomad places jobs: elsewhere a prepared volume is of no use.

    https://developer.hashicorp.com/nomad/api-docs/nodes#list-nodes
    """
    return [
        node["ID"]
        for node in nodes
        if node["Status"] == "ready" and node["SchedulingEligibility"] == "eligible" and not node["Drain"]
    ]


def end_job(client: NomadClient, job: str, purge: bool = False) -> None:
    """Stop a job, or forget it; of two runs at once one finds that the other was quicker, and that is fine."""
    try:
        client.job.delete(job, purge="true" if purge else None)
    except NomadError as error:
        if "job not found" not in str(error):
            raise


def job_state(job: Mapping[str, Any]) -> str:
    """ready once its only allocation has completed; https://developer.hashicorp.com/nomad/api-docs/jobs#list-jobs"""
    counts = ((job.get("JobSummary") or {}).get("Summary") or {}).get("initdb") or {}
    if counts.get("Complete"):
        return "ready"
    return "failed" if job.get("Status") == "dead" else "preparing"


def read_lists(client: NomadClient) -> list[list[dict[str, Any]]]:
    """All volumes, jobs (with their meta) and variables (without their items) of the namespace: three requests."""
    lists: list[Callable[[], list[dict[str, Any]]]] = [
        client.volumes.list,
        lambda: list(client.jobs.get(meta="true")),
        client.variables.list,
    ]
    return values(map_concurrently(lambda read: read(), lists, workers=3))


def read_state(
    volumes: Iterable[Mapping[str, Any]], jobs: Iterable[Mapping[str, Any]], variables: Iterable[dict[str, Any]]
) -> PoolState:
    """What the three lists say, put together."""
    claims = [one for one in variables if one["Path"].startswith(CLAIMS)]
    by_volume: dict[str, str] = {}
    by_job: dict[str, list[str]] = {}
    used: set[str] = set()
    for job in jobs:
        meta = job.get("Meta") or {}
        if META_VOLUME in meta:
            used.add(meta[META_VOLUME])
        if not job["ID"].startswith(JOB_PREFIX):
            continue
        names = (meta.get(META_VOLUMES) or "").split()
        by_job[job["ID"]] = names
        for name in names:
            # Several jobs may have tried one volume: the best that one of them says counts.
            by_volume[name] = max(by_volume.get(name, JOB_STATES[0]), job_state(job), key=JOB_STATES.index)
    taken = {claim["Path"].removeprefix(CLAIMS) for claim in claims}
    found = []
    for volume in volumes:
        match = VOLUME.fullmatch(volume["Name"])
        if match:
            name = volume["Name"]
            state = "claimed" if name in taken else by_volume.get(name, "unknown")
            found.append(Volume(volume["ID"], name, match.group(1), volume["NodeID"], state))
    return PoolState(found, by_job, used, claims)


class Pool:
    """The pool of one namespace; ``images`` maps major versions to images, ``job`` is pool.nomad.hcl."""

    def __init__(self, client: NomadClient, images: Mapping[str, str], job: str) -> None:
        self.client, self.images, self.job = client, images, job

    def read(self) -> PoolState:
        return read_state(*read_lists(self.client))

    def nodes(self) -> list[str]:
        """The nodes that can take a database."""
        found = taking_work(self.client.endpoint("nodes").get())
        if not found:
            raise InvalidInput(
                f"Nomad at {self.client.address} has no ready client to put a database on; see `nomad node status`, or run site.yml"
            )
        # Each run begins with another one, so that volumes made one at a time are spread, too.
        random.shuffle(found)
        return found

    def create_volumes(self, version: str, count: int, nodes: Sequence[str]) -> list[Volume]:
        """New, empty volumes, spread over the nodes."""

        def create(place: int) -> Volume:
            name = f"pg{version}-{secrets.token_hex(6)}"
            volume = self.client.volumes.create(
                {
                    "Name": name,
                    "Namespace": self.client.namespace,
                    "Type": "host",
                    "PluginID": "mkdir",
                    "NodeID": nodes[place % len(nodes)],
                    "Parameters": PARAMETERS,
                    "RequestedCapabilities": [{"AccessMode": "single-node-single-writer", "AttachmentMode": "file-system"}],
                }
            )
            return Volume(volume["ID"], name, version, volume["NodeID"], "preparing")

        return values(self.client.map(create, range(count)))

    def prepare(self, volumes: Sequence[Volume]) -> list[str]:
        """Register jobs that initialise the volumes, and do not wait for them. Returns the jobs' ids."""
        groups: dict[tuple[str, str], list[str]] = {}
        for volume in volumes:
            groups.setdefault((volume.node, volume.version), []).append(volume.name)
        parts = [
            (version, names[start : start + VOLUMES_PER_JOB])
            for (_node, version), names in groups.items()
            for start in range(0, len(names), VOLUMES_PER_JOB)
        ]
        return values(self.client.map(lambda part: self._register(*part), parts))

    def _register(self, version: str, names: Sequence[str]) -> str:
        job_id = JOB_PREFIX + secrets.token_hex(6)
        variables = {
            "id": job_id,
            "namespace": self.client.namespace,
            "image": self.images[version],
            "version": version,
            "volumes": list(names),
            "meta": {META_VOLUMES: " ".join(names)},
        }
        self.client.jobs.put(json={"Job": parse_job(self.client, self.job, variables)})
        return job_id

    def wait(self, job_ids: Sequence[str], seconds: float) -> None:
        """Until the jobs have completed; a blocking query on their list, so that nothing is asked in vain."""
        deadline = time.monotonic() + seconds
        waiting, index = set(job_ids), 0
        while waiting:
            response = self.client.jobs.send(
                "get", meta="true", prefix=JOB_PREFIX, index=index or None, wait="5s" if index else None, timeout=15
            )
            # A new index of 0 would make the next query return at once, for ever.
            index = max(1, int(response.headers.get("X-Nomad-Index") or 0))
            states = {job["ID"]: job_state(job) for job in response.json() or []}
            failed = sorted(one for one in waiting if states.get(one) == "failed")
            if failed:
                raise JobFailed(
                    f"Preparing volumes failed in Nomad at {self.client.address}; see `nomad job status "
                    f"-namespace={self.client.namespace} {failed[0]}` and its allocation's log"
                )
            waiting = {one for one in waiting if states.get(one) != "ready"}
            if waiting and time.monotonic() > deadline:
                raise JobFailed(
                    f"Volumes were not prepared within {seconds:g} s by Nomad at {self.client.address}; see `nomad job status "
                    f"-namespace={self.client.namespace} {min(waiting)}` (is there memory and CPU left on the node?)"
                )

    def unused_claims(self, state: PoolState, now: float, age: float | None = None) -> list[dict[str, Any]]:
        """Claims that no database's record confirms; only those old enough that their run must have ended."""
        oldest = now - (UNUSED_CLAIM_SECONDS if age is None else age)
        old = [
            claim
            for claim in state.claims
            if claim["Path"].removeprefix(CLAIMS) not in state.used and claim["CreateTime"] / 1e9 < oldest
        ]
        return [outcome.item for outcome in self.client.map(self._is_unused, old) if values([outcome])[0]]

    def _is_unused(self, claim: Mapping[str, Any]) -> bool:
        try:
            database = self.client.variables.read(claim["Path"])["Items"]["database"]
            record = self.client.variables.read(RECORDS + database)["Items"]
        except NomadNotFound:
            return True
        return bool(record["volume"] != claim["Path"].removeprefix(CLAIMS))

    def give_back(self, claim: Mapping[str, Any]) -> None:
        """Only this claim: since it was read, another run may have given the volume back and a third one claimed it."""
        with suppress(NomadConflict):
            self.client.variables.delete(claim["Path"], cas=claim["ModifyIndex"])
