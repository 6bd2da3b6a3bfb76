# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A database's log has its own lines, and is bounded whatever a client says."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.support.user import User

NAME = "infinite-test-log"
PIECE = 4_000_000
# A second at most for every 40 MB, on processors that do something else, too.
SECONDS = 8.0


@pytest.fixture(scope="module")
def name(user: User) -> Iterator[str]:
    user.run("provision", databases=[{"name": NAME, "memory_max": 1024}])
    yield NAME
    user.erase([NAME])


def pieces(user: User, name: str) -> str:
    """Where they are, as a pattern."""
    [alloc] = [one["ID"] for one in user.client.job.get(name, "allocations") if one["ClientStatus"] == "running"]
    return f"/var/lib/nomad/alloc/{alloc}/alloc/data/postgres.stderr.*"


def said(user: User, name: str) -> str:
    return user.node("sh", "-c", f"cat {pieces(user, name)}")


def test_a_new_database_says_nothing_of_our_probes(user: User, name: str) -> None:
    log = said(user, name)
    assert "database system is ready to accept connections" in log
    assert "FATAL" not in log
    assert "DETAIL" not in log


def test_it_says_what_its_own_clients_do(user: User, name: str) -> None:
    wrong = user.login(name) | {"password": "wrong"}
    with pytest.raises(psycopg.OperationalError):
        user.connect(name, login=wrong)
    with pytest.raises(psycopg.errors.UndefinedTable):
        user.query(name, "select * from not_there")
    time.sleep(0.5)
    log = said(user, name)
    assert f'password authentication failed for user "{name}"' in log
    assert 'relation "not_there" does not exist' in log


def test_a_statement_of_40_megabytes(user: User, name: str) -> None:
    """It waits for nobody, and two pieces of 4 MB are kept of what is said of it."""
    processes = user.node("sh", "-c", "ps -eo rss,args | grep 'head -c 400000[0]'")
    with user.connect(name) as session:
        for _time in range(3):
            began = time.monotonic()
            with pytest.raises(psycopg.errors.UndefinedTable):
                session.execute(b"select * from not_there where '" + b"x" * 40_000_000 + b"' = ''")
            assert time.monotonic() - began < SECONDS
    time.sleep(1)
    with pytest.raises(psycopg.errors.UndefinedTable):
        user.query(name, "select * from after_all")
    time.sleep(0.5)
    sizes = [int(line) for line in user.node("sh", "-c", f"stat -c %s {pieces(user, name)}").split()]
    assert len(sizes) == 2
    assert max(sizes) <= PIECE
    assert sum(sizes) > 0
    assert 'relation "after_all" does not exist' in said(user, name)
    after = user.node("sh", "-c", "ps -eo rss,args | grep 'head -c 400000[0]'")
    assert max(int(line.split()[0]) for line in after.splitlines()) < 4096, (processes, after)
