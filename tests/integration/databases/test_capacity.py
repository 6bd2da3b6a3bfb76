# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A node that is full, or nearly: what is refused is refused at once, with what is free, and leaves nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database import claim as database_claim
from ansible_collections.infinite.databases.plugins.module_utils._database import prepared_volumes as pool
from ansible_collections.infinite.databases.plugins.module_utils._nomad.capacity import Amount, read_capacity
from ansible_collections.infinite.databases.plugins.module_utils._nomad.hcl import job_text
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job import SPEC as NOMAD_JOB
from ansible_collections.infinite.databases.plugins.module_utils.runner import with_defaults
from tests.support.user import PREFIX, ROOT, User

FILLER = "infinite-test-filler"
NAME, OTHER = "infinite-test-roomy", "infinite-test-late"
SMALL = Amount(memory=64, cpu=5)
Fill = Callable[[Amount], None]


def filler(user: User, amount: Amount) -> dict[str, Any]:
    image = user.known["database_images"]["17"]
    task = {
        "Name": "sleep",
        "Driver": "docker",
        "Config": {"image": image, "entrypoint": ["sleep", "infinity"]},
        "Resources": {"MemoryMB": amount.memory, "CPU": amount.cpu},
    }
    return {
        "ID": FILLER,
        "Namespace": "databases",
        "Type": "service",
        "Datacenters": ["*"],
        "TaskGroups": [{"Name": "filler", "Tasks": [task]}],
    }


@pytest.fixture
def fill(user: User) -> Iterator[Fill]:
    """Reserves all but so much of the node."""

    def start(left: Amount) -> None:
        # A job that prepared a volume may end meanwhile.
        for _attempt in range(10):
            capacity = read_capacity(user.client)
            (node,) = capacity.nodes
            run(user, job=filler(user, capacity.free[node] - left))
            if read_capacity(user.client).free[node] == left:
                return
            run(user, id=FILLER, state="absent")
            time.sleep(2)
        pytest.fail("the node is in use by others")

    yield start
    run(user, id=FILLER, state="absent")
    user.erase([NAME, OTHER])


def run(user: User, **job: Any) -> None:
    result = NOMAD_JOB.execute(with_defaults(NOMAD_JOB.argument_spec, user.connection | job), False)
    assert not result.get("failed"), result


def volumes_and_jobs(user: User) -> tuple[set[str], set[str]]:
    return {one["Name"] for one in user.client.volumes.list()}, {one["ID"] for one in user.client.jobs.get()}


@pytest.mark.parametrize("left", [Amount(63, 500), Amount(500, 4)], ids=["memory", "cpu"])
@pytest.mark.parametrize("check", [[], ["--check"]], ids=["run", "check"])
def test_a_full_node_is_said_at_once(user: User, fill: Fill, left: Amount, check: list[str]) -> None:
    fill(left)
    before, start = volumes_and_jobs(user), time.monotonic()
    refused = user.run("provision", *check, plain=True, fails=True, db=NAME)
    assert time.monotonic() - start < 60
    assert f"no node has room for {NAME} (64 MiB and 5 MHz): " in refused.err
    assert f" has {left.memory} of " in refused.err
    assert f" and {left.cpu} of " in refused.err
    assert "MHz free; ask for less, or add a node" in refused.err
    assert not user.variable(f"databases/{NAME}")
    assert volumes_and_jobs(user) == before


@pytest.fixture
def empty_pool(user: User) -> Iterator[None]:
    """Every prepared volume is somebody's."""
    ready = [pool.CLAIMS + one.name for one in pool.read_state(*pool.read_lists(user.client)).having("ready")]
    for path in ready:
        user.client.variables.write(path, {"database": f"{PREFIX}nobody"}, cas=0)
    yield
    for path in ready:
        user.client.variables.delete(path)


def test_a_volume_is_prepared_in_what_the_database_gets(user: User, fill: Fill, empty_pool: None) -> None:
    fill(SMALL)
    user.run("provision", db=NAME)
    assert user.query(NAME, "select 1") == 1


def test_no_room(user: User, fill: Fill) -> None:
    user.run("provision", db=NAME)
    job = user.client.job.get(NAME)
    user.run("stop", db=NAME)
    fill(Amount(40, 100))
    # As after a node has come back smaller.
    user.client.jobs.post(json={"Job": job | {"Stop": False}})
    deadline = time.monotonic() + 10
    while (listed := json.loads(user.run("list", plain=True, db=NAME, output="json").out)["databases"][0])["state"] != "no room":
        assert listed["state"] in ("starting", "stopped")
        assert time.monotonic() < deadline
    assert f'infinite_database_info{{database="{NAME}",state="no room",' in user.run("metrics", plain=True).out
    assert "has no room on its node" in user.run("restart", plain=True, fails=True, db=NAME).err
    start = time.monotonic()
    refused = user.run("provision", plain=True, fails=True, db=NAME)
    assert time.monotonic() - start < 60, "it is not waited for"
    assert (
        f"job {NAME}: no node can take it: group postgres: memory (exhausted on 1 nodes); it reserves 64 MiB and 5 MHz"
        in refused.err
    )
    assert " has 40 of " in refused.err
    user.run("provision", db=NAME, memory=32)
    assert user.query(NAME, "select 1") == 1


def test_what_could_not_be_prepared_is_removed(user: User, empty_pool: None) -> None:
    before = volumes_and_jobs(user)
    job = job_text(ROOT / "roles/database/files/pool.nomad.hcl").replace("attempts = 3", "attempts = 0")
    params = {
        "databases": [{"name": NAME, "version": "17"}],
        "images": user.known["database_images"],
        "pool_job": job.replace("--no-instructions", "--no-such-option"),
    }
    result = database_claim.SPEC.execute(with_defaults(database_claim.SPEC.argument_spec, user.connection | params), False)
    assert "unrecognized option" in result["msg"], "and why is told"
    assert volumes_and_jobs(user) == before
    assert not user.variable(f"databases/{NAME}")
