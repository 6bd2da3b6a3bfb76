# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What `why` says of a database that waits, that was out of memory, and that is stopped; what other verbs say of the second."""

from __future__ import annotations

import json
import re
import time
from threading import Thread

import psycopg
import pytest

from tests.support.user import User

NAME = "infinite-test-slow"
NOTICE = "out of memory once since its start: provision it with more memory_max"
SORT = "select count(*) from (select repeat('x', 1000) || n from generate_series(1, 900000) n order by 1) s"


@pytest.fixture(scope="module")
def name(user: User) -> str:
    user.run("provision", db=NAME)
    return NAME


def test_nothing_is_wrong(user: User, name: str) -> None:
    assert user.run("why", plain=True, db=name).out.splitlines() == [
        f"{name}: running",
        "Nobody waits for a lock, and no statement runs. Its server has not been restarted.",
    ]


def test_who_holds_a_lock(user: User, name: str) -> None:
    user.query(name, "create table if not exists locked (number int)")
    with user.connect(name) as holder, user.connect(name) as waiter:
        held_by, waits = holder.info.backend_pid, waiter.info.backend_pid
        holder.execute("begin")
        holder.execute("lock table locked")
        thread = Thread(target=waiter.execute, args=("lock table locked in share mode; select 1",))
        thread.start()
        time.sleep(0.5)
        text = user.run("why", plain=True, db=name).out
        found = json.loads(user.run("why", plain=True, db=name, output="json").out)
        holder.execute("rollback")
        thread.join()
    (waiting,) = found["waiting"]
    assert waiting["pid"] == waits
    assert [one["pid"] for one in waiting["holders"]] == [held_by]
    assert [one["pid"] for one in found["longest"]] == [held_by, waits]
    assert re.search(
        rf"Waits for a lock: process {waiting['pid']}, {name}, active, [0-9.]+ s, waits for Lock: relation: lock table", text
    )
    assert f"  held by process {held_by}, {name}, idle in transaction" in text


def test_out_of_memory(user: User, name: str) -> None:
    """More than memory_max in one process, which the kernel ends; the server goes on."""
    with pytest.raises(psycopg.OperationalError):
        user.query(name, f"set work_mem = '1GB'; {SORT}")
    deadline = time.monotonic() + 30
    while "Out of memory" not in (said := user.run("why", plain=True, db=name).out):
        assert time.monotonic() < deadline, said
        time.sleep(1)
    told = user.run("list", plain=True, db=name).out
    assert f"\n  {NOTICE}\n" in told, "the server answers again"
    assert f"state        running: {NOTICE}\n" in user.run("info", plain=True, db=name).out
    (one,) = json.loads(user.run("list", plain=True, db=name, output="json").out)["databases"]
    assert (one["state"], one["out_of_memory"], one["notice"]) == ("running", 1, NOTICE)
    assert f'infinite_database_out_of_memory_total{{database="{name}"}} 1' in user.run("metrics", plain=True).out.splitlines()
    assert re.search(r"Out of memory \d times?, last at [-0-9]+ [0-9:.]+ UTC: `provision` it with more `memory_max`\.", said)


def test_a_stopped_one(user: User, name: str) -> None:
    user.run("stop", db=name)
    said = user.run("why", plain=True, db=name).out
    user.run("start", db=name)
    assert "out of memory" not in user.run("list", plain=True, db=name).out, "this is another server"
    assert said.startswith(f"{name}: stopped\nSomebody asked for this. `start` brings the database back.\n")
