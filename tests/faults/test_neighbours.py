# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whatever is done to one database, or to the port of all, the others answer as quickly as before, within a factor of three.

Two times are taken, each of which a user feels: that of a new connection with a query on it, which is Traefik's and the server's,
and that of a query in an open session. Windows of calm and of attack take turns, so that what else the machine does is in both; the
99th percentile of all that was measured in calm is compared with that under attack, and nothing may fail.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.faults import Faults

NAME = "infinite-test-attacked"
OTHERS = ["infinite-test-calm-1", "infinite-test-calm-2"]
ATTACKS = Path(__file__).with_name("attacks.py")
FACTOR = 3
# Seconds, below which a percentile counts as this: some time slices of the kernel, which whoever shares a processor waits
# for; a connection takes several steps.
LEAST_QUERY, LEAST_CONNECT = 0.010, 0.050
ROUNDS, WINDOW = 4, 3.0
NEVER = float("inf")


@dataclass
class Times:
    """Seconds, of queries in open sessions, and of new connections with a query."""

    queries: list[float] = field(default_factory=list)
    connections: list[float] = field(default_factory=list)


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[int(len(values) * part)]


@dataclass
class Measured:
    """What the neighbours saw in calm and under attack, and what the attackers did."""

    calm: Times = field(default_factory=Times)
    attacked: Times = field(default_factory=Times)
    done: dict[str, int] = field(default_factory=dict)

    def failed(self) -> list[str]:
        """What did not answer, be it in calm."""
        found = []
        for when, times in (("in calm", self.calm), ("under attack", self.attacked)):
            for kind in ("queries", "connections"):
                if failures := getattr(times, kind).count(NEVER):
                    found.append(f"{failures} {kind} failed {when}")
        return found

    def slow(self) -> list[str]:
        """What takes too long."""
        found = []
        for kind, least in (("queries", LEAST_QUERY), ("connections", LEAST_CONNECT)):
            calm, attacked = (percentile(getattr(times, kind), 0.99) for times in (self.calm, self.attacked))
            if attacked > FACTOR * max(calm, least):
                found.append(f"p99 of {kind}: {attacked * 1000:.1f} ms, before {calm * 1000:.1f} ms")
        return found

    def __str__(self) -> str:
        parts = []
        for kind in ("queries", "connections"):
            calm, attacked = getattr(self.calm, kind), getattr(self.attacked, kind)
            middle, last = ([percentile(values, part) * 1000 for values in (calm, attacked)] for part in (0.5, 0.99))
            parts.append(
                f"{kind} ({len(calm)} and {len(attacked)}): median {middle[0]:.1f} and {middle[1]:.1f} ms, "
                f"p99 {last[0]:.1f} and {last[1]:.1f} ms"
            )
        return f"{'; '.join(parts)}; {self.done}"


@pytest.fixture(scope="module")
def target(faults: Faults) -> Iterator[dict[str, Any]]:
    """What attacks are told of the database: `attacks.py` says what each does."""
    faults.run("provision", databases=[{"name": NAME, "memory_max": 128}, *({"name": one} for one in OTHERS)])
    host, port, login = f"{NAME}.{faults.domain}", faults.known["database_port"], faults.login(NAME)
    verified = {"sslmode": "verify-full", "sslrootcert": faults.ca}
    yield {
        "address": "127.0.0.1",
        "host": host,
        "port": port,
        "domain": faults.domain,
        "ca": faults.ca,
        "connections": faults.query(NAME, "select current_setting('max_connections')::int"),
        "login": {"host": host, "port": port, "dbname": NAME, "user": login["user"], "password": login["password"]} | verified,
    }
    faults.erase([NAME, *OTHERS])


def measure(openers: list[Callable[[], psycopg.Connection[Any]]], times: Times, seconds: float) -> None:
    """A client of each: it connects again and again, and has a session besides, which is opened anew where it was lost."""
    end = time.monotonic() + seconds

    def once(act: Callable[[], object], into: list[float]) -> bool:
        began = time.monotonic()
        try:
            act()
        except psycopg.Error:
            into.append(NEVER)
            return False
        into.append(time.monotonic() - began)
        return True

    def use(open_: Callable[[], psycopg.Connection[Any]]) -> None:
        def connect() -> None:
            with open_() as connection:
                connection.execute("select 1")

        try:
            session = open_()
        except psycopg.Error:
            times.connections.append(NEVER)
            times.queries.append(NEVER)
            return
        with session:
            while time.monotonic() < end:
                for _time in range(10):
                    if not once(lambda: session.execute("select 1"), times.queries):
                        return
                    time.sleep(0.002)
                once(connect, times.connections)

    clients = [threading.Thread(target=use, args=(one,)) for one in openers]
    for client in clients:
        client.start()
    for client in clients:
        client.join()


@contextmanager
def attack(kind: str, target: dict[str, Any], done: dict[str, int]) -> Iterator[None]:
    """What it did is added to ``done``."""
    with subprocess.Popen([sys.executable, ATTACKS, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(target) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            process.stdin.close()
            for what, count in json.loads(process.stdout.readline()).items():
                done[what] = done.get(what, 0) + count


def under(kind: str, faults: Faults, target: dict[str, Any], rounds: int = ROUNDS) -> Measured:
    openers = [faults.opener(one) for one in OTHERS]
    found = Measured()
    for _round in range(rounds):
        measure(openers, found.calm, WINDOW)
        with attack(kind, target, found.done):
            # Not the first moment, in which the attackers' own start is what costs.
            time.sleep(1)
            measure(openers, found.attacked, WINDOW)
        faults.answers_within(faults.opener(NAME), 30)
    print(f"{kind}: {found}")
    return found


def unharmed(kind: str, faults: Faults, target: dict[str, Any]) -> Measured:
    """What the attack did. Something else that the machine did may have slowed one side only: what is really slow is so again."""
    found = under(kind, faults, target)
    if found.slow() and not found.failed():
        found = under(kind, faults, target)
    assert (found.failed(), found.slow()) == ([], [])
    return found


@pytest.mark.quick
def test_half_open_connections(faults: Faults, target: dict[str, Any]) -> None:
    found = unharmed("half_open", faults, target)
    assert found.done["half hellos"] >= 2000 * ROUNDS
    assert found.done["open in the end"] >= 1900 * ROUNDS, "nearly all of them at once"


def closed_within(seconds: float, target: dict[str, Any]) -> int:
    """How many half-open connections Traefik has closed by then."""
    done: dict[str, int] = {}
    with attack("half_open", target, done):
        time.sleep(seconds)
    return done.get("closed by Traefik", 0)


def test_half_open_connections_are_closed(target: dict[str, Any]) -> None:
    """After five seconds; the attackers' own start and Traefik's other work are in the rest."""
    assert closed_within(8, target) >= 2000


def test_control_a_patient_traefik(faults: Faults, target: dict[str, Any]) -> None:
    """Its own default is to wait for a minute."""
    with faults.traefik_with("readTimeout: 5s", "readTimeout: 60s", NAME):
        assert closed_within(8, target) == 0


@pytest.mark.parametrize("kind", ["wrong_name", "plaintext"])
def test_clients_that_are_no_clients(faults: Faults, target: dict[str, Any], kind: str) -> None:
    found = unharmed(kind, faults, target)
    assert found.done["refused"] > 100 * ROUNDS
    assert "served" not in found.done


def test_out_of_memory(faults: Faults, target: dict[str, Any]) -> None:
    """The kernel ends one process of the one database, again and again."""
    before = faults.log(NAME)
    found = unharmed("out_of_memory", faults, target)
    killed = faults.log_since(NAME, before).count("was terminated by signal 9")
    print(f"{killed} processes killed")
    assert killed >= ROUNDS
    assert found.done["refused"] >= ROUNDS
    assert "served" not in found.done


def test_a_flood_of_connections(faults: Faults, target: dict[str, Any]) -> None:
    found = unharmed("many_connections", faults, target)
    assert found.done["sessions"] >= 20 * ROUNDS
    assert found.done["refused"] > 0, "more than there may be"


def test_control_all_the_processors(faults: Faults, target: dict[str, Any]) -> None:
    """All databases have the same share of them; with ten thousand times as much, the busy one is noticed."""
    container = faults.container(NAME)
    shares = faults.host.run("docker", "inspect", "--format", "{{.HostConfig.CpuShares}}", container).strip()
    faults.host.run("docker", "update", "--cpu-shares", "262144", container)
    try:
        assert under("processors", faults, target, rounds=1).slow()
    finally:
        faults.host.run("docker", "update", "--cpu-shares", shares, container)


def test_control_few_files(faults: Faults, target: dict[str, Any]) -> None:
    """If Traefik could have a thousand connections only, as with many a limit of files, the half-open ones would be noticed."""
    (traefik,) = faults.host.pids("traefik --configFile")
    # As Traefik's own user: the node's root may not do it.
    limit = ("setpriv", "--reuid=65532", "--regid=0", "--clear-groups", "prlimit", "--pid", str(traefik))
    former = faults.host.run(*limit, "--nofile", "--output=SOFT", "--noheadings").strip()
    faults.host.run(*limit, "--nofile=1000:")
    try:
        assert under("half_open", faults, target, rounds=1).slow()
    finally:
        faults.host.run(*limit, f"--nofile={former}:")
