# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The end of databases: stopped with everything kept, or erased, or neither."""

from __future__ import annotations

import os
import pty
import re
import select
import time
from contextlib import suppress
from functools import partial

import psycopg
import pytest

from tests.support.user import ENVIRONMENT, ROOT, User


def test_destroy_keeps_and_purge_erases(user: User) -> None:
    name = "infinite-test-life"
    user.run("provision", db=name)
    user.query(name, "create table kept as select 42 as answer")
    url, record = user.url(name), user.variable(f"databases/{name}")

    stopped = user.run("destroy", plain=True, db=name)
    assert f"{name}: destroyed. Its data and credentials are kept for 7d" in stopped.out
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=5)
    kept = user.variable(f"databases/{name}")
    assert abs(int(kept.pop("destroyed")) - time.time()) < 60, "it is noted when"
    assert kept == record
    assert re.search(rf"(?m)^{name} +destroyed ", user.run("list", plain=True).out)
    again = user.run("destroy", db=name)
    assert again.changed == 0
    assert "was already destroyed" in again.out

    user.run("provision", db=name)
    assert "destroyed" not in user.variable(f"databases/{name}")
    assert user.url(name) == url
    assert user.query(name, "select answer from kept") == 42

    foretold = user.changes_nothing(lambda: user.run("destroy", "--check", db=name, purge=True))
    assert f"{name}: would be erased" in foretold.out
    erased = user.run("destroy", plain=True, db=name, purge="true")
    assert f"{name}: erased, with its data and credentials." in erased.out
    assert not user.has_job(name)
    assert user.variable(f"databases/{name}") == user.variable(f"nomad/jobs/{name}") == {}
    assert user.claims_of(name) == []
    assert record["volume"] not in {volume["Name"] for volume in user.client.volumes.list()}
    assert f"{name}.{user.domain}" not in user.hosts()
    assert f"There is no database '{name}'" in user.run("url", plain=True, fails=True, db=name).err

    gone = user.run("destroy", db=name, purge=True)
    assert gone.changed == 0
    assert f"{name}: there is no such database; see `list`" in gone.out


def at_a_terminal(command: list[str], answer: str) -> tuple[int, str]:
    """Type the answer to the question: what is typed before Ansible reads is lost. The exit status, and all that was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execvp(command[0], command)  # noqa: S606, as the others are, but at a terminal
    shown = b""
    # Linux: the end of the other side is an error.
    with suppress(OSError):
        while True:
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 4096)
            elif b"for ever" in shown:
                os.write(terminal, answer.encode() + b"\r")
    _pid, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), " ".join(shown.decode().split())


def test_erasing_is_asked_for(user: User) -> None:
    """At a terminal; where there is none, the environment's name has to be given. One that is not there needs no answer."""
    name = "infinite-test-asked"
    user.run("provision", db=name)
    for verb, given in (("purge", {}), ("destroy", {"purge": True})):
        refused = user.run(verb, plain=True, fails=True, db=name, confirm="", **given)
        assert (
            f"Nothing was erased: '' is not the environment's name. Type {ENVIRONMENT}, or add -e confirm={ENVIRONMENT}."
            in refused.err
        )
    command = ["ansible-playbook", "playbooks/purge.yml", "-e", f"db={name} environment_name={ENVIRONMENT}"]
    code, shown = at_a_terminal(command, "production")
    assert (code, "Nothing was erased: 'production' is not the environment's name." in shown) == (2, True)
    assert user.query(name, "select 1") == 1
    code, shown = at_a_terminal(command, ENVIRONMENT)
    assert (code, f"Environment {ENVIRONMENT}, https://" in shown, f"{name}: erased, with its data" in shown) == (0, True, True)
    assert user.variable(f"databases/{name}") == {}
    user.run("purge", db=name, confirm="")


def test_an_erased_name_starts_anew(user: User) -> None:
    name = "infinite-test-anew"
    user.run("provision", db=name)
    before, old = user.variable(f"databases/{name}"), user.login(name)
    user.query(name, "create table old ()")
    user.run("destroy", db=name, purge=True)
    user.run("provision", db=name)
    after = user.variable(f"databases/{name}")
    assert user.login(name)["password"] != old["password"]
    assert after["volume"] != before["volume"]
    assert user.query(name, "select count(*) from pg_tables where tablename = 'old'") == 0


def test_protect_refuses_both(user: User) -> None:
    name = "infinite-test-guarded"
    user.run("provision", db=name, protect=True)
    since = user.query(name, "select pg_postmaster_start_time()")
    for purge in ("false", "true"):
        done = user.changes_nothing(partial(user.run, "destroy", plain=True, fails=True, db=name, purge=purge))
        assert f"{name} is protected" in done.err
        assert len(done.problems) == 1
    # A later run that does not mention it leaves the protection as it is.
    assert user.run("provision", db=name).changed == 0
    user.run("destroy", plain=True, fails=True, db=name)
    user.run("provision", db=name, protect=False)
    assert user.query(name, "select pg_postmaster_start_time()") == since, "protection is no reason for a restart"
    assert "destroyed" in user.run("destroy", plain=True, db=name).out


def test_interrupted_erasing_is_finished_by_the_next(user: User) -> None:
    name = "infinite-test-half"
    user.run("provision", db=name)
    volume = user.variable(f"databases/{name}")["volume"]
    user.kill_when(user.start("destroy", db=name, purge=True), lambda: not user.claims_of(name))
    user.run("destroy", db=name, purge=True)
    assert user.variable(f"databases/{name}") == user.variable(f"nomad/jobs/{name}") == {}
    assert user.claims_of(name) == []
    assert volume not in {one["Name"] for one in user.client.volumes.list()}
    assert f"{name}.{user.domain}" not in user.hosts()
