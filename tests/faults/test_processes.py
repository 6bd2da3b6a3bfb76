# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Processes that are killed while clients write: nothing that was acknowledged is lost, and all comes back by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import psycopg
import pytest

from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadError
from tests.support.faults import Faults
from tests.support.load import Load

NAME = "infinite-test-killed"
OTHERS = [f"infinite-test-other-{number}" for number in range(3)]
# Seconds until the name answers again.
RTO_SERVER, RTO_TRAEFIK = 30.0, 5.0
# What a server says to the client of another: it knows neither the login nor the database.
STRANGER = ("password authentication failed", "does not exist")


@pytest.fixture(scope="module")
def name(faults: Faults) -> Iterator[str]:
    faults.run("provision", databases=[{"name": one} for one in (NAME, *OTHERS)])
    for one in (NAME, *OTHERS):
        faults.query(one, f"create table if not exists me as select '{one}' as name")
    yield NAME
    faults.erase([NAME, *OTHERS])


def kill_a_backend_then_the_postmaster(faults: Faults, load: Load) -> None:
    postmaster = faults.postmaster(NAME)
    backend = faults.host.run("pgrep", "-P", str(postmaster), "-f", f"{NAME} .*(idle|INSERT)").split()[0]
    faults.host.kill(int(backend))
    load.wait_for(50)
    faults.host.kill(postmaster)
    load.wait_for(50)


@pytest.mark.quick
def test_a_killed_backend_and_a_killed_postmaster(faults: Faults, name: str) -> None:
    with Load(faults.opener(name)) as load:
        kill_a_backend_then_the_postmaster(faults, load)
    assert load.failures, "nobody noticed anything: nothing was killed"
    assert load.lost() == set()
    assert load.gap <= RTO_SERVER
    print(f"acknowledged {len(load.ledger)}, in doubt {len(load.in_doubt)}, no answer for {load.gap:.1f} s")


def test_control_without_write_ahead_log(faults: Faults, name: str) -> None:
    """An unlogged table is emptied by crash recovery: the same test finds it."""
    with Load(faults.opener(name), unlogged=True) as load:
        kill_a_backend_then_the_postmaster(faults, load)
    assert load.lost() != set()


def stop_under_load(faults: Faults, name: str) -> tuple[str, Load]:
    """The log since, and the load, of a server whose allocation was stopped and that has come back."""
    before = faults.log(name)
    with Load(faults.opener(name)) as load:
        faults.client.endpoint("client/allocation").send("put", f"{faults.alloc(name)['ID']}/restart", json={})
        load.wait_for(50)
    return faults.log_since(name, before), load


def orderly(log: str) -> bool:
    """Whether the server shut down by itself, and the next one had nothing to recover."""
    return (
        "received fast shutdown request" in log
        and "database system was shut down at" in log
        and "was not properly shut down" not in log
    )


@pytest.mark.quick
def test_a_stopped_allocation_shuts_down_fast_and_whole(faults: Faults, name: str) -> None:
    log, load = stop_under_load(faults, name)
    assert load.lost() == set()
    assert orderly(log), log


def test_control_with_another_kill_signal(faults: Faults, name: str) -> None:
    """SIGTERM waits for clients to go, and SIGKILL ends the waiting: nothing is lost, but it is no orderly end."""
    job: dict[str, Any] = faults.client.job.get(name)
    task = job["TaskGroups"][0]["Tasks"][0]
    task["KillSignal"], task["KillTimeout"] = "SIGTERM", 2_000_000_000
    # Nomad takes another signal for no reason to begin anew.
    task["Env"]["CONTROL"] = "true"
    former = faults.alloc(name)["ID"]
    faults.client.jobs.put(json={"Job": job})
    faults.replaced(name, former)
    faults.answers_within(faults.opener(name), 30)
    try:
        log, load = stop_under_load(faults, name)
        assert load.lost() == set()
        assert not orderly(log)
    finally:
        faults.run("drift")
    assert faults.client.job.get(name)["TaskGroups"][0]["Tasks"][0]["KillSignal"] == "SIGINT", "drift put it right"


def agent(faults: Faults) -> int:
    return int(faults.host.run("systemctl", "show", "--property", "MainPID", "--value", "nomad"))


def wait_for_agent(faults: Faults, former: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(NomadError):
            nodes = faults.client.endpoint("nodes").get() if agent(faults) not in (0, former) else []
            if any(node["Status"] == "ready" for node in nodes):
                return
        time.sleep(0.5)
    pytest.fail("Nomad did not come back")


class Answers:
    """What clients were told that connect again and again."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.refused: list[str] = []


@contextmanager
def asked_who_they_are(openers: dict[str, Any]) -> Iterator[Answers]:
    """Databases, each by a client that opens a connection for each question."""
    answers = Answers()
    done = threading.Event()

    def ask(one: str) -> None:
        while not done.is_set():
            try:
                with openers[one]() as connection:
                    (answer,) = connection.execute("select name from me").fetchone()
            except psycopg.Error as error:
                strange = not isinstance(error, psycopg.OperationalError) or any(said in str(error) for said in STRANGER)
                (answers.wrong if strange else answers.refused).append(f"{one}: {error}")
                time.sleep(0.05)
                continue
            if answer != one:
                answers.wrong.append(f"{one}: {answer} answered")

    threads = [threading.Thread(target=ask, args=(one,)) for one in openers]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        done.set()
        for thread in threads:
            thread.join()


def killed_and_back(faults: Faults, load: Load, traefik_sleeps: bool = False) -> None:
    """Traefik asks less and less often while it gets no answer, so it seldom asks a server that has no leader yet: one that
    slept meanwhile does."""
    former, (traefik,) = agent(faults), serving(faults)
    socket = ("stat", "--format", "%i %z", f"/proc/{traefik}/root/secrets/api.sock")
    before = faults.host.run(*socket)
    if traefik_sleeps:
        faults.host.run("kill", "-STOP", str(traefik))
    try:
        faults.host.kill(former)
        deadline = time.monotonic() + 60
        while faults.host.run(*socket, check=False) in ("", before):
            assert time.monotonic() < deadline, "Nomad does not serve Traefik"
    finally:
        faults.host.run("kill", "-CONT", str(traefik))
    wait_for_agent(faults, former)
    time.sleep(2)
    load.wait_for(50)


def made_after_a_snapshot(faults: Faults, name: str) -> None:
    """What a server that restarts does not know until there is a leader."""
    faults.run("stop", db=name)
    faults.client.endpoint("operator").send("get", "snapshot")
    faults.run("start", db=name)


@pytest.mark.quick
@pytest.mark.parametrize("traefik_sleeps", [False, True])
def test_a_killed_nomad_agent_leaves_the_servers_alone(faults: Faults, name: str, traefik_sleeps: bool) -> None:
    """And takes them up again: it can stop what it did not start."""
    made_after_a_snapshot(faults, name)
    before, alloc = faults.postmaster(name), faults.alloc(name)["ID"]
    opener = faults.opener(name)
    with opener() as session, asked_who_they_are({name: opener}) as answers, Load(opener) as load:
        killed_and_back(faults, load, traefik_sleeps)
        assert session.execute("select 1").fetchone() == (1,), "an open session goes on"
    assert (load.failures, load.in_doubt, load.lost()) == ([], set(), set())
    assert (answers.wrong, answers.refused) == ([], []), "nor does a new client notice"
    assert faults.postmaster(name) == before
    assert faults.alloc(name)["ID"] == alloc
    log, _load = stop_under_load(faults, name)
    assert orderly(log), "the agent that came back stopped it as it should"


def test_control_a_traefik_that_believes_any_server(faults: Faults, name: str) -> None:
    opener = faults.opener(name)
    with faults.traefik_with("stale: false", "stale: true", name):
        made_after_a_snapshot(faults, name)
        with asked_who_they_are({name: opener}) as answers, Load(opener) as load:
            killed_and_back(faults, load, traefik_sleeps=True)
        faults.answers_within(opener, RTO_SERVER)
    assert load.lost() == set()
    assert answers.refused


def serving(faults: Faults) -> list[int]:
    return faults.host.pids("traefik --configFile")


@pytest.mark.quick
def test_a_killed_traefik_is_back_and_leads_nobody_astray(faults: Faults, name: str) -> None:
    openers = {one: faults.opener(one) for one in (name, *OTHERS)}
    waited = []
    with asked_who_they_are(openers) as answers:
        for _time in range(3):
            former = serving(faults)
            began = time.monotonic()
            for pid in former:
                faults.host.kill(pid)
            for open_ in openers.values():
                faults.answers_within(open_, 30)
            waited.append(time.monotonic() - began)
            assert set(serving(faults)).isdisjoint(former)
    assert answers.wrong == []
    assert max(waited) <= RTO_TRAEFIK
    print(f"routes back after {', '.join(f'{seconds:.1f}' for seconds in waited)} s")


def test_control_a_name_that_leads_elsewhere(faults: Faults, name: str) -> None:
    """A client of one database that is sent to another is noticed."""
    openers = {one: faults.opener(one) for one in (name, *OTHERS)}
    openers[OTHERS[0]] = partial(faults.connect, OTHERS[1], login=faults.login(OTHERS[0]))
    with asked_who_they_are(openers) as answers:
        time.sleep(2)
    assert answers.wrong
    assert all(one.startswith(f"{OTHERS[0]}: ") and STRANGER[0] in one for one in answers.wrong), answers.wrong
