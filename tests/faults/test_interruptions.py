# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs that are killed after each task in turn: run again they end as one that was let alone, and once more changes nothing.

INFINITE_FAULTS_SEED is which tasks the quick samples take. Runs of site.yml, which are long, are killed after each task that
changes something, as others leave what was there before; with INFINITE_FAULTS_EVERY_TASK=1 after each of all.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.databases.whole import orphans, state
from tests.support.environments import HERE
from tests.support.faults import INVENTORY, ROOT, Faults, playbook
from tests.support.user import Done

NAME = "infinite-test-cut"
DIE = "yes" if os.environ.get("INFINITE_FAULTS_EVERY_TASK") else "changed"
SEED = int(os.environ.get("INFINITE_FAULTS_SEED", "0")) or random.randrange(1, 1_000_000)
Extra = dict[str, Any]
MADE: tuple[str, Extra] = ("provision", {"db": NAME, "labels": {"cut": "yes"}})
CALLBACK = {"ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests/faults/callback_plugins"), "ANSIBLE_CALLBACKS_ENABLED": "die_after"}
STILL_WORKS = f"{NAME}: the old password of its role owner works until"


@dataclass(frozen=True)
class Verb:
    """A playbook on one database, and what is run before."""

    playbook: str
    extra: Extra
    before: list[tuple[str, Extra]] = field(default_factory=list)
    # How a run ends that finds all done, where it is not just without a change.
    refusal: str = ""


VERBS = {
    "provision": Verb(*MADE),
    "change": Verb("provision", {"db": NAME, "memory": 72, "settings": {"work_mem": "7MB"}}, [MADE]),
    "bring back": Verb(*MADE, [MADE, ("destroy", {"db": NAME})]),
    "rotate": Verb("rotate", {"db": NAME}, [MADE], STILL_WORKS),
    "rotate by label": Verb("rotate", {"labels": "cut=yes"}, [MADE]),
    "end the old password": Verb("rotate", {"db": NAME, "end": True}, [MADE, ("rotate", {"db": NAME})]),
    "destroy": Verb("destroy", {"db": NAME}, [MADE]),
    "purge": Verb("destroy", {"db": NAME, "purge": True}, [MADE]),
}
# Each has tasks that the others have, too.
QUICK = ("provision", "rotate by label", "purge")


def logins(faults: Faults) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(faults.variable(f"databases/{NAME}").get("logins", "{}"))
    return found


def passwords(faults: Faults) -> list[str]:
    """All that are valid, or will be."""
    return [one["password"] for login in logins(faults).values() for one in (login, login.get("next"), login.get("ending")) if one]


def outcome(faults: Faults) -> dict[str, Any]:
    """All that there is of the database, but for what is drawn by lot: two runs that end alike leave the same."""
    record = faults.variable(f"databases/{NAME}")
    found: dict[str, Any] = {"state": state(faults, NAME), "orphans": orphans(faults), "record": sorted(record)}
    found["hosts"] = [host for host in faults.hosts() if host.startswith(f"{NAME}.")]
    if not record:
        return found
    found |= {key: record[key] for key in ("spec", "version")}
    found["logins"] = {role: (login["user"], sorted(login)) for role, login in logins(faults).items()}
    found["verifiers"] = sorted(faults.verifiers(NAME))
    found["one volume"] = faults.claims_of(NAME) == [record["volume"]]
    job = json.dumps([faults.client.job.get(NAME)[key] for key in ("Stop", "Meta", "TaskGroups")], sort_keys=True)
    found["job"] = re.sub('infinite_digest=[^"]*', "", job.replace(record["volume"], "VOLUME"))
    if found["state"] == "running":
        found["taken by the server"] = faults.has_taken(NAME)
    return found


class Interrupted:
    """One verb, from the same beginning each time."""

    def __init__(self, faults: Faults, verb: Verb, tasks: Path) -> None:
        self.faults, self.verb, self.file = faults, verb, tasks
        self.begin()
        faults.end(self.start())
        self.tasks = tasks.read_text().splitlines()
        self.wanted = outcome(faults)
        assert self.wanted["orphans"] == []

    def start(self, **env: str) -> Any:
        return self.faults.start(self.verb.playbook, env=CALLBACK | env | {"INFINITE_TASKS": str(self.file)}, **self.verb.extra)

    def begin(self) -> None:
        self.faults.erase([NAME])
        for verb, extra in self.verb.before:
            self.faults.run(verb, **extra)

    def kill_after(self, task: str) -> None:
        self.file.write_text("".join(f"{one}\n" for one in self.tasks if one != task))
        run = self.start(INFINITE_DIE="yes")
        run.communicate(timeout=180)
        assert run.returncode == -signal.SIGKILL, f"not killed after {task}"
        assert self.file.read_text().splitlines()[-1] == task

    def again(self) -> Done | None:
        """None where it is refused, since there is nothing to do."""
        run = self.faults.start(self.verb.playbook, **self.verb.extra)
        if self.verb.refusal:
            out, err = run.communicate(timeout=180)
            if run.returncode != 0:
                assert self.verb.refusal in " ".join((out + err).split())
                return None
            return Done(0, out, err)
        return self.faults.end(run)

    def cut(self, task: str) -> bool:
        """Whether it was finished by the second run."""
        self.begin()
        self.kill_after(task)
        kept = set(passwords(self.faults))
        again = self.again()
        assert outcome(self.faults) == self.wanted
        assert kept <= set(passwords(self.faults)) or not self.wanted["record"] or self.verb.extra.get("end"), "a password was lost"
        third = self.faults.changes_nothing(self.again)
        assert third is None or third.changed == 0
        return bool(again and again.changed)


@pytest.mark.parametrize("verb", VERBS)
def test_killed_after_each_task(faults: Faults, verb: str, tmp_path: Path) -> None:
    interrupted = Interrupted(faults, VERBS[verb], tmp_path / "tasks")
    finished = [interrupted.cut(task) for task in interrupted.tasks]
    print(f"{verb}: killed after each of {len(finished)} tasks; {sum(finished)} times the next run had something to do")
    assert any(finished), "no kill interrupted anything"


@pytest.mark.quick
@pytest.mark.parametrize("verb", QUICK)
def test_killed_after_some_task(faults: Faults, verb: str, tmp_path: Path) -> None:
    print(f"INFINITE_FAULTS_SEED={SEED}")
    interrupted = Interrupted(faults, VERBS[verb], tmp_path / "tasks")
    # The first learns where the environment is, the last says what was done.
    task = random.Random(f"{SEED}{verb}").choice(interrupted.tasks[1:-1])
    print(f"{verb}: killed after {task}")
    interrupted.cut(task)


def as_json(found: Any) -> str:
    return json.dumps(found, sort_keys=True)


def environment_state(faults: Faults) -> dict[str, Any]:
    """What site.yml has made, but for keys, ids and times."""
    endpoint = faults.client.endpoint
    jobs = {}
    for stub in faults.client.jobs.get(namespace="*"):
        # Those that prepare volumes come and go, and so do the reaper's runs.
        if not stub["ID"].startswith("_pool-") and not stub.get("ParentID"):
            job = faults.client.job.get(stub["ID"], namespace=stub["Namespace"])
            jobs[stub["ID"]] = as_json([job[key] for key in ("Namespace", "Stop", "Periodic", "TaskGroups")])
    own = "/etc/nomad.d /etc/docker /etc/systemd/system /usr/local /var/lib/infinite.databases -maxdepth 3 -not -path '*/data/*'"
    # Docker makes key.json for itself.
    plain = "/etc/nomad.d/nomad.hcl /etc/docker /etc/systemd/system /usr/local/lib -type f -not -name key.json"
    volumes = [volume["Name"].partition("-")[0] for volume in faults.client.volumes.list()]
    return {
        "jobs": jobs,
        "namespaces": sorted(one["Name"] for one in endpoint("namespaces").get()),
        "policies": sorted(as_json(endpoint("acl/policy").get(one["Name"])["Rules"]) for one in endpoint("acl/policies").get()),
        "tokens": sorted(one["Name"] for one in endpoint("acl/tokens").get()),
        "variables": sorted({re.sub("^status/.*", "status/", one["Path"]) for one in faults.client.variables.list(namespace="*")}),
        "pool": {version: volumes.count(version) for version in set(volumes)},
        "images": sorted(faults.host.run("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()),
        "files": faults.host.shell(f"find {own} -printf '%p %m %u\\n' | sort").splitlines(),
        "contents": faults.host.shell(f"find {plain} -exec sha256sum {{}} + | sort").splitlines(),
        "controller": sorted((str(path.relative_to(HERE.state)), path.stat().st_mode) for path in HERE.state.rglob("*")),
        "connection": (HERE.state / "connection.yml").read_text(),
    }


def site(tasks: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | CALLBACK | {"INFINITE_TASKS": str(tasks), "INFINITE_DIE": DIE}
    command = ["ansible-playbook", "-i", INVENTORY, "site.yml"]
    return subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True, timeout=900)


def test_site_killed_after_each_task(faults: Faults, tmp_path: Path) -> None:
    """On a new node: each run goes on where the one before it was killed, until one comes to the end."""
    playbook("playbooks/local_down.yml")
    playbook("playbooks/local_up.yml", "site.yml")
    faults.renew()
    wanted = environment_state(faults)
    playbook("playbooks/local_down.yml")
    playbook("playbooks/local_up.yml")
    tasks, kills, began = tmp_path / "tasks", 0, time.monotonic()
    while (run := site(tasks)).returncode == -signal.SIGKILL:
        kills += 1
        print(f"killed after {tasks.read_text().splitlines()[-1]}")
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    print(f"site.yml: killed after each of {kills} tasks, {time.monotonic() - began:.0f} s")
    assert kills == len(tasks.read_text().splitlines()) > 30
    again = playbook("site.yml")
    assert set(re.findall(r"changed=(\d+)", again)) == {"0"}, again[-3000:]
    faults.renew()
    assert environment_state(faults) == wanted
    faults.run(MADE[0], **MADE[1])
    assert outcome(faults)["state"] == "running"


def test_control_of_an_environment(faults: Faults) -> None:
    """Something is missing, something is different, and something is there that should not be."""
    before = environment_state(faults)
    assert environment_state(faults) == before
    mode = faults.host.run("stat", "-c", "%a", "/etc/nomad.d/nomad.hcl").strip()
    faults.host.run("chmod", "666", "/etc/nomad.d/nomad.hcl")
    faults.host.run("mv", "/etc/docker/daemon.json", "/etc/docker/daemon.json.away")
    faults.client.endpoint("acl/token").put(json={"Name": "another", "Type": "client", "Policies": ["reader"]})
    try:
        after = environment_state(faults)
        assert {key for key, value in before.items() if after[key] != value} == {"files", "contents", "tokens"}
    finally:
        faults.host.run("chmod", mode, "/etc/nomad.d/nomad.hcl")
        faults.host.run("mv", "/etc/docker/daemon.json.away", "/etc/docker/daemon.json")
        for token in faults.client.endpoint("acl/tokens").get():
            if token["Name"] == "another":
                faults.client.endpoint("acl/token").delete(token["AccessorID"])
    assert environment_state(faults) == before


def record_with(faults: Faults, role: str, **changes: Any) -> None:
    record, found = faults.variable(f"databases/{NAME}"), logins(faults)
    found[role] |= changes
    faults.client.variables.write(f"databases/{NAME}", record | {"logins": json.dumps(found)})


def claim_another_volume(faults: Faults) -> None:
    free = [one["Name"] for one in faults.client.volumes.list() if not faults.variable(f"pool/{one['Name']}")]
    faults.client.variables.write(f"pool/{free[0]}", {"database": NAME})


def note_another_password(faults: Faults) -> None:
    record_with(faults, "rw", password="another")


def offer_another_password(faults: Faults) -> None:
    record_with(faults, "rw", next=logins(faults)["rw"])


def leave_credentials(faults: Faults) -> None:
    faults.client.variables.write(f"nomad/jobs/{NAME}-gone", {"wanted": ""})


def change_the_job(faults: Faults) -> None:
    job = faults.client.job.get(NAME)
    job["TaskGroups"][0]["Tasks"][0]["Env"]["CONTROL"] = "true"
    faults.client.jobs.put(json={"Job": job})


def stop_the_job(faults: Faults) -> None:
    faults.client.job.delete(NAME)


def lose_the_record(faults: Faults) -> None:
    faults.client.variables.delete(f"databases/{NAME}")


CONTROLS: list[Callable[[Faults], None]] = [
    claim_another_volume,
    note_another_password,
    offer_another_password,
    leave_credentials,
    change_the_job,
    stop_the_job,
    lose_the_record,
]


@pytest.mark.parametrize("harm", CONTROLS, ids=lambda harm: harm.__name__)
def test_control(faults: Faults, harm: Callable[[Faults], None]) -> None:
    """What an interrupted run might leave is noticed by the comparison."""
    faults.erase([NAME])
    faults.run(MADE[0], **MADE[1])
    before, record, claims = outcome(faults), faults.variable(f"databases/{NAME}"), set(faults.claims_of(NAME))
    assert outcome(faults) == before
    harm(faults)
    try:
        assert outcome(faults) != before
    finally:
        faults.client.variables.write(f"databases/{NAME}", record)
        for path in [f"nomad/jobs/{NAME}-gone", *(f"pool/{one}" for one in set(faults.claims_of(NAME)) - claims)]:
            faults.client.variables.delete(path)
