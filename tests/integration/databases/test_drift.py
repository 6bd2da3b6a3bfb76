# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What somebody else changed is reported by drift.yml --check, and put right by drift.yml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database import hosts_file
from ansible_collections.infinite.databases.plugins.module_utils.runner import with_defaults
from tests.support.user import ENVIRONMENT, PREFIX, User

from .meanwhile import Meanwhile

STALE = "infinite-test-stale"


def reroute(user: User, name: str, to: str) -> None:
    """Change the tags that Traefik routes by, as somebody with a token and an idea might: the job's digest stays."""
    job = user.client.job.get(name)
    for service in [s for group in job["TaskGroups"] for task in group["Tasks"] for s in task["Services"] or []]:
        service["Tags"] = [tag.replace(f"`{name}.{user.domain}`", f"`{to}.{user.domain}`") for tag in service["Tags"]]
    user.client.jobs.post(json={"Job": job})


def tags(user: User, name: str) -> str:
    found = user.client.job.get(name)["TaskGroups"][0]["Tasks"]
    return str([service["Tags"] for task in found for service in task["Services"] or []])


def test_a_changed_job_and_wrong_names_are_put_right(user: User) -> None:
    name, known = "infinite-test-drift", Path("/etc/hosts")
    user.run("provision", db=name)
    before = tags(user, name)
    reroute(user, name, "infinite-test-elsewhere")
    assert tags(user, name) != before
    lines = known.read_text().splitlines()
    ours = next(number for number, line in enumerate(lines) if line.endswith(f" {name}.{user.domain}"))
    lines[ours] = f"127.0.0.1 {STALE}.{user.domain}"
    known.write_text("\n".join(lines) + "\n")

    told = user.run("drift", "--check", plain=True)
    assert f"{name}: its job differed from its description; it would be updated." in told.out
    assert f"{STALE}.{user.domain}: its entry in the hosts file (127.0.0.1) would be changed." in told.out
    assert "infinite-test-elsewhere" in tags(user, name), "check mode changes nothing"
    assert STALE in known.read_text()

    mended = user.run("drift", plain=True)
    assert f"{name}: its job differed from its description; it was updated." in mended.out
    assert tags(user, name) == before
    assert STALE not in known.read_text()
    assert user.query(name, "select 1") == 1
    assert "nothing differs" in user.run("drift", plain=True).out


def test_a_database_made_meanwhile_keeps_its_name(user: User, tmp_path: Path) -> None:
    name = f"{PREFIX}drift-meanwhile"
    host, stale = f"{name}.{user.domain}", f"{STALE}.{user.domain}"
    assert host not in user.hosts()
    mark = {"marker": user.known["database_environment"], "address": user.known["database_address"]}
    assert hosts_file.SPEC.execute(with_defaults(hosts_file.ARGUMENT_SPEC, mark | {"names": [stale]}), False)["changed"]
    provision = ["ansible-playbook", "provision.yml", "-e", f"db={name}", "-e", f"environment_name={ENVIRONMENT}"]
    # The databases have been listed, and the hosts file is next.
    other = Meanwhile(tmp_path, "Remove routes that lead names elsewhere", provision)
    told = user.run("drift", plain=True, env=other.environ)
    other.check()
    assert f"{stale}: its entry in the hosts file" in told.out
    assert f"{host}: its entry" not in told.out
    assert stale not in user.hosts()
    assert host in user.hosts()
    assert user.query(name, "select 1") == 1


def test_a_version_that_is_no_longer_on_offer(user: User) -> None:
    """Its databases run on, and whatever needs no image of it goes on to work."""
    name = f"{PREFIX}drift-off"
    user.run("provision", db=name)
    version, images = user.variable(f"databases/{name}")["version"], user.known["database_images"]
    off: dict[str, Any] = {"database_images": {"99": images[version]}}
    started = user.query(name, "select pg_postmaster_start_time()")
    told = user.run("drift", plain=True, **off)
    assert f"{name}: its job was not compared, since there is no image of PostgreSQL {version} here; add the version to" in told.out
    assert user.query(name, "select pg_postmaster_start_time()") == started
    assert f"{name}: restarted, and answers again." in user.run("restart", plain=True, db=name, **off).out
    assert user.query(name, "select pg_postmaster_start_time()") > started
    refused = user.run("provision", plain=True, fails=True, db=name, memory=72, **off)
    assert f"Nothing was changed: {name}: there is no image of PostgreSQL {version} here; add the version to" in refused.err


def test_the_hosts_file_is_let_alone_where_that_was_said(user: User) -> None:
    """As text, as `-e database_manage_hosts_file=false` gives it."""
    name = f"{PREFIX}drift-alone"
    alone: dict[str, Any] = {"database_manage_hosts_file": "false"}
    user.run("provision", db=name)
    for verb in ("provision", "drift", "expire", "purge"):
        of: dict[str, Any] = {"db": name} if verb in ("provision", "purge") else {}
        user.run(verb, **alone, **of)
        assert f"{name}.{user.domain}" in user.hosts(), verb
    user.erase([name])


def test_a_stopped_database_stays_stopped(user: User) -> None:
    name = "infinite-test-resting"
    user.run("provision", db=name)
    user.run("destroy", db=name)
    assert user.run("drift").changed == 0
    with pytest.raises(psycopg.OperationalError):
        user.query(name, "select 1")
    assert f"{name}.{user.domain}" in user.hosts(), "its name waits for it"
