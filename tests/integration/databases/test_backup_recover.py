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

from .test_backup import ENVIRONMENT, of

LOST, CUT, ERASED = (PREFIX + name for name in ("lost", "cut", "erased"))
AGENT = "_backup"
# The volumes that the databases had at first.
VOLUMES: dict[str, str] = {}


@pytest.fixture(scope="module")
def user() -> Iterator[Cluster]:
    ENVIRONMENT.make()
    user = Cluster(ENVIRONMENT)
    user.erase_all()
    yield user
    user.erase_all()


def volume_of(user: Cluster, name: str) -> str:
    return str(user.variable(f"databases/{name}")["volume"])


def copied(volume: str) -> str:
    """Return when the copy of the volume's record was written, and its size; nothing if there is none."""
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
    end_job(client, name)
    wait_for(client, [(client.namespace, name)], 60, stopping=True)
    end_job(client, name, purge=True)
    for path in (f"databases/{name}", f"nomad/jobs/{name}"):
        client.variables.delete(path)
    (one,) = [one for one in client.volumes.list() if one["Name"] == volume]
    client.volumes.delete(one["ID"])


def test_lost_databases_come_back(user: Cluster) -> None:
    names = (LOST, CUT, ERASED)
    user.run("provision", databases=[{"name": LOST, "memory": 96, "labels": {"team": "web"}}, {"name": CUT}, {"name": ERASED}])
    for name in names:
        with user.connect(name) as connection:
            connection.execute("create table kept as select generate_series(1, 5000) as i")
    user.run("backup", db=list(names))
    VOLUMES.update({name: volume_of(user, name) for name in names})
    wait_until(lambda: all(map(copied, VOLUMES.values())), 60, "a record was not copied")
    before = copied(VOLUMES[ERASED])
    user.run("purge", db=ERASED, confirm=ENVIRONMENT.name)
    wait_until(lambda: copied(VOLUMES[ERASED]) != before, 60, "the copy does not say that the database was erased")
    logins = {name: user.login(name) for name in (LOST, CUT)}
    with without_agent(user):
        for name in (LOST, CUT):
            forget(user.client, name)
    wanted = user.run("recover", "--check", plain=True, db=list(names)).out
    assert sorted(line for line in wanted.splitlines() if "would be" in line) == [
        f"{CUT}: would be recovered",
        f"{LOST}: would be recovered",
    ]
    # One run is killed while it restores. The next one ends its work.
    process = user.start("recover", db=CUT)
    user.kill_when(process, lambda: bool(user.client.jobs.get(prefix=f"_transfer-{CUT}_")))
    assert "was not finished: restore it again, or purge it" in user.run("provision", plain=True, fails=True, db=CUT).err
    done = user.run("recover", plain=True, db=list(names))
    for name in (LOST, CUT):
        assert f"{name}: recovered from pg17-" in done.out
        assert user.login(name) == logins[name]
        with user.connect(name, login=logins[name]) as connection:
            assert connection.execute("select count(*) from kept").fetchone() == (5000,)
    described = json.loads(user.run("info", plain=True, db=LOST, output="json").out)
    assert (described["description"]["memory"], described["labels"]) == (96, {"team": "web"})
    assert user.client.jobs.get(prefix="_transfer-") == []
    again = user.run("recover", plain=True, db=list(names))
    assert "Nothing is lost: all databases of which the repository has a record are here, or were erased." in again.out


def test_an_erased_database_is_restored_by_its_name_or_volume(user: Cluster) -> None:
    copies = f"{PREFIX}by-name", f"{PREFIX}by-volume"
    for copy, source in zip(copies, (ERASED, VOLUMES[ERASED]), strict=True):
        done = user.run("restore", plain=True, **of(source, copy))
        assert f"{ERASED} was erased at 20" in done.out
        with user.connect(copy) as connection:
            assert connection.execute("select count(*) from kept").fetchone() == (5000,)


def test_the_state_before_the_loss_is_restored_by_the_former_volume(user: Cluster) -> None:
    copy = f"{PREFIX}before"
    user.run("restore", plain=True, **of(VOLUMES[LOST], copy))
    with user.connect(copy) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (5000,)


def test_what_the_repository_does_not_have(user: Cluster) -> None:
    refused = user.run("recover", plain=True, fails=True, db=f"{PREFIX}nobody")
    assert f"{PREFIX}nobody: the repository has no record of it; nothing was changed" in refused.err
