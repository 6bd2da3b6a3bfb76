# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a team does with a database between its creation and its end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.support.environments import HERE
from tests.support.user import ENVIRONMENT, ROOT, User


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


def test_connect(user: User, name: str) -> None:
    """The one verb that is no playbook."""
    command = ["make", "connect", f"db={name}", "role=ro", f"environment_name={ENVIRONMENT}", "args=-Atc 'select current_user'"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == f"{name}_ro\n"


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
    """Somebody connects all the time, by the URL of the moment; somebody else by the old one, until that ends."""
    old = user.login(name)
    failures: list[str] = []
    connected = {"moment": 0, "old": 0}
    done, ending = threading.Event(), threading.Event()

    def again_and_again(which: str, until: threading.Event) -> None:
        while not until.is_set():
            try:
                user.query(name, "select 1", login=old if which == "old" else None)
                connected[which] += 1
            except psycopg.Error as error:
                failures.append(f"{which}: {error}")

    with user.connect(name) as session:
        loads = [threading.Thread(target=again_and_again, args=args) for args in (("moment", done), ("old", ending))]
        for load in loads:
            load.start()
        user.run("rotate", db=name)
        assert session.execute("select 1").fetchone() == (1,), "a session goes on"
        new = user.login(name)
        assert new["user"] != old["user"]
        assert new["password"] != old["password"]
        assert user.query(name, "select current_user", login=old) == name, "both are the owner"
        refused = user.run("rotate", plain=True, fails=True, db=name)
        assert f"{name}: the old password of its role owner works until" in refused.err
        ending.set()
        loads[1].join()
        assert user.run("rotate", db=name, end=True).changed == 1
        done.set()
        loads[0].join()
        assert ends(session), "the old login's sessions too"
    with pytest.raises(psycopg.OperationalError):
        user.connect(name, login=old)
    assert failures == []
    assert min(connected.values()) > 5
    assert user.run("rotate", db=name, end=True).changed == 0, "again: nothing to end"
    user.query(name, "create table by_the_second_login ()")
    assert user.query(name, "select tableowner from pg_tables where tablename = 'by_the_second_login'") == name


def test_an_interrupted_rotation_is_finished_by_the_next(user: User, name: str) -> None:
    old = user.login(name, "ro")
    run = user.start("rotate", db=name, role="ro")
    user.kill_when(run, lambda: "next" in user.login(name, "ro"))
    assert user.query(name, "select 1", role="ro") == 1, "the URL works all the time"
    offered = user.login(name, "ro")["next"]
    assert user.run("rotate", db=name, role="ro").changed == 1
    new = user.login(name, "ro")
    assert new["ending"]["user"] == old["user"]
    assert new["password"] == offered["password"]
    assert user.query(name, "select 1", role="ro") == 1
    assert user.run("rotate", db=name, role="ro", end=True).changed == 1


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


def test_following_a_log(user: User, name: str) -> None:
    """Across its rotation, which is at 4 MB, and a restart; until Ctrl-C."""
    following = user.start("logs", plain=True, db=name, follow=True, lines=1, seconds=90)
    assert following.stdout
    following.stdout.readline()
    user.query(name, "do $$ begin for i in 1..550 loop raise log 'line % %', i, repeat('x', 8000); end loop; end $$")
    user.run("restart", db=name)
    seen = []
    for line in following.stdout:
        seen.append(line)
        if "database system is ready to accept connections" in line:
            break
    found = [line.partition("LOG:  line ")[2].split() for line in seen if "LOG:  line " in line]
    assert [int(number) for number, _text in found] == list(range(1, 551)), "each line once, in order"
    assert {len(text) for _number, text in found} == {8000}
    os.kill(following.pid, signal.SIGINT)
    assert user.end(following).err == "", "quietly"
    assert user.run("logs", plain=True, db=name, follow=True, lines=1, seconds=1).out.count("\n") == 1


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


def states(user: User, **which: Any) -> dict[str, str]:
    listed = json.loads(user.run("list", plain=True, output="json", **which).out)["databases"]
    return {one["name"]: one["state"] for one in listed}


def test_several_by_name_and_by_label(user: User) -> None:
    one, two, other = names = [f"infinite-test-many-{number}" for number in (1, 2, 3)]
    user.run("provision", db=f"{one},{two}", labels="test/many=yes,tier=a", memory=72)
    user.run("provision", db=other, labels={"test/many": "no"})
    assert json.loads(user.variable(f"databases/{two}")["spec"])["memory"] == 72, "each is described so"
    assert f"{two}: stopped." in user.run("stop", plain=True, labels="test/many=yes").out
    assert states(user, db=names) == {one: "stopped", two: "stopped", other: "running"}
    assert user.run("stop", labels={"test/many": "yes"}).changed == 0
    assert f"{one}: started" in user.run("start", plain=True, db=f"{one}, {two}").out
    restarted = user.run("restart", plain=True, labels="test/many=yes,tier=a").out
    assert f"{one}: restarted, and answers again." in restarted
    assert f"{two}: restarted, and answers again." in restarted

    logins = {name: user.login(name) for name in names}
    user.run("rotate", db=other)
    refused = user.run("rotate", plain=True, fails=True, db=names).err
    assert f"{other}: the old password of its role owner works until" in refused
    assert [user.login(name) == logins[name] for name in names] == [True, True, False], "all or none"
    user.run("rotate", labels="test/many=yes")
    assert [user.login(name) == logins[name] for name in names] == [False, False, False]

    user.run("destroy", db=one)
    restarted = user.run("restart", plain=True, labels="test/many=yes").out
    assert f"{one}: is destroyed; `undestroy` brings it back; skipped." in restarted, "what has the label may be in any state"
    assert f"{two}: restarted" in restarted
    assert f"{one}: brought back" in user.run("undestroy", plain=True, labels="test/many=yes").out
    assert user.query(one, "select 1") == 1
    assert "destroyed" not in user.variable(f"databases/{one}")

    gone = user.run("purge", plain=True, labels="test/many=yes").out
    assert f"{one}: erased" in gone
    assert f"{two}: erased" in gone
    assert states(user, db=names) == {other: "running"}
    for verb in ("stop", "destroy", "purge"):
        again = user.run(verb, labels="test/many=yes")
        assert again.changed == 0
        assert "No database has the labels test/many=yes; see `list`." in again.out
    assert f"{one}: there is no such database" in user.run("purge", plain=True, db=names).out
    assert not user.variable(f"databases/{other}")


def test_info(user: User, name: str) -> None:
    user.run("provision", db=name, statement_timeout=30, settings={"work_mem": "3MB"}, allowed_cidrs="127.0.0.0/8,172.16.0.0/12")
    text = user.run("info", plain=True, db=name).out
    lines = dict(
        re.split(r" {2,}|(?<=role \w{2}) +|(?<=role owner) +|(?<=clients from) +", line, maxsplit=1) for line in text.splitlines()
    )
    login = user.login(name)
    assert lines["state"] == "running"
    assert lines["url"].startswith(f"postgresql://{login['user']}:********@{name}.{user.domain}")
    assert login["password"] not in text
    assert lines["node"].startswith(f"{HERE.node}, volume pg17-")
    assert lines["limits"] == "statement_timeout 30 s, idle_timeout never, temp_file_limit none"
    assert (lines["settings"], lines["extensions"], lines["labels"]) == ("work_mem=3MB", "hstore, vector", "team=tests")
    assert lines["clients from"] == "127.0.0.0/8, 172.16.0.0/12"
    # Rotation, which other tests of this file do, changes the login.
    reader = user.login(name, "ro")["user"]
    assert lines["role ro"] == f"logs in as {reader}" + (f", acts as {name}_ro" if reader != f"{name}_ro" else "")
    found = json.loads(user.run("info", plain=True, db=name, output="json").out)
    assert found["expires"] - found["created"] == 7200
    assert lines["connections"] == f"0 of {int(user.query(name, 'show max_connections')) - 3}"
    assert found["settings"]["statement_timeout"] == "30s"
    assert user.query(name, "show work_mem") == found["settings"]["work_mem"] == "3MB"


# What each verb says that it would do. Those of a database that runs, and of one that is stopped or destroyed.
CHECKS: dict[str, list[tuple[str, dict[str, Any], str]]] = {
    "running": [
        ("provision", {"memory": 128}, "would be updated, memory 64 -> 128 (with a restart)"),
        ("provision", {}, "infinite-test-checked: unchanged"),
        ("provision", {"labels": "a=b"}, "infinite-test-checked: would be updated, labels none -> a=b"),
        ("list", {}, "running"),
        ("info", {}, "running"),
        ("metrics", {}, "# HELP"),
        ("url", {}, "postgresql://"),
        ("env", {}, "DATABASE_URL=postgresql://"),
        ("logs", {"follow": True}, "database system is ready to accept connections"),
        ("stop", {}, "would be stopped"),
        ("start", {}, "unchanged"),
        ("restart", {}, "would be restarted"),
        ("rotate", {}, "owner would log in as infinite-test-checked_b with a new password"),
        ("rotate", {"end": True}, "nothing changed"),
        ("expire", {}, "Would have destroyed"),
        ("drift", {}, "databases compared"),
        ("destroy", {}, "would be destroyed"),
        ("purge", {}, "would be erased"),
    ],
    "stopped": [("start", {}, "would be started"), ("purge", {}, "would be erased")],
    "destroyed": [("undestroy", {}, "would be brought back"), ("provision", {}, "would be updated")],
}


# These are about the whole environment.
WHOLE = ("metrics", "expire", "drift")


def test_check_mode_changes_nothing(user: User) -> None:
    name = "infinite-test-checked"
    user.run("provision", db=name)

    def told_by(verb: str, extra: dict[str, Any]) -> str:
        of: dict[str, Any] = {} if verb in WHOLE else {"db": name}
        return user.run(verb, "--check", plain=True, **of, **extra).out

    def own() -> dict[str, Any]:
        everything = user.everything()
        started = user.as_superuser(name, "select pg_postmaster_start_time()") if user.is_running(name) else ""
        volume = user.variable(f"databases/{name}")["volume"]
        return {
            "job": everything["jobs"][name],
            "variables": [everything["variables"].get(f"{prefix}{name}") for prefix in ("databases/", "nomad/jobs/")],
            "volume": volume in everything["volumes"],
            "host": f"{name}.{user.domain}" in everything["hosts"],
            "started": started,
        }

    for state, checks in CHECKS.items():
        if state != "running":
            user.run({"stopped": "stop", "destroyed": "destroy"}[state], db=name)
        before = own()
        with ThreadPoolExecutor(max_workers=2) as pool:
            told = list(pool.map(lambda row: told_by(row[0], row[1]), checks))
        assert own() == before, state
        for (verb, extra, expected), out in zip(checks, told, strict=True):
            assert expected in out, (state, verb, extra)
