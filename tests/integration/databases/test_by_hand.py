# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What owners do in their own servers by SQL: what is refused is taken back, and what locked them out is put right."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.support.user import NODE, PREFIX, User

from .test_drift import reroute, tags

NAME, OTHER = f"{PREFIX}by-hand", f"{PREFIX}by-hand-other"


@pytest.fixture(scope="module")
def names(user: User) -> Iterator[str]:
    both = f"{NAME},{OTHER}"
    user.run("provision", db=both)
    yield both
    user.run("destroy", db=both, purge=True)


def extensions(user: User) -> set[str]:
    found: list[str] = user.query(NAME, "select array_agg(extname::text) from pg_extension where extname <> 'plpgsql'") or []
    return set(found)


def asked(user: User) -> list[str]:
    """Of the server, by the variable that its job reads."""
    lines = [line.split() for line in user.variable(f"nomad/jobs/{NAME}")["wanted"].splitlines()]
    return [line[1] for line in lines if line[0] == "extension"]


def spec(user: User, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(user.variable(f"databases/{name}")["spec"])
    return found


def elsewhere(user: User, sql: str) -> None:
    """As the owner, in the database that every server has; where Rails is when it drops one."""
    login = user.login(NAME)
    place = {"host": f"{NAME}.{user.domain}", "port": user.known["database_port"], "sslmode": "verify-full", "sslrootcert": user.ca}
    with psycopg.connect(dbname="postgres", user=login["user"], password=login["password"], autocommit=True, **place) as session:
        session.execute(sql.encode())


def running(session: psycopg.Connection[Any], user_name: str) -> tuple[int, str]:
    """The process of whoever sleeps, and what can be seen of its query."""
    sql = "select pid, query from pg_stat_activity where usename = %s and (wait_event = 'PgSleep' or query like '<%%')"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := session.execute(sql, [user_name]).fetchone():
            return found  # type: ignore[no-any-return]
        time.sleep(0.05)
    pytest.fail(f"{user_name} does not sleep")


@pytest.mark.parametrize("role", ["owner", "rw", "ro"])
def test_a_role_sees_and_cancels_its_sessions_under_either_login(user: User, names: str, role: str) -> None:
    old = user.login(NAME, role)
    told = user.run("rotate", plain=True, db=NAME, role=role).out
    new = user.login(NAME, role)
    assert f"{NAME}: {role} logs in as {new['user']} with a new password" in told
    with ThreadPoolExecutor(1) as background:
        for canceller, sleeper in ((new, new), (new, old), (old, new)):
            with user.connect(NAME, login=canceller) as session, user.connect(NAME, login=sleeper) as other:
                sleep = background.submit(other.execute, b"select pg_sleep(60)")
                pid, query = running(session, sleeper["user"])
                assert query == "select pg_sleep(60)"
                assert session.execute("select pg_cancel_backend(%s)", [pid]).fetchone() == (True,)
                with pytest.raises(psycopg.errors.QueryCanceled):
                    sleep.result(timeout=20)
    user.run("rotate", db=NAME, role=role, end=True)


@pytest.mark.parametrize("role", ["owner", "ro"])
def test_nobody_has_rights_over_others_sessions(user: User, names: str, role: str) -> None:
    allocations = [one["ID"] for one in user.client.job.get(NAME, "allocations") if one["ClientStatus"] == "running"]
    psql = ["psql", "-h", "/tmp", "-c", "select pg_sleep(20)", "postgres"]
    superuser = subprocess.Popen(["docker", "exec", NODE, "docker", "exec", f"postgres-{allocations[0]}", *psql])
    try:
        with user.connect(NAME, role) as session:
            pid = ""
            while not pid:
                assert superuser.poll() is None
                pid = user.as_superuser(NAME, "select max(pid) from pg_stat_activity where query = 'select pg_sleep(20)'")
            (query,) = session.execute("select query from pg_stat_activity where pid = %s", [pid]).fetchone() or ("",)
            assert query == "<insufficient privilege>"
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute("select pg_cancel_backend(%s)", [pid])
            if role == "ro":
                with user.connect(NAME) as owner, pytest.raises(psycopg.errors.InsufficientPrivilege):
                    session.execute("select pg_cancel_backend(%s)", [owner.info.backend_pid])
    finally:
        superuser.kill()
        superuser.wait()


def test_a_refused_extension_is_taken_back_everywhere(user: User, names: str) -> None:
    user.run("provision", db=NAME, extensions=["citext"])
    user.query(NAME, "create type hstore as (a int)")
    refused = user.run("provision", plain=True, fails=True, db=NAME, extensions=["citext", "hstore", "pg_trgm"]).err
    assert f"{NAME} answers, but has no extension hstore after" in refused
    assert 'type "hstore" already exists' in refused
    assert extensions(user) == {"citext", "pg_trgm"}, "one that cannot be made keeps no other away"
    assert (spec(user, NAME)["extensions"], asked(user)) == (["citext"], ["citext"])
    told = user.run("info", plain=True, db=NAME).out
    assert "extensions   citext, pg_trgm\n" in told
    user.query(NAME, "drop type hstore")
    user.run("restart", db=NAME)
    assert extensions(user) == {"citext", "pg_trgm"}


def test_a_killed_run_leaves_nothing_that_differs(user: User, names: str) -> None:
    run = user.start("provision", db=NAME, extensions=["citext", "unaccent"])
    user.kill_when(run, lambda: "unaccent" in asked(user))
    assert json.loads(user.variable(f"databases/{NAME}")["trying"]) == {"extensions": ["citext", "unaccent"]}
    user.run("provision", db=NAME)
    assert "trying" not in user.variable(f"databases/{NAME}")
    assert asked(user) == spec(user, NAME)["extensions"] == ["citext"]


def set_password(user: User) -> None:
    """Of the login that URLs name, which after a rotation is another one than the role that it acts as."""
    login = user.login(NAME)["user"]
    user.query(NAME, f'set role "{login}"; alter role "{login}" password \'mine\'')


BY_HAND: dict[str, Callable[[User], None]] = {
    "dropped": lambda user: elsewhere(user, f'drop database "{NAME}"'),
    "password": set_password,
    "no connections": lambda user: user.query(NAME, f'alter database "{NAME}" connection limit 0'),
    "closed": lambda user: elsewhere(user, f'alter database "{NAME}" allow_connections false'),
    "no right to connect": lambda user: user.query(NAME, f'revoke connect on database "{NAME}" from "{NAME}"'),
}


@pytest.mark.parametrize("what", [pytest.param(what, marks=() if what == "dropped" else pytest.mark.slow) for what in BY_HAND])
def test_provision_puts_right_what_locked_the_owner_out(user: User, names: str, what: str) -> None:
    kept = spec(user, NAME)["extensions"]
    started = user.as_superuser(NAME, "select pg_postmaster_start_time()")
    login = user.login(NAME)
    BY_HAND[what](user)
    with pytest.raises(psycopg.OperationalError):
        user.connect(NAME, login=login)
    begun = time.monotonic()
    drifted = what == "closed"
    told = (user.run("drift", plain=True) if drifted else user.run("provision", plain=True, db=NAME)).out
    assert time.monotonic() - begun < 60, "the answer is definite, and nobody waits for all of database_timeout"
    assert not drifted or f"{NAME}: its server had refused its user" in told
    assert user.login(NAME) == login
    assert set(kept) <= extensions(user)
    assert user.as_superuser(NAME, "select pg_postmaster_start_time()") == started, "without a restart"


def test_an_extension_after_its_schema_was_dropped(user: User, names: str) -> None:
    user.query(NAME, "drop schema public cascade")
    user.run("provision", db=NAME, extensions=["citext", "hstore"])
    assert extensions(user) >= {"citext", "hstore"}
    user.query(NAME, "create table in_public ()")


def test_one_that_cannot_have_what_it_should_stops_no_other(user: User, names: str) -> None:
    user.query(NAME, "drop schema public cascade; create schema public; create type hstore as (a int)")
    before = tags(user, OTHER)
    reroute(user, OTHER, f"{PREFIX}elsewhere")
    drift = user.run("drift", plain=True, fails=True)
    assert drift.code == 2
    assert f"{OTHER}: its job differed from its description; it was updated." in drift.out
    assert f"{NAME} answers, but has no extension hstore" in drift.err
    assert f"Failed: {NAME}." in drift.err
    assert tags(user, OTHER) == before

    refused = user.run("provision", plain=True, fails=True, db=f"{NAME},{OTHER}", labels={"round": "two"})
    assert f"Failed: {NAME}. The other database is as described." in refused.err
    assert spec(user, OTHER)["labels"] == {"round": "two"}
    assert "labels" not in spec(user, NAME)
