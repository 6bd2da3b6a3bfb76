# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Nomad's servers are away for a quarter of an hour, and Nomad is upgraded. Databases and the way in do not notice; a client with
Nomad's own defaults loses all of them in the outage, which is the control, and drift.yml brings it back.

An environment of its own with a server, whose absence is the fault, and two clients, the second of which has Nomad's own default.
INFINITE_FAULTS_KEEP=1 leaves it there.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.support.environments import Environment
from tests.support.load import Load
from tests.support.nodes import Cluster, made, on, wait_until
from tests.support.user import ROOT, Done

ENVIRONMENT = Environment("outage-20", nodes=3, apart=True)
SERVER, CLIENT, CONTROL = ENVIRONMENT.names
NAMES = [f"infinite-test-outage-{number}" for number in range(4)]
RELEASE: str = yaml.safe_load((ROOT / "roles/nomad/defaults/main.yml").read_text())["nomad_version"]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "infinite.databases/nomad"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
BINARY = CACHE / RELEASE / f"linux_{ARCHITECTURES[os.uname().machine]}" / "nomad"
OUTAGE_SECONDS = 900
# By then Nomad's default of 12 tries is over: measured, 309 s.
CONTROL_SECONDS = 400
# Nomad on a client may be restarted meanwhile, too.
RESTART_AFTER = 420
# No statement waits longer; the machine may be busy.
GAP_SECONDS = 5


class Spread(Cluster):
    """The user of this environment."""

    def nodes_of(self) -> dict[str, list[str]]:
        """Which databases are on which node."""
        found: dict[str, list[str]] = {CLIENT: [], CONTROL: []}
        for name in NAMES:
            (alloc,) = [one for one in self.client.job.get(name, "allocations") if one["ClientStatus"] == "running"]
            found[alloc["NodeName"]].append(name)
        return found


def containers(node: str) -> set[str]:
    """Those of Traefik and of databases that run."""
    return set(on(node, "docker ps --no-trunc --format '{{.ID}} {{.Names}}' | grep -E ' (traefik|postgres)-' || true").splitlines())


@pytest.fixture(scope="module")
def environment() -> Iterator[Spread]:
    with made(ENVIRONMENT, Spread, "-e", "nomad_install_method=build") as user:
        yield user


class Fresh:
    """New connections, one after the other."""

    def __init__(self, openers: list[Callable[[], psycopg.Connection[Any]]]) -> None:
        self.openers, self.count, self.failures = openers, 0, list[str]()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._connect)

    def __enter__(self) -> Fresh:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()

    def _connect(self) -> None:
        while not self._end.wait(0.2):
            try:
                with self.openers[self.count % len(self.openers)]() as connection:
                    connection.execute("select 1")
            except psycopg.Error as error:
                self.failures.append(str(error))
            self.count += 1


def ready(user: Spread) -> bool:
    return all(node["Status"] == "ready" for node in user.client.endpoint("nodes").get())


def traefiks(user: Spread) -> dict[str, str]:
    """The state of the newest on each node."""
    allocs = user.client.job.get("traefik", "allocations", namespace="platform")
    return {one["NodeName"]: one["ClientStatus"] for one in sorted(allocs, key=lambda alloc: alloc["CreateIndex"])}


def test_servers_are_away(environment: Spread) -> None:
    user = environment
    on(CONTROL, "sed -i '/^  template {/,/^  }/d' /etc/nomad.d/nomad.hcl && ! grep -q nomad_retry /etc/nomad.d/nomad.hcl")
    on(CONTROL, "systemctl restart nomad")
    wait_until(lambda: ready(user), 60, "the control did not come back")
    user.run("provision", databases=[{"name": name} for name in NAMES])
    places = user.nodes_of()
    assert all(places.values()), f"a node has no database: {places}"
    before = {node: containers(node) for node in places}
    opener = {name: user.opener(name) for name in NAMES}
    gone = 0.0
    with ExitStack() as stack:
        loads = [stack.enter_context(Load(opener[name], clients=1)) for name in places[CLIENT]]
        fresh = stack.enter_context(Fresh([opener[name] for name in places[CLIENT]]))
        on(SERVER, "systemctl stop nomad")
        began = time.monotonic()
        restarted = False
        while (away := time.monotonic() - began) < OUTAGE_SECONDS:
            if not gone and not containers(CONTROL):
                gone = away
                print(f"with Nomad's defaults all is gone after {gone:.0f} s")
            if not restarted and away > RESTART_AFTER:
                on(CLIENT, "systemctl restart nomad")
                restarted = True
            assert gone or away < CONTROL_SECONDS, "the control shows no fault"
            time.sleep(2)
        assert containers(CLIENT) == before[CLIENT]
        on(SERVER, "systemctl start nomad")
        wait_until(lambda: user.client.endpoint("status/leader").get(), 60, "the server did not come back")
        wait_until(lambda: ready(user), 120, "the clients did not come back")
        # It still knows what runs there, and leaves it alone.
        time.sleep(30)
        assert containers(CLIENT) == before[CLIENT]
        for load in loads:
            assert load.failures == []
            assert load.gap < GAP_SECONDS
    assert fresh.failures == []
    assert all(load.lost() == set() for load in loads)
    print(f"{sum(len(load.ledger) for load in loads)} rows, {fresh.count} new connections")
    # Nomad starts Traefik on the control again by itself, or leaves it failed for good: seen both.
    before_drift = traefiks(user)
    assert before_drift[CLIENT] == "running"
    said: Done = user.run("drift")
    revived = re.search(rf"traefik: .*failed for good on {CONTROL}", said.out)
    assert bool(revived) == (before_drift[CONTROL] == "failed"), said.out
    assert traefiks(user) == {CLIENT: "running", CONTROL: "running"}
    for name in NAMES:
        with opener[name]() as connection:
            connection.execute("select 1")
    user.run("provision", db="infinite-test-outage-later")
    assert "nothing differs" in user.run("drift").out


@pytest.mark.skipif(not BINARY.exists(), reason=f"the release of Nomad is not in the controller's cache: put it at {BINARY}")
def test_the_built_version_becomes_the_release(environment: Spread) -> None:
    """Sessions and data stay, and no new connection is refused."""
    user = environment

    def versions() -> set[str]:
        return {node["Version"] for node in user.client.endpoint("nodes").get()}

    before = versions()
    assert RELEASE not in before
    user.run("provision", databases=[{"name": name} for name in NAMES])
    running = {node: containers(node) for node in (CLIENT, CONTROL)}
    opener = {name: user.opener(name) for name in NAMES}
    with ExitStack() as stack:
        loads = [stack.enter_context(Load(opener[name], clients=1)) for name in NAMES]
        fresh = stack.enter_context(Fresh(list(opener.values())))
        said = ENVIRONMENT.play("site", options=["-e", "nomad_install_method=release"])
        assert versions() == {RELEASE}
        time.sleep(30)
        assert {node: containers(node) for node in running} == running
    assert [load.failures for load in loads] == [[] for _load in loads]
    assert fresh.failures == []
    assert all(load.lost() == set() for load in loads)
    assert "lacks fixes that" not in said
    print(f"{before} to {RELEASE}: {sum(len(load.ledger) for load in loads)} rows, {fresh.count} new connections")
    user.run("provision", db="infinite-test-outage-release")
    assert "ready to accept connections" in user.run("logs", plain=True, db="infinite-test-outage-release").out
    assert "nothing differs" in user.run("drift").out
