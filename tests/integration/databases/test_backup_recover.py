# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Databases that Nomad does not know any more come back from the repository. The Molecule scenario backup loses the whole host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import end_job
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import wait_for
from tests.support.nodes import Cluster, on, wait_until
from tests.support.user import PREFIX

from .test_backup import ENVIRONMENT

LOST, CUT, ERASED, OTHER = (PREFIX + name for name in ("lost", "cut", "erased", "other"))
AGENT = "_backup"


@pytest.fixture(scope="module")
def user() -> Iterator[Cluster]:
    ENVIRONMENT.make()
    user = Cluster(ENVIRONMENT)
    user.erase_all()
    yield user
    user.erase_all()


def copied(user: Cluster, name: str) -> str:
    """Return when and how large the copy of a record was written; nothing if there is none."""
    volume = user.variable(f"databases/{name}")["volume"]
    return on(ENVIRONMENT.node, f"stat -c '%y %s' /srv/backups/archive/{volume}/17-1/record 2> /dev/null || true")


@contextmanager
def without_agent(user: Cluster) -> Iterator[None]:
    """The next agent has seen nothing of what happens meanwhile, as after the loss of all servers."""
    job = user.client.job.get(AGENT)
    end_job(user.client, AGENT)
    wait_for(user.client, [(user.client.namespace, AGENT)], 30, stopping=True)
    yield
    user.client.jobs.put(json={"Job": job | {"Stop": False}})
    wait_for(user.client, [(user.client.namespace, AGENT)], 60)


def forget(client: NomadClient, name: str) -> None:
    """Erase all that Nomad knows of a database."""
    volume = client.variables.read(f"databases/{name}")["Items"]["volume"]
    end_job(client, name, purge=True)
    for path in (f"databases/{name}", f"nomad/jobs/{name}"):
        client.variables.delete(path)
    (one,) = [one for one in client.volumes.list() if one["Name"] == volume]
    wait_until(lambda: not client.job.get(name, "allocations"), 60, "the job's allocation stays")
    client.volumes.delete(one["ID"])


def test_lost_databases_come_back(user: Cluster) -> None:
    for name, extra in ((LOST, {"memory": 96, "labels": "team=web"}), (CUT, {}), (ERASED, {}), (OTHER, {})):
        user.run("provision", db=name, **extra)
    for name in (LOST, CUT, ERASED, OTHER):
        with user.connect(name) as connection:
            connection.execute("create table kept as select generate_series(1, 5000) as i")
    before = copied(user, LOST)
    user.run("rotate", db=LOST)
    user.run("backup", db=[LOST, CUT, ERASED, OTHER])
    for name in (LOST, CUT, ERASED, OTHER):
        wait_until(lambda name=name: copied(user, name), 60, f"the record of {name} was not copied")
    wait_until(lambda: copied(user, LOST) != before, 60, "the changed record was not copied")
    user.run("purge", db=ERASED)
    logins = {name: user.login(name) for name in (LOST, CUT)}
    with without_agent(user):
        for name in (LOST, CUT):
            forget(user.client, name)
    wanted = user.run("recover", "--check", plain=True).out
    assert sorted(line for line in wanted.splitlines() if "would be" in line) == [
        f"{CUT}: would be recovered",
        f"{LOST}: would be recovered",
    ]
    # One run is killed while it restores. The next one ends its work.
    process = user.start("recover", db=CUT)
    user.kill_when(process, lambda: bool(user.client.jobs.get(prefix=f"_transfer-{CUT}_")))
    assert "was not finished: restore it again, or purge it" in user.run("provision", plain=True, fails=True, db=CUT).err
    done = user.run("recover", plain=True)
    for name in (LOST, CUT):
        assert f"{name}: recovered from pg17-" in done.out
        assert user.login(name) == logins[name]
        with user.connect(name, login=logins[name]) as connection:
            assert connection.execute("select count(*) from kept").fetchone() == (5000,)
    described = json.loads(user.run("info", plain=True, db=LOST, output="json").out)
    assert (described["description"]["memory"], described["labels"]) == (96, {"team": "web"})
    assert user.client.jobs.get(prefix="_transfer-") == []
    again = user.run("recover", plain=True)
    assert "Nothing is lost: all databases of the repository are here." in again.out


def test_an_erased_database_is_restored_by_its_name(user: Cluster) -> None:
    copy = f"{PREFIX}from-erased"
    done = user.run("restore", plain=True, **{"db": copy, "from": ERASED})
    assert f"{ERASED} was erased at 20" in done.out
    with user.connect(copy) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (5000,)


def test_what_the_repository_does_not_have(user: Cluster) -> None:
    refused = user.run("recover", plain=True, fails=True, db=f"{PREFIX}nobody")
    assert f"{PREFIX}nobody: the repository has no record of it; nothing was changed" in refused.err
