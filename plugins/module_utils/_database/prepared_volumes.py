# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pool of prepared volumes: dynamic host volumes, each with an initialised PostgreSQL cluster, that wait for a database.

A Nomad client reports its volumes every 5 to 10 s, so a job can use a new volume only after this time. initdb takes another second.
Volumes are therefore made ahead. Their state is read from three lists:

- the volumes of the namespace, called ``pg<version>-<random>``;
- the batch jobs that prepare the volumes, ``_pool-<random>``, with the volumes' names in their meta;
- the variables ``pool/<volume>``: a database has claimed the volume. Nomad's check-and-set makes sure that only one can.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.capacity import Amount
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient, map_concurrently, values
from ansible_collections.infinite.databases.plugins.module_utils._nomad.hcl import parse_job
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import Verdict, explain
from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    JobFailed,
    NomadConflict,
    NomadError,
    NomadNotFound,
)
from ansible_collections.infinite.databases.plugins.module_utils.waiting import waiting

JOB_PREFIX = "_pool-"
CLAIMS = "pool/"
RECORDS = "databases/"
JOB_STATES = ("failed", "preparing", "ready")
VOLUME = re.compile(r"pg([0-9]+)-[0-9a-f]{12}")
META_VOLUMES = "infinite_pool_volumes"
META_VOLUME = "infinite_volume"
# One container prepares so many volumes, because the start of a container costs a third of an initdb.
VOLUMES_PER_JOB = 4
# What pool.nomad.hcl reserves. It is not more than a database reserves, so that it fits where a database fits.
PREPARATION = Amount(memory=32, cpu=5)
# After this time, a claim that no database's record has belongs to a run that ended between two calls.
UNUSED_CLAIM_SECONDS = 15 * 60.0
# https://developer.hashicorp.com/nomad/docs/other-specifications/volume/host: the mkdir plugin's parameters.
# 999 is the user postgres of the official image and of ours.
PARAMETERS = {"uid": "999", "gid": "999", "mode": "0700"}


@dataclass(frozen=True)
class Volume:
    """A volume of the pool. Its state is claimed, ready, preparing, failed, or unknown if no job has the volume in its meta."""

    id: str
    name: str
    version: str
    node: str
    state: str


@dataclass(frozen=True)
class PoolState:
    """The pool at one moment.

    ``jobs`` has the pool's own jobs and their volumes; ``used`` has the volumes of the databases' jobs.
    """

    volumes: list[Volume]
    jobs: dict[str, list[str]]
    used: set[str]
    claims: list[dict[str, Any]]

    def having(self, state: str, version: str | None = None) -> list[Volume]:
        return [one for one in self.volumes if one.state == state and version in (None, one.version)]

    def on(self, nodes: Sequence[str]) -> PoolState:
        """Return the state with only the volumes of these nodes (ids)."""
        return replace(self, volumes=[one for one in self.volumes if one.node in nodes])


def end_job(client: NomadClient, job: str, purge: bool = False) -> None:
    """Stop a job, or remove it. It is no error if another run has removed the job already."""
    try:
        client.job.delete(job, purge="true" if purge else None)
    except NomadError as error:
        if "job not found" not in str(error):
            raise


def job_state(job: Mapping[str, Any]) -> str:
    """Return ready, once the job's only allocation has completed, or failed or preparing.

    https://developer.hashicorp.com/nomad/api-docs/jobs#list-jobs
    """
    counts = ((job.get("JobSummary") or {}).get("Summary") or {}).get("initdb") or {}
    if counts.get("Complete"):
        return "ready"
    return "failed" if job.get("Status") == "dead" else "preparing"


def read_lists(client: NomadClient) -> list[list[dict[str, Any]]]:
    """Read all volumes, jobs (with their meta) and variables (without their items) of the namespace, in three requests."""
    lists: list[Callable[[], list[dict[str, Any]]]] = [
        client.volumes.list,
        lambda: list(client.jobs.get(meta="true")),
        client.variables.list,
    ]
    return values(map_concurrently(lambda read: read(), lists, workers=3))


def read_state(
    volumes: Iterable[Mapping[str, Any]], jobs: Iterable[Mapping[str, Any]], variables: Iterable[dict[str, Any]]
) -> PoolState:
    """Return the pool's state, from the three lists."""
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
            # Several jobs may have tried to prepare one volume. The best of their states counts.
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

    def create_volumes(self, wanted: Sequence[tuple[str, str]]) -> list[Volume]:
        """Create new, empty volumes, one for each pair of version and node."""

        def create(one: tuple[str, str], again: bool = True) -> Volume:
            version, node = one
            name = f"pg{version}-{secrets.token_hex(6)}"
            asked = {
                "Name": name,
                "Namespace": self.client.namespace,
                "Type": "host",
                "PluginID": "mkdir",
                "NodeID": node,
                "Parameters": PARAMETERS,
                "RequestedCapabilities": [{"AccessMode": "single-node-single-writer", "AttachmentMode": "file-system"}],
            }
            try:
                volume = self.client.volumes.create(asked)
            except NomadError as error:
                # The connection to Nomad's server was lost after it may have made the volume. Such a volume stays as a spare one.
                if not error.uncertain or not again:
                    raise
                return create(one, again=False)
            return Volume(volume["ID"], name, version, volume["NodeID"], "preparing")

        return values(self.client.map(create, wanted))

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
        """Wait until the jobs have completed."""
        left = set(job_ids)
        with waiting(lambda: f"new volumes, prepared by {len(left)} of {len(job_ids)} jobs: the pool had too few"):
            self._wait(left, seconds)

    def _wait(self, left: set[str], seconds: float) -> None:
        """Wait by a blocking query on the list of jobs, which Nomad answers when the list changes."""
        deadline = time.monotonic() + seconds
        index = 0
        while left:
            response = self.client.jobs.send(
                "get", meta="true", prefix=JOB_PREFIX, index=index or None, wait="5s" if index else None, timeout=15
            )
            # A new index of 0 would make the next query return at once, for ever.
            index = max(1, int(response.headers.get("X-Nomad-Index") or 0))
            states = {job["ID"]: job_state(job) for job in response.json() or []}
            failed = sorted(one for one in left if states.get(one) == "failed")
            left -= {one for one in left if states.get(one) == "ready"}
            if failed or (left and time.monotonic() > deadline):
                what = "failed" if failed else f"was not done within {seconds:g} s"
                raise JobFailed(
                    f"Preparing volumes in Nomad at {self.client.address}: {self._reason((failed or sorted(left))[0], what)}"
                )

    def _reason(self, job: str, what: str) -> str:
        key = (self.client.namespace, job)
        allocs = self.client.job.get(job, "allocations")
        return str(explain(self.client, key, Verdict({}, f"job {job} {what}", allocs[0]["ID"] if allocs else ""))["reason"])

    def discard(self, job_ids: Sequence[str], volumes: Sequence[Volume]) -> None:
        """Remove volumes that could not be prepared, and their jobs. A volume that is still in use is left to the next refill."""
        values(self.client.map(lambda job: end_job(self.client, job, purge=True), job_ids))
        self.client.map(lambda volume: self.client.volumes.delete(volume.id), volumes)

    def unused_claims(self, state: PoolState, now: float, age: float | None = None) -> list[dict[str, Any]]:
        """Return claims that no database's record confirms and that are so old that their runs must have ended."""
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
        """Delete this claim, if it is unchanged.

        Meanwhile another run may have given the volume back, and a third run claimed it.
        """
        with suppress(NomadConflict):
            self.client.variables.delete(claim["Path"], cas=claim["ModifyIndex"])
