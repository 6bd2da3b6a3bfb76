# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A database that is out of memory or that fills the disk harms itself and nobody else."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from tests.support.user import User

from .disk import FILLER, WRITE, fill, space

NEIGHBOUR = "infinite-test-neighbour"
HOG = "infinite-test-hog"


@pytest.fixture(scope="module")
def neighbours(user: User) -> Iterator[None]:
    """One that behaves, and one that will not."""
    hog = {"name": HOG, "memory_max": 128, "temp_file_limit": 10}
    user.run("provision", databases=[{"name": NEIGHBOUR}, hog])
    user.query(NEIGHBOUR, "create table kept (at timestamptz default clock_timestamp())")
    user.query(HOG, "create table big (filler text)")
    yield
    user.erase([NEIGHBOUR, HOG])


@contextmanager
def undisturbed(user: User) -> Iterator[None]:
    """See that the neighbour's sessions live, that its writes never fail, and that each is quick."""
    ended, slowest, failures = threading.Event(), 0.0, []

    def write() -> None:
        nonlocal slowest
        try:
            with user.connect(NEIGHBOUR) as connection:
                while not ended.wait(0.02):
                    began = time.monotonic()
                    connection.execute("insert into kept default values")
                    slowest = max(slowest, time.monotonic() - began)
        except psycopg.Error as error:
            failures.append(str(error))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert failures == []
    assert 0 < slowest < 2


def wait_until_answers(user: User, name: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            user.query(name, "select 1")
        except psycopg.OperationalError:
            assert time.monotonic() < end, f"{name} did not answer within {seconds} s"
            time.sleep(0.05)
        else:
            return


def test_out_of_memory(user: User, neighbours: None) -> None:
    """The kernel ends one process in the database's own cgroup, and the server starts again by itself."""
    started = user.query(HOG, "select pg_postmaster_start_time()")
    with undisturbed(user):
        for _time in range(2):
            with pytest.raises(psycopg.OperationalError, match="connection"):
                user.query(HOG, "select length(repeat('x', 500000000))")
            wait_until_answers(user, HOG, 15)
    # The postmaster lived on: the kernel prefers its children, and Nomad has nothing to do.
    assert user.query(HOG, "select pg_postmaster_start_time()") == started


def test_out_of_temporary_files(user: User, neighbours: None) -> None:
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="temp_file_limit"):
        user.query(HOG, "select count(distinct g) from generate_series(1, 3000000) g")


def test_connections_and_timeouts(user: User, neighbours: None) -> None:
    user.run("provision", db=HOG, connections=5, statement_timeout=1, idle_timeout=1, idle_in_transaction_timeout=1)
    with ExitStack() as stack:
        sessions = [stack.enter_context(user.connect(HOG)) for _session in range(5)]
        sessions[4].execute("begin")
        with pytest.raises(psycopg.OperationalError, match="remaining connection slots are reserved"):
            user.connect(HOG)
        with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
            sessions[0].execute("select pg_sleep(5)")
        time.sleep(1.5)
        with pytest.raises(psycopg.errors.IdleSessionTimeout):
            sessions[0].execute("select 1")
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            sessions[4].execute("select 1")
    user.run("provision", db=HOG, statement_timeout=0, idle_timeout=0, idle_in_transaction_timeout=0)


def write_until_refused(user: User, before: str = "select 1") -> str:
    """As a client that connects again and again; PostgreSQL's message in the end. The last percent stays free whatever happens."""
    least = space(user)[0] / 100
    while space(user)[1] > least:
        try:
            with user.connect(HOG) as connection:
                connection.execute(before.encode())
                while space(user)[1] > least:
                    connection.execute(WRITE.encode())
        except psycopg.errors.AdminShutdown:
            # Its session was ended; what comes next?
            continue
        except psycopg.Error as error:
            return str(error)
    raise AssertionError("nothing stopped it")


def state(user: User) -> set[tuple[str, str]]:
    """What `list` says."""
    listed = json.loads(user.run("list", plain=True, database_output="json").out)
    return {(one["name"], one["state"]) for one in listed["databases"]}


@pytest.fixture
def filler(user: User) -> Iterator[None]:
    """Somebody else's file, in a file system that the guard looks after."""
    guard = user.node("sh", "-c", "systemctl is-active infinite-disk-guard || true").strip()
    assert guard == "active", "an environment of before the guard; run site.yml"
    yield
    user.node("rm", "-f", FILLER)


def test_a_full_disk(user: User, neighbours: None, filler: None) -> None:
    """The database that fills it is stopped, the other goes on; with room again, everything is as it was."""
    began = user.node("date", "+%s").strip()
    with undisturbed(user):
        fill(user, 6.4)
        assert "read-only transaction" in write_until_refused(user)
        assert state(user) >= {(HOG, "read-only"), (NEIGHBOUR, "running")}
        assert user.query(HOG, "select count(*) >= 0 from big"), "reading goes on"

        # Its owner may free space, or go on against the setting: then the logins end.
        user.query(HOG, "begin read write; truncate big; commit")
        fill(user, 3.4)
        assert "is not permitted to log in" in write_until_refused(user, "set default_transaction_read_only = off")
        assert state(user) >= {(HOG, "closed"), (NEIGHBOUR, "running")}

        user.node("rm", "-f", FILLER)
        wait_until_answers(user, HOG, 20)
    user.query(HOG, WRITE)
    journal = user.node("journalctl", "--unit", "infinite-disk-guard", "--output", "cat", "--since", f"@{began}")
    for words in (f"database {HOG} grew by", "made it read-only", "ended its logins", f"database {HOG} is writable again"):
        assert words in journal
    assert f"database {NEIGHBOUR}" not in journal


WAITS = "import psycopg, sys; psycopg.connect(sys.stdin.readline().strip()).execute('select pg_sleep(60)')"
THEIRS = "select count(*) from pg_stat_activity where query = 'select pg_sleep(60)' and pid <> pg_backend_pid()"


def wait_for_count(user: User, expected: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while user.query(NEIGHBOUR, THEIRS) != expected:
        assert time.monotonic() < end, f"not {expected} of them after {seconds} s"
        time.sleep(0.1)


def test_a_killed_client_has_its_statement_ended(user: User, neighbours: None) -> None:
    with subprocess.Popen([sys.executable, "-c", WAITS], stdin=subprocess.PIPE, text=True) as client:
        assert client.stdin
        print(user.url(NEIGHBOUR), file=client.stdin, flush=True)
        wait_for_count(user, 1, 20)
        client.kill()
    wait_for_count(user, 0, 8)


def test_a_parallel_query_has_room(user: User, neighbours: None) -> None:
    """In /dev/shm, for the hash table that its processes share: more than a quarter of memory_max."""
    with user.connect(NEIGHBOUR) as session:
        session.execute("create table wide as select g, repeat('x', 100) || g as filler from generate_series(1, 500000) g")
        session.execute("analyze wide")
        for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size", "enable_mergejoin"):
            session.execute(f"set {setting} = 0".encode())
        session.execute("set work_mem = '110MB'")
        joined = b"select count(a.filler || b.filler) from wide a join wide b using (g)"
        assert "Parallel Hash" in str(session.execute(b"explain " + joined).fetchall())
        assert session.execute(joined).fetchone() == (500000,)
        session.execute("drop table wide")
