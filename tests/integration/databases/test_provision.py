# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Provisioning: once, again, twice at once, interrupted, and not at all."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.environments import HERE
from tests.support.user import ROOT, User

from .test_settings import TOO_LATE, WORDS

MOMENTS = {
    "a volume is claimed": lambda user, name: bool(user.claims_of(name)),
    "the record is made": lambda user, name: bool(user.variable(f"databases/{name}")),
    "the verifier is made": lambda user, name: bool(user.variable(f"nomad/jobs/{name}")),
    "the job is registered": lambda user, name: user.has_job(name),
    "the name is known": lambda user, name: f"{name}.{user.domain}" in user.hosts(),
}


def test_new_database_answers_by_its_url(user: User) -> None:
    name = "infinite-test-new"
    done = user.run("provision", db=name)
    assert f"{name}: created, PostgreSQL 17" in done.out
    assert f"postgresql://{name}:********@{name}.{user.domain}:{user.known['database_port']}/{name}?sslmode=verify-full" in done.out
    assert f"infinite.databases.url -e db={name} -e environment_name={HERE.name})" in done.out
    assert re.search(r"Ready in [0-9.]+ s", done.out)
    with psycopg.connect(user.url(name)) as connection:
        row = connection.execute("select current_database(), current_user").fetchone()
    assert row == (name, name)
    record = user.variable(f"databases/{name}")
    assert user.login(name)["password"] not in done.out + done.err
    assert user.claims_of(name) == [record["volume"]]


def test_again_nothing_changes(user: User, first: str) -> None:
    done = user.changes_nothing(lambda: user.run("provision", db=first))
    assert done.changed == 0
    assert f"{first}: unchanged" in done.out


def test_two_runs_for_one_name_make_one_database(user: User) -> None:
    name = "infinite-test-race"
    for run in [user.start("provision", db=name) for _number in range(2)]:
        user.end(run)
    record = user.variable(f"databases/{name}")
    assert user.claims_of(name) == [record["volume"]], "no orphan claim"
    with psycopg.connect(user.url(name)) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert user.run("provision", db=name).changed == 0


def test_two_runs_for_two_names(user: User) -> None:
    runs = {name: user.start("provision", db=name) for name in ("infinite-test-left", "infinite-test-right")}
    for run in runs.values():
        user.end(run)
    volumes = [user.variable(f"databases/{name}")["volume"] for name in runs]
    assert len(set(volumes)) == 2
    for name in runs:
        user.query(name, f"create table kept as select '{name}' as name")
    assert {name: user.query(name, "select name from kept") for name in runs} == {name: name for name in runs}


def test_a_list_in_one_run(user: User, first: str) -> None:
    small, large = f"infinite-test-{'s' * 49}", "infinite-test-large"
    settings = {"work_mem": "7MB", "search_path": '"$user", public, it\'s'}
    wanted = [{"name": small}, {"name": large, "memory": 128, "memory_max": 512, "settings": settings}, {"name": first}]
    done = user.run("provision", databases=wanted)
    assert [line for line in (f"{small}: created", f"{large}: created", f"{first}: unchanged") if line not in done.out] == []
    assert user.query(small, "show shared_buffers") == "64MB"
    assert user.query(large, "show shared_buffers") == "128MB"
    assert user.query(large, "show work_mem") == "7MB"
    assert user.query(large, "show search_path") == settings["search_path"]
    # What is left out keeps its value.
    assert user.run("provision", db=large).changed == 0
    names = (small, large, first)
    since = {name: user.query(name, "select pg_postmaster_start_time()") for name in names}
    changed: list[dict[str, Any]] = [{"name": small}, {"name": large, "settings": {"work_mem": "9MB"}}, {"name": first}]
    foretold = user.run("provision", "--check", plain=True, databases=changed).out.splitlines()
    assert {f"{small}: unchanged", f"{first}: unchanged"} < set(foretold)
    (told,) = [line for line in foretold if line.startswith(f"{large}: would be updated, ")]
    assert "settings work_mem=7MB -> work_mem=9MB" in told
    assert told.endswith(" (with a restart)")
    assert user.run("provision", databases=changed).changed > 0
    restarted = [name for name in names if user.query(name, "select pg_postmaster_start_time()") != since[name]]
    assert restarted == [large], "that one alone"
    assert (user.query(large, "show work_mem"), user.query(large, "show shared_buffers")) == ("9MB", "128MB")


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupted_run_is_finished_by_the_next(user: User, moment: str) -> None:
    name = f"infinite-test-killed-{list(MOMENTS).index(moment)}"
    reached: Callable[[User, str], bool] = MOMENTS[moment]
    user.kill_when(user.start("provision", db=name), lambda: reached(user, name))
    made = user.variable(f"databases/{name}")
    user.run("provision", db=name)
    record = user.variable(f"databases/{name}")
    assert not made or made == record, "credentials that were made are kept"
    assert record["volume"] in user.claims_of(name)
    assert user.query(name, "select current_database()") == name


def test_check_mode_changes_nothing(user: User, first: str) -> None:
    databases = [{"name": "infinite-test-unborn"}, {"name": first, "memory": 100, "settings": {"work_mem": "5MB"}}]
    done = user.changes_nothing(lambda: user.run("provision", "--check", "--diff", databases=databases))
    assert "Check mode: nothing was changed." in done.out
    assert "infinite-test-unborn: would be created" in done.out
    assert f"{first}: would be updated" in done.out
    assert re.search(r"memory 64 -> 100, settings none\s+-> work_mem=5MB", done.out)
    secrets = [user.login(first)["password"], *user.verifiers(first).values()]
    assert [secret for secret in secrets if secret in done.out + done.err] == []


def test_what_changes_without_the_job_is_in_the_diff(user: User) -> None:
    name = "infinite-test-diff"
    user.run("provision", db=name, labels="team=web", ttl="2h")
    changed: dict[str, Any] = {"db": name, "labels": "team=db", "ttl": "7d"}
    for options in (["--check", "--diff"], ["--diff"]):
        told = user.run("provision", *options, plain=True, **changed).out
        assert "updated, labels team=web -> team=db, ttl 2h -> 7d" in told
        assert {"-labels team=web", "+labels team=db", "-ttl 2h", "+ttl 7d"} < set(told.splitlines()), told
    assert "-ttl" not in user.run("provision", "--diff", plain=True, **changed).out


def test_keys_without_a_name_are_told(user: User, first: str) -> None:
    told = user.run("provision", "--check", plain=True, memory=512, cpu="", databases=[{"name": first}]).out.splitlines()
    assert told[0] == "Not used: memory. They describe the database of -e db=NAME, and no db was given."
    assert f"{first}: unchanged" in told
    assert "Not used" not in user.run("provision", "--check", plain=True, db=first, memory=512).out


def test_version_is_not_changed_in_place(user: User, first: str) -> None:
    images = {"17": "image:17", "15": "image:15"}
    done = user.changes_nothing(lambda: user.run("provision", plain=True, fails=True, db=first, version=15, database_images=images))
    assert f"Nothing was changed: {first}: is PostgreSQL 17 and cannot become 15 in place" in done.err


def test_secrets_stay_where_they_belong(user: User) -> None:
    name = "infinite-test-canary"
    done = user.run("provision", "-vvv", "--diff", db=name)
    again = user.run("provision", "-vvv", "--diff", db=name, memory=80)
    failed = user.run("provision", "-vvv", fails=True, db=name, database_port=1, database_timeout=0)
    assert "nothing listens there" in failed.out
    password, verifier = user.login(name)["password"], user.verifiers(name)[name]
    job = user.client.job.get(name)
    places = {
        "the output": "".join(run.out + run.err for run in (done, again, failed)),
        "the job": json.dumps(job),
        "its versions": json.dumps(user.client.job.get(name, "versions")),
        "its allocations": json.dumps(user.client.job.get(name, "allocations")),
        "the submission": json.dumps(user.client.job.get(name, "submission", version=job["Version"])),
        "arguments and environment of the node's processes": user.node(
            "sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; true"
        ),
        "the containers": user.node("sh", "-c", "docker inspect $(docker ps -q)"),
        "the server's log": user.node("sh", "-c", f"cat /var/lib/nomad/alloc/{running(user, name)}/alloc/data/*"),
    }
    for place, text in places.items():
        assert text, place
        assert password not in text, place
        assert verifier not in text, place
        assert verifier.rpartition(":")[2] not in text, place


def running(user: User, name: str) -> str:
    allocs = user.client.job.get(name, "allocations")
    return str(next(alloc["ID"] for alloc in allocs if alloc["ClientStatus"] == "running"))


def test_why_it_does_not_answer(user: User) -> None:
    name = "infinite-test-why"
    wrong = {"name": name, "settings": TOO_LATE}
    done = user.run("provision", plain=True, fails=True, databases=[wrong], database_timeout=6)
    assert f"{name} at {name}." in done.err
    assert "did not answer within 6 s" in done.err
    assert "Nomad says: " in done.err
    assert WORDS in done.err, "the server's own reason"
    assert len(done.problems) == 1
    # Asked for what there is, the same database comes up.
    assert f"{name}: updated" in user.run("provision", databases=[{"name": name, "settings": {}}]).out


def test_all_bad_descriptions_in_one_pass(user: User) -> None:
    databases: list[Any] = [
        {"name": ""},
        {"name": "a" * 64},
        {"name": "MyDb"},
        {"name": "my db"},
        {"name": "my'db"},
        {"name": "../x"},
        {"name": "$(id)"},
        {"name": "{{7*7}}"},
        {"name": "${env}"},
        {"name": "my\ndb"},
        {"name": "-mydb"},
        {"name": "1db"},
        {"name": "dätabase"},
        {"name": "postgres"},
        {"name": "template1"},
        {"name": "infinite-test-twice"},
        {"name": "infinite-test-twice"},
        {"name": "infinite-test-memory", "memory": "much"},
        {"name": "infinite-test-key", "colour": "blue"},
        {"name": "infinite-test-version", "version": "9"},
    ]
    # An address where nothing listens: descriptions are checked before any API is asked.
    closed = {"nomad_address": "https://127.0.0.1:1", "database_images": {"17": "image"}}
    done = user.run("provision", plain=True, fails=True, databases=databases, **closed)
    assert len(done.problems) == 1
    assert done.err.startswith("19 problems, nothing was changed: ")
    located = re.findall(r"databases\[(\d+)\](\.\w+)?: ", done.err)
    assert sorted(int(place) for place, _key in located) == [*range(15), 16]
    for key in ("memory.memory", "key: unknown key", "version.version"):
        assert f"; infinite-test-{key}" in done.err, "what has a name is called by it"


@pytest.mark.parametrize("name", ["", "{{7*7}}", "$(id)", "a\nb", "x" * 64])
def test_a_bad_name_alone(user: User, name: str) -> None:
    done = user.run("provision", plain=True, fails=True, db=name, nomad_address="https://127.0.0.1:1")
    assert done.err.startswith("1 problem, nothing was changed: databases[0].name: ")
    assert len(done.problems) == 1


def test_by_collection_name_from_anywhere(user: User, first: str, tmp_path: Path) -> None:
    env = {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections")}
    done = user.run("infinite.databases.provision", cwd=tmp_path, env=env, db=first)
    assert done.changed == 0


def test_no_database_asked_for(user: User) -> None:
    done = user.changes_nothing(lambda: user.run("provision", databases=[]))
    assert "No database was named" in done.out


def test_what_no_node_has_room_for_is_said_at_once(user: User) -> None:
    name = "infinite-test-huge"
    wanted = {"db": name, "memory": 9_000_000, "memory_max": 9_000_000}
    try:
        for check in ([], ["--check"]):
            refused = user.changes_nothing(partial(user.run, "provision", *check, plain=True, fails=True, **wanted))
            assert f"no node has room for {name} (9000000 MiB and 5 MHz): infinite-" in refused.err
        user.run("provision", db=name, memory=64, memory_max=256)
        job = user.client.job.get(name)
        start = time.monotonic()
        changed = user.run("provision", plain=True, fails=True, db=name, memory=9_000_000, memory_max=9_000_000)
        assert time.monotonic() - start < 15
        assert (
            f"job {name}: no node can take it: group postgres: memory (exhausted on 1 nodes); it reserves 9000000 MiB"
            in changed.err
        )
        assert user.query(name, "select 1") == 1
        assert user.client.job.get(name)["JobModifyIndex"] == job["JobModifyIndex"]
        assert user.run("provision", db=name).changed == 0, "what was refused is not remembered"
    finally:
        user.run("destroy", db=name, purge=True)
