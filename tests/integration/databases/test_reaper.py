# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is past its time ends, by the reaper (as Nomad runs it: started out of turn, judged by what is left) and by expire.yml."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ansible_collections.infinite.databases.plugins.module_utils._services.reaper import KEPT_RUNS
from tests.support.environments import HERE
from tests.support.user import User

JOB = "_reaper"
PREFIX = "infinite-test-reap-"
BRIEF, KEPT, GONE, FRESH = (PREFIX + name for name in ("brief", "kept", "gone", "fresh"))
PLAY = Path(__file__).with_name("reaper.yml")


@dataclass
class Reaper:
    """The installed job."""

    user: User

    def runs(self) -> dict[str, dict[str, Any]]:
        """Those that Nomad remembers, the last one last."""
        jobs: list[dict[str, Any]] = self.user.client.jobs.get(prefix=f"{JOB}/periodic-")
        return {job["ID"]: job for job in sorted(jobs, key=lambda job: str(job["ID"]))}

    def start(self) -> str:
        """A run out of turn: its name has the second in which it began."""
        known = self.runs()
        # Two of the same second would be one.
        time.sleep(1.01 - time.time() % 1)
        self.user.client.job.put(f"{JOB}/periodic/force")
        deadline = time.monotonic() + 10
        while not (new := [run for run in self.runs() if run not in known]):
            assert time.monotonic() < deadline, "Nomad did not start it"
            time.sleep(0.1)
        return new[-1]

    def end(self, run: str) -> tuple[str, str, str]:
        """The allocation's state, and what it said."""
        deadline = time.monotonic() + 60
        while True:
            allocs = self.user.client.job.get(run, "allocations")
            if allocs and allocs[0]["ClientStatus"] in ("complete", "failed"):
                break
            assert time.monotonic() < deadline, f"{run} did not end"
            time.sleep(0.2)
        files = self.user.client.endpoint("client/fs/cat")
        said = (files.send("get", allocs[0]["ID"], path=f"alloc/data/reaper.{kind}.0").text for kind in ("stdout", "stderr"))
        return allocs[0]["ClientStatus"], *said

    def run(self) -> str:
        state, out, err = self.end(self.start())
        assert (state, err) == ("complete", ""), out
        return out


@pytest.fixture(scope="module")
def reaper(user: User) -> Reaper:
    """As this checkout has it: the one of an earlier site.yml may be older."""
    user.run(str(PLAY), "-i", HERE.inventory)
    return Reaper(user)


@pytest.fixture(scope="module")
def made(user: User, reaper: Reaper) -> float:
    """When; by the end of this module a minute has passed."""
    user.let_the_reaper_pass(60)
    limited: dict[str, Any] = {"ttl": "1m"}
    user.run(
        "provision",
        databases=[
            {"name": BRIEF} | limited,
            {"name": KEPT, "protect": True} | limited,
            {"name": GONE},
            {"name": FRESH, "ttl": "1h"},
        ],
    )
    (found,) = json.loads(user.run("list", plain=True, output="json", db=BRIEF).out)["databases"]
    return float(found["created"])


def test_installing_it_again_changes_nothing(user: User, reaper: Reaper) -> None:
    assert user.run(str(PLAY), "-i", HERE.inventory).changed == 0


def test_only_its_own_job_has_its_rights(user: User, reaper: Reaper) -> None:
    policy = user.client.endpoint("acl/policy").get("reaper")
    assert policy["JobACL"] == {"Namespace": "databases", "JobID": JOB, "Group": "", "Task": ""}
    job = user.client.job.get(JOB)
    assert job["Periodic"]["ProhibitOverlap"]
    assert job["TaskGroups"][0]["Tasks"][0]["Config"]["network_mode"] == "none"
    assert "oken" not in json.dumps(job["TaskGroups"][0]["Tasks"][0]["Env"])


def works_for_long(user: User, name: str, login: dict[str, str]) -> bool:
    """Whether a login still works after ten seconds."""
    place: dict[str, Any] = {"host": f"{name}.{user.domain}", "port": user.known["database_port"], "dbname": name}
    tls: dict[str, Any] = {"sslmode": "verify-full", "sslrootcert": user.ca}
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            psycopg.connect(**place, **tls, user=login["user"], password=login["password"]).close()
        except psycopg.OperationalError:
            return False
        time.sleep(0.2)
    return True


def test_an_old_password_ends(user: User, reaper: Reaper, made: float) -> None:
    user.let_the_reaper_pass()
    user.run("rotate", db=FRESH)
    record = user.variable(f"databases/{FRESH}")
    logins = json.loads(record["logins"])
    old = logins["owner"]["ending"]
    logins["owner"]["ending"] = old | {"until": int(time.time()) - 1}
    user.client.variables.write(f"databases/{FRESH}", record | {"logins": json.dumps(logins)})
    assert f"{FRESH}: ended its old passwords, whose overlap was over\n" in reaper.run()
    assert user.query(FRESH, "select 1") == 1, "the new one works"
    assert old["user"] not in user.verifiers(FRESH)
    assert not works_for_long(user, FRESH, old)


def test_what_is_fresh_stays(user: User, reaper: Reaper, made: float) -> None:
    before = {path: user.variable(f"databases/{path}") for path in (GONE, FRESH, KEPT)}
    assert PREFIX not in reaper.run()
    assert {path: user.variable(f"databases/{path}") for path in before} == before
    assert user.query(FRESH, "select 1") == user.query(GONE, "select 1") == 1


def test_what_a_killed_run_left_goes(user: User, reaper: Reaper) -> None:
    """More of it, and by the playbook, in test_orphans.py."""
    user.client.variables.write(f"nomad/jobs/{PREFIX}never", {"wanted": ""})
    user.let_the_reaper_pass()
    assert f"{PREFIX}never: there is no such database; removed the credentials" in reaper.run()
    assert not user.variable(f"nomad/jobs/{PREFIX}never")


def test_finished_runs_are_forgotten(reaper: Reaper) -> None:
    started = [reaper.start() for _number in range(KEPT_RUNS + 2)]
    for run in started[-2:]:
        reaper.end(run)
    reaper.run()
    left = reaper.runs()
    assert len(left) <= KEPT_RUNS + 2, "itself and one that had just ended are no finished ones yet"
    assert set(started[:2]).isdisjoint(left), "the oldest go first"
    assert started[-1] in left, "whose log can still be read"


def expire(user: User, *args: str) -> tuple[list[str], ...]:
    """Which of these databases expire.yml says that it destroyed, erased, and ended old passwords of; others may be due as well."""
    said = user.run("expire", *args, plain=True).out
    kinds = re.search(r"^(?:Would have|Have) destroyed (.*), erased (.*), and ended old passwords of (.*)\.$", said, re.MULTILINE)
    assert kinds, said
    return tuple([name for name in kind.split(", ") if name.startswith(PREFIX)] for kind in kinds.groups())


def age(user: User, name: str) -> str:
    """Make a destroyed database one that was destroyed eight days ago; its volume."""
    record = user.variable(f"databases/{name}")
    assert abs(int(record["destroyed"]) - time.time()) < 120
    user.client.variables.write(f"databases/{name}", record | {"destroyed": str(int(time.time()) - 8 * 86400)})
    return record["volume"]


def is_gone(user: User, name: str, volume: str) -> bool:
    assert not user.has_job(name)
    assert user.variable(f"databases/{name}") == user.variable(f"nomad/jobs/{name}") == {}
    assert user.claims_of(name) == []
    return volume not in {one["Name"] for one in user.client.volumes.list()}


def test_past_its_time_by_two_at_once(user: User, reaper: Reaper, made: float) -> None:
    user.let_the_reaper_pass()
    user.run("destroy", db=GONE)
    volume = age(user, GONE)
    time.sleep(max(0, made + 61 - time.time()))
    assert expire(user, "--check") == ([BRIEF], [GONE], [])
    assert user.query(BRIEF, "select 1") == 1, "check mode changes nothing"

    runs = [reaper.start(), reaper.start()]
    said = "".join(reaper.end(run)[1] for run in runs)
    assert f"{BRIEF}: destroyed, because its ttl is over" in said
    assert f"{GONE}: erased, because it was destroyed longer than 7d ago\n" in said
    assert PREFIX not in reaper.run(), "what one of two at once left is done by the next"

    with pytest.raises(psycopg.OperationalError):
        user.connect(BRIEF)
    assert user.query(KEPT, "select 1") == 1, "what is protected stays"
    assert user.query(FRESH, "select 1") == 1
    assert is_gone(user, GONE, volume)
    # Which drift.yml then removes (test_drift.py): it would put the whole environment right here.
    assert f"{GONE}.{user.domain}" in user.hosts(), "a job cannot reach the hosts file of who provisions"


def test_past_its_time_by_the_playbook(user: User, made: float) -> None:
    user.let_the_reaper_pass()
    user.run("undestroy", db=BRIEF)
    assert user.query(BRIEF, "select 1") == 1, "what was destroyed comes back"
    assert expire(user) == ([], [], []), "its ttl counts anew"
    record = user.variable(f"databases/{BRIEF}")
    user.client.variables.write(f"databases/{BRIEF}", record | {"renewed": str(int(time.time()) - 61)})
    assert expire(user) == ([BRIEF], [], [])
    volume = age(user, BRIEF)
    assert expire(user) == ([], [BRIEF], [])
    assert is_gone(user, BRIEF, volume)
    assert f"{BRIEF}.{user.domain}" not in user.hosts()
    assert expire(user) == ([], [], [])
    assert user.query(KEPT, "select 1") == 1
