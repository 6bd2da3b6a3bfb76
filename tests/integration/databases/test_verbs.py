# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a team does with a database between its creation and its end."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import psycopg
import pytest

from .conftest import User


@pytest.fixture(scope="module")
def name(user: User) -> str:
    user.run("provision", db="infinite-test-verbs", labels={"team": "tests"}, ttl="2h", extensions=["pgvector", "hstore"])
    return "infinite-test-verbs"


def test_roles(user: User, name: str) -> None:
    user.query(name, "create table early (x int)")
    user.query(name, "insert into early values (1)", role="rw")
    user.query(name, "create schema later; create table later.made (x serial)")
    user.query(name, "insert into later.made default values", role="rw")
    assert user.query(name, "select count(*) from early, later.made", role="ro") == 1, "tables made later, in a schema made later"
    for role, statement in (("ro", "insert into early values (2)"), ("rw", "create table mine ()"), ("rw", "drop table early")):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            user.query(name, statement, role=role)
    assert f"{name}_ro" in user.run("url", plain=True, db=name, role="ro").out


def test_environment(user: User, name: str) -> None:
    lines = dict(line.split("=", 1) for line in user.run("env", plain=True, db=name, role="ro").out.splitlines())
    login = user.login(name, "ro")
    assert (lines["PGUSER"], lines["PGPASSWORD"], lines["PGSSLMODE"]) == (login["user"], login["password"], "verify-full")
    with psycopg.connect(lines["DATABASE_URL"]) as connection:
        assert connection.execute("select current_user").fetchone() == (login["user"],)


def test_extensions(user: User, name: str) -> None:
    assert user.query(name, "select '[1,2]'::vector <-> '[1,3]'::vector") == 1
    assert user.query(name, "select ('a=>1'::hstore)->'a'") == "1"


def ends(session: psycopg.Connection[tuple[Any, ...]]) -> bool:
    """Within seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            session.execute("select 1")
        except psycopg.OperationalError:
            return True
        time.sleep(0.1)
    return False


def test_rotation_fails_no_connection(user: User, name: str) -> None:
    """Somebody connects all the time, by the URL of the moment; somebody else by the old one."""
    old = user.login(name)
    failures: list[str] = []
    connected, done = [0], threading.Event()

    def connect_again_and_again() -> None:
        while not done.is_set():
            try:
                user.query(name, "select 1")
                connected[0] += 1
            except psycopg.Error as error:
                failures.append(str(error))

    with user.connect(name) as session:
        load = threading.Thread(target=connect_again_and_again)
        user.run("rotate", db=name)
        load.start()
        assert session.execute("select 1").fetchone() == (1,), "a session goes on"
        new = user.login(name)
        assert new["user"] != old["user"]
        assert new["password"] != old["password"]
        with psycopg.connect(session.info.dsn, password=old["password"]) as again:
            assert again.execute("select current_user").fetchone() == (name,), "both are the owner"
        refused = user.run("rotate", plain=True, fails=True, db=name)
        assert f"{name}: its old password of owner works until" in refused.err
        assert user.run("rotate", db=name, end=True).changed == 1
        done.set()
        load.join()
        assert ends(session), "the old login's sessions too"
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(user.url(name), user=old["user"], password=old["password"])
    assert failures == []
    assert connected[0] > 5
    assert user.run("rotate", db=name, end=True).changed == 0, "again: nothing to end"
    user.query(name, "create table by_the_second_login ()")
    assert user.query(name, "select tableowner from pg_tables where tablename = 'by_the_second_login'") == name


def test_stop_and_start(user: User, name: str) -> None:
    assert user.run("stop", db=name).changed == 1
    start = time.monotonic()
    with pytest.raises(psycopg.OperationalError):
        user.connect(name)
    assert time.monotonic() - start < 1, "at once"
    assert user.run("stop", db=name).changed == 0
    user.run("start", db=name)
    assert user.query(name, "select count(*) from early") == 1
    assert user.run("start", db=name).changed == 0
    refused = user.run("start", plain=True, fails=True, db="infinite-test-nobody")
    assert "infinite-test-nobody: there is no such database; see `list`" in refused.err
    assert not user.variable("databases/infinite-test-nobody")


def test_restart(user: User, name: str) -> None:
    before = user.query(name, "select pg_postmaster_start_time()")
    user.changes_nothing(lambda: user.run("restart", "--check", db=name))
    assert user.query(name, "select pg_postmaster_start_time()") == before
    assert f"{name}: restarted, and answers again." in user.run("restart", plain=True, db=name).out
    assert user.query(name, "select pg_postmaster_start_time()") > before


def test_logs(user: User, name: str) -> None:
    lines = user.run("logs", plain=True, db=name, lines=20).out.splitlines()
    assert len(lines) <= 20
    assert any("database system is ready to accept connections" in line for line in lines)


def test_list_as_json_and_by_label(user: User, name: str, first: str) -> None:
    listed = json.loads(user.run("list", plain=True, output="json", labels={"team": "tests"}).out)["databases"]
    assert [one["name"] for one in listed] == [name]
    (found,) = listed
    assert found["expires"] - found["created"] == 7200
    assert found["description"]["extensions"] == ["hstore", "vector"]
    assert found["size"] > 1_000_000
    assert found["connections"] == 0
    assert user.login(name)["password"] not in str(found)
    (other,) = json.loads(user.run("list", plain=True, output="json", db=first).out)["databases"]
    assert (other["name"], other["expires"]) == (first, None)


def test_what_is_past_its_time_ends(user: User) -> None:
    brief, kept = "infinite-test-brief", "infinite-test-kept"
    user.run("provision", databases=[{"name": brief, "ttl": "1m"}, {"name": kept, "ttl": "1m", "protect": True}])
    assert "destroyed none" in user.run("expire", plain=True).out
    record = user.variable(f"databases/{brief}")
    made = int(json.loads(user.run("list", plain=True, output="json", db=brief).out)["databases"][0]["created"])
    time.sleep(max(0, made + 61 - time.time()))
    foretold = user.changes_nothing(lambda: user.run("expire", "--check", plain=True))
    assert f"Would have destroyed {brief}, erased none" in foretold.out
    assert f"Have destroyed {brief}, erased none" in user.run("expire", plain=True).out
    assert user.query(kept, "select 1") == 1, "what is protected stays"
    user.client.variables.write(f"databases/{brief}", record | {"destroyed": str(int(time.time()) - 8 * 86400)})
    assert f"erased {brief}" in user.run("expire", plain=True).out
    assert not user.variable(f"databases/{brief}")
    assert user.run("expire").changed == 0
