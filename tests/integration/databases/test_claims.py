# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Claims and the pool on a real Nomad, in a namespace of their own: here the environment's pool is not disturbed."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database import claim as database_claim
from ansible_collections.infinite.databases.plugins.module_utils._database import pool as database_pool
from ansible_collections.infinite.databases.plugins.module_utils._database import prepared_volumes as pool
from ansible_collections.infinite.databases.plugins.module_utils._database import release as database_release
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.hcl import job_text
from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadConflict
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec, with_defaults
from tests.support.user import ROOT, User

NAMESPACE = "infinite-test-pool"
POOL_JOB = job_text(ROOT / "roles/database/files/pool.nomad.hcl")
LEFT_OVER = f"pg17-{secrets.token_hex(6)}"
Result = dict[str, Any]


class Site:
    """The modules, called in one namespace."""

    def __init__(self, user: User) -> None:
        self.connection = user.connection | {"nomad_namespace": NAMESPACE}
        self.client = NomadClient(self.connection)
        self.images: dict[str, str] = user.known["database_images"]

    def execute(self, spec: ModuleSpec, check_mode: bool, fails: bool, **params: Any) -> Result:
        result = spec.execute(with_defaults(spec.argument_spec, self.connection | params), check_mode)
        assert bool(result.get("failed")) == fails, result
        return result

    def claim(self, *names: str, check_mode: bool = False, fails: bool = False, **description: Any) -> Result:
        databases = [{"name": name} | description for name in names]
        params = {"databases": databases, "default_version": "17", "images": self.images, "pool_job": POOL_JOB, "keep": True}
        return self.execute(database_claim.SPEC, check_mode, fails, **params)

    def fill(self, size: int, check_mode: bool = False, wait: bool = True) -> Result:
        params = {"size": {"17": size}, "images": self.images, "pool_job": POOL_JOB, "wait": wait, "wait_timeout": 60}
        return self.execute(database_pool.SPEC, check_mode, False, **params)

    def release(self, *names: str, purge: bool, check_mode: bool = False) -> Result:
        state = "erased" if purge else "destroyed"
        return self.execute(database_release.SPEC, check_mode, False, names=list(names), state=state)

    def paths(self) -> set[str]:
        return {stub["Path"] for stub in self.client.variables.list()}

    def volumes(self) -> dict[str, str]:
        """Each volume's state."""
        return {volume.name: volume.state for volume in pool.read_state(*pool.read_lists(self.client)).volumes}

    def ready(self) -> list[str]:
        return [name for name, state in self.volumes().items() if state == "ready"]

    def pretend_claim(self, database: str) -> str:
        """What a run leaves that ends just after it has claimed a volume."""
        volume = self.ready()[0]
        self.client.variables.write(pool.CLAIMS + volume, {"database": database}, cas=0)
        return volume

    def clear(self) -> None:
        for job in self.client.jobs.get():
            self.client.job.delete(job["ID"], purge="true")
        for path in self.paths():
            self.client.variables.delete(path)
        for volume in self.client.volumes.list():
            self.client.volumes.delete(volume["ID"])


@pytest.fixture(scope="module")
def prepared(user: User) -> Iterator[Site]:
    """With two volumes ready."""
    namespaces = user.client.endpoint("namespace")
    namespaces.put(NAMESPACE, json={"Name": NAMESPACE, "Description": "integration tests"})
    site = Site(user)
    site.clear()
    filled = site.fill(2)
    assert (filled["changed"], filled["created"], filled["ready"]) == (True, {"17": 2}, {"17": 2})
    yield site
    site.clear()
    namespaces.delete(NAMESPACE)


@pytest.fixture
def site(prepared: Site) -> Iterator[Site]:
    """Afterwards the volumes that a test claimed are ready again: nothing ever ran on them."""
    yield prepared
    for path in prepared.paths():
        prepared.client.variables.delete(path)


def test_a_full_pool_is_left_alone(site: Site) -> None:
    before = site.volumes()
    again = site.fill(2)
    assert (again["changed"], again["created"], again["returned"], again["prepared_again"]) == (False, {}, [], [])
    assert site.volumes() == before


def test_a_full_pool_is_left_alone_while_no_node_takes_work(site: Site) -> None:
    """As in maintenance of the only one; what lacks then is refused."""
    before = site.volumes()
    nodes = [node["ID"] for node in site.client.endpoint("nodes").get()]
    try:
        for node in nodes:
            site.client.endpoint("node").send("put", f"{node}/eligibility", json={"Eligibility": "ineligible"})
        assert site.fill(2)["changed"] is False
        params = {"size": {"17": 3}, "images": site.images, "pool_job": POOL_JOB, "wait": False, "wait_timeout": 1}
        assert "has no ready client" in site.execute(database_pool.SPEC, False, True, **params)["msg"]
    finally:
        for node in nodes:
            site.client.endpoint("node").send("put", f"{node}/eligibility", json={"Eligibility": "eligible"})
    assert site.volumes() == before


def test_filling_in_check_mode(site: Site) -> None:
    before = site.volumes()
    foretold = site.fill(5, check_mode=True)
    assert (foretold["changed"], foretold["created"], foretold["ready"]) == (True, {"17": 3}, {"17": 2})
    assert site.volumes() == before


def test_a_pool_of_a_version_without_an_image(site: Site) -> None:
    before = site.volumes()
    params = {"size": {"16": 1, "15": 0}, "images": {"17": "image"}, "pool_job": POOL_JOB, "wait": False, "wait_timeout": 1}
    refused = site.execute(database_pool.SPEC, False, True, **params)
    assert refused["msg"].startswith("Nothing was changed: there is no image of PostgreSQL 16 here for the pool")
    assert site.volumes() == before


def test_a_claim_takes_a_prepared_volume_and_keeps_it(site: Site) -> None:
    made = site.claim("infinite-test-a")
    (record,) = made["databases"]
    assert (made["changed"], made["names_created"], record["created"]) == (True, ["infinite-test-a"], True)
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", record["password"])
    assert site.volumes()[record["volume"]] == "claimed"
    assert site.paths() == {"databases/infinite-test-a", "nomad/jobs/infinite-test-a", f"pool/{record['volume']}"}
    assert record["password"] not in str(site.client.variables.read("nomad/jobs/infinite-test-a"))
    again = site.claim("infinite-test-a")
    assert (again["changed"], again["names_created"]) == (False, [])
    assert again["databases"] == [record | {"created": False}]


def test_claiming_in_check_mode(site: Site) -> None:
    foretold = site.claim("infinite-test-a", "infinite-test-b", "infinite-test-c", check_mode=True)
    assert foretold["changed"]
    assert foretold["names_created"] == ["infinite-test-a", "infinite-test-b", "infinite-test-c"]
    assert {record["password"] for record in foretold["databases"]} == {""}
    assert site.paths() == set()


def test_runs_at_once_for_one_name(site: Site) -> None:
    with ThreadPoolExecutor(2) as runs:
        results = list(runs.map(lambda _run: site.claim("infinite-test-a"), range(2)))
    records = [result["databases"][0] for result in results]
    assert len({(record["password"], record["volume"]) for record in records}) == 1
    assert sorted(result["names_created"] for result in results) == [[], ["infinite-test-a"]]
    assert site.paths() == {"databases/infinite-test-a", "nomad/jobs/infinite-test-a", f"pool/{records[0]['volume']}"}


def test_runs_at_once_for_two_names(site: Site) -> None:
    with ThreadPoolExecutor(2) as runs:
        results = list(runs.map(site.claim, ["infinite-test-a", "infinite-test-b"]))
    assert len({result["databases"][0]["volume"] for result in results}) == 2


def test_a_missing_verifier_is_derived_again(site: Site) -> None:
    (record,) = site.claim("infinite-test-a")["databases"]
    site.client.variables.delete("nomad/jobs/infinite-test-a")
    again = site.claim("infinite-test-a")
    assert again["changed"]
    assert again["databases"] == [record | {"created": False}]
    assert site.client.variables.read("nomad/jobs/infinite-test-a")["Items"]["wanted"].startswith(
        "login infinite-test-a infinite-test-a SCRAM-SHA-256$4096:"
    )


def test_what_is_asked_for_is_remembered(site: Site) -> None:
    site.claim("infinite-test-a", memory=128, protect=True)
    assert site.claim("infinite-test-a")["databases"][0]["spec"] == {"memory": 128, "protect": True}
    foretold = site.claim("infinite-test-a", memory=256, check_mode=True)
    assert foretold["changed"]
    changed = site.claim("infinite-test-a", memory=256)
    assert (changed["changed"], changed["names_created"]) == (True, [])
    assert changed["databases"][0]["spec"] == {"memory": 256, "protect": True}
    assert not site.claim("infinite-test-a", memory=256)["changed"]


def test_a_version_without_an_image(site: Site) -> None:
    refused = site.claim("infinite-test-a", version="16", fails=True)
    assert refused["msg"].startswith("Nothing was changed: infinite-test-a: there is no image of PostgreSQL 16 here")
    assert site.paths() == set()


def test_a_young_claim_is_left_alone(site: Site) -> None:
    volume = site.pretend_claim("infinite-test-lost")
    result = site.fill(1)
    assert (result["changed"], result["returned"]) == (False, [])
    assert site.volumes()[volume] == "claimed"


def test_an_old_claim_that_was_never_used_is_returned(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    (record,) = site.claim("infinite-test-a")["databases"]
    lost = site.pretend_claim("infinite-test-a")
    # CreateTime is Nomad's: what is young is made to count as old.
    monkeypatch.setattr(pool, "UNUSED_CLAIM_SECONDS", -60)
    foretold = site.fill(1, check_mode=True)
    assert (foretold["changed"], foretold["returned"]) == (True, [lost])
    assert site.volumes()[lost] == "claimed"
    assert site.fill(1)["returned"] == [lost]
    assert site.volumes() == {lost: "ready", record["volume"]: "claimed"}


def test_a_claim_of_a_database_that_never_was(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = site.pretend_claim("infinite-test-nobody")
    monkeypatch.setattr(pool, "UNUSED_CLAIM_SECONDS", -60)
    assert site.fill(2)["returned"] == [lost]


def test_a_claim_is_given_back_once(site: Site) -> None:
    """A slow run that means to give back the old claim does not take the new one away."""
    volume = site.pretend_claim("infinite-test-lost")
    (old,) = pool.Pool(site.client, site.images, POOL_JOB).read().claims
    site.client.variables.delete(old["Path"])
    site.client.variables.write(old["Path"], {"database": "infinite-test-a"}, cas=0)
    pool.Pool(site.client, site.images, POOL_JOB).give_back(old)
    assert site.client.variables.read(pool.CLAIMS + volume)["Items"] == {"database": "infinite-test-a"}


def test_runs_at_once_refill_and_clean_up(site: Site) -> None:
    """Each finds jobs that are finished and volumes that are lacking, and none fails for another's having been quicker."""
    for _round in range(3):
        for place in range(4):
            job = {"ID": f"{pool.JOB_PREFIX}finished-{place}", "Name": "x", "Type": "batch", "Datacenters": ["none"]}
            task = {"Name": "x", "Driver": "docker", "Config": {"image": "none"}}
            site.client.jobs.put(json={"Job": job | {"TaskGroups": [{"Name": "x", "Tasks": [task]}]}})
        with ThreadPoolExecutor(4) as runs:
            list(runs.map(lambda _run: site.fill(2), range(4)))
    assert len(site.client.jobs.get()) == 1


def test_a_volume_is_claimed_once(site: Site) -> None:
    volume = site.pretend_claim("infinite-test-a")
    with pytest.raises(NomadConflict):
        site.client.variables.write(pool.CLAIMS + volume, {"database": "infinite-test-b"}, cas=0)


def test_release_of_databases_without_jobs(site: Site) -> None:
    """As an interrupted run leaves them."""
    (record,) = site.claim("infinite-test-a")["databases"]
    kept = site.release("infinite-test-a", "infinite-test-b", purge=False)
    assert (kept["changed"], kept["stopped"], kept["erased"], kept["missing"]) == (True, [], [], ["infinite-test-b"])
    foretold = site.release("infinite-test-a", purge=True, check_mode=True)
    assert (foretold["changed"], foretold["erased"]) == (True, ["infinite-test-a"])
    assert "databases/infinite-test-a" in site.paths()
    erased = site.release("infinite-test-a", "infinite-test-b", purge=True)
    assert (erased["changed"], erased["erased"], erased["missing"]) == (True, ["infinite-test-a"], ["infinite-test-b"])
    assert site.paths() == set()
    assert record["volume"] not in site.volumes()


def test_two_runs_erase_at_once(site: Site) -> None:
    (record,) = site.claim("infinite-test-a")["databases"]
    with ThreadPoolExecutor(2) as runs:
        list(runs.map(lambda _run: site.release("infinite-test-a", purge=True), range(2)))
    assert site.paths() == set()
    assert record["volume"] not in site.volumes()


# Last: these make volumes.


def test_a_volume_that_nobody_prepared_is_prepared(site: Site) -> None:
    """As an interrupted run leaves it. That it gets ready is seen below: it takes as long as any other."""
    body = {"Name": LEFT_OVER, "Namespace": NAMESPACE, "Type": "host", "PluginID": "mkdir", "Parameters": pool.PARAMETERS}
    modes = [{"AccessMode": "single-node-single-writer", "AttachmentMode": "file-system"}]
    site.client.volumes.create(body | {"RequestedCapabilities": modes})
    assert site.volumes()[LEFT_OVER] == "unknown"
    assert site.fill(0, check_mode=True)["prepared_again"] == [LEFT_OVER]
    result = site.fill(0, wait=False)
    assert (result["changed"], result["created"], result["prepared_again"]) == (True, {}, [LEFT_OVER])
    assert site.volumes()[LEFT_OVER] == "preparing"
    assert not site.fill(0, wait=False)["changed"]


def test_an_empty_pool_costs_time_and_no_failure(site: Site) -> None:
    jobs = [job["ID"] for job in site.client.jobs.get()]
    names = [f"infinite-test-many-{place}" for place in range(len(site.ready()) + 2)]
    made = site.claim(*names)
    assert sorted(made["names_created"]) == sorted(names)
    assert len({record["volume"] for record in made["databases"]}) == len(names)
    pool.Pool(site.client, site.images, POOL_JOB).wait(jobs, 30)
    assert site.ready() == [LEFT_OVER]
    assert set(site.volumes().values()) == {"claimed", "ready"}
    # The jobs that prepared what is claimed are not needed any more; the next look at the pool removes them.
    assert not site.fill(1)["changed"]
    assert len(site.client.jobs.get()) == 1
