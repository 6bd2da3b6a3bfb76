# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tokens that have expired or are too weak change nothing; and what the provisioner's is refused.

It is no wall between whoever has it and the nodes all the same: docs/security.md says how a job gets past what is refused here.

Wrong and missing tokens are in tests/integration/databases/test_errors.py; what each policy allows and refuses, request by request,
is in tests/integration/test_nomad_policies.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadDenied, NomadError
from tests.support.environments import HERE
from tests.support.faults import Faults

NAME, NEW = "infinite-test-guarded", "infinite-test-never"
INTRUDER = "intruder"
# The shortest life that Nomad gives a token.
LIFETIME = 60


@pytest.fixture(scope="module")
def name(faults: Faults) -> Iterator[str]:
    faults.run("provision", db=NAME)
    yield NAME
    faults.erase([NAME])


@pytest.fixture
def token(faults: Faults, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """A function that makes a token of a policy, and a file with its secret."""
    tokens, made = faults.client.endpoint("acl/token"), []

    def make(policy: str, **more: Any) -> str:
        new = tokens.put(json={"Name": "infinite-test", "Type": "client", "Policies": [policy], **more})
        made.append(new["AccessorID"])
        path = tmp_path / new["AccessorID"]
        path.write_text(new["SecretID"])
        return str(path)

    yield make
    for accessor in made:
        tokens.delete(accessor)


def refused(faults: Faults, verb: str, name: str, token_file: str) -> str:
    """What is said, once it is seen that nothing was changed."""
    before = faults.login(NAME)
    done = faults.changes_nothing(lambda: faults.run(verb, plain=True, fails=True, db=name, nomad_token_file=token_file))
    assert faults.login(NAME) == before
    return str(done.err)


@pytest.mark.quick
def test_control_what_is_changed_once(faults: Faults) -> None:
    """A change that a second attempt would not make again is noticed."""
    path = f"nomad/jobs/{NEW}"

    def act() -> None:
        if not faults.variable(path):
            faults.client.variables.write(path, {"wanted": "nothing"})

    try:
        with pytest.raises(AssertionError):
            faults.changes_nothing(act)
        faults.changes_nothing(act)
    finally:
        faults.client.variables.delete(path)


@pytest.mark.quick
def test_a_token_that_is_too_weak(faults: Faults, name: str, token: Callable[..., str]) -> None:
    reader = token("reader")
    for verb, whom in (("provision", NEW), ("destroy", name), ("rotate", name)):
        said = refused(faults, verb, whom, reader)
        assert "(Permission denied): the token's policies do not allow it" in said, said
        assert said.count("\n") == 1, said


def test_an_expired_token(faults: Faults, name: str, token: Callable[..., str]) -> None:
    brief = token("provisioner", ExpirationTTL=f"{LIFETIME}s")
    # The control: it is good for all of it, as long as it lives.
    faults.run("rotate", db=name, nomad_token_file=brief)
    faults.run("rotate", db=name, end=True, nomad_token_file=brief)
    time.sleep(LIFETIME)
    for verb, whom in (("provision", NEW), ("destroy", name), ("rotate", name)):
        said = refused(faults, verb, whom, brief)
        assert "does not know this token" in said, said
        assert said.count("\n") == 1, said


@pytest.fixture
def provisioner(faults: Faults) -> NomadClient:
    """Nomad, as who provisions databases may use it."""
    return NomadClient(faults.connection | {"nomad_token_file": str(HERE.state / "nomad-provisioner.token")})


def intruder(image: str, driver: str = "docker", **config: Any) -> dict[str, Any]:
    """A job that shows /etc/shadow of the host in its log, if it can."""
    how = {"command": "/bin/sh", "args": ["-c", "cat /etc/shadow; sleep 600"]}
    docker = {"image": image, "entrypoint": ["/bin/sh", "-c", "cat /host/etc/shadow; sleep 600"]}
    task = {
        "Name": INTRUDER,
        "Driver": driver,
        "Config": (docker if driver == "docker" else how) | config,
        "Resources": {"CPU": 20, "MemoryMB": 16},
        "RestartPolicy": {"Attempts": 0, "Mode": "fail"},
    }
    group = {
        "Name": INTRUDER,
        "Tasks": [task],
        "RestartPolicy": {"Attempts": 0, "Mode": "fail"},
        "ReschedulePolicy": {"Attempts": 0, "Unlimited": False},
    }
    return {"ID": INTRUDER, "Name": INTRUDER, "Namespace": "databases", "Type": "service", "TaskGroups": [group]}


def outcome(provisioner: NomadClient, job: dict[str, Any]) -> str:
    """Why Nomad, or the driver, refused it; or ``running``."""
    try:
        provisioner.jobs.put(json={"Job": job})
    except NomadError as error:
        return str(error)
    deadline = time.monotonic() + 40
    try:
        while time.monotonic() < deadline:
            for alloc in provisioner.job.get(INTRUDER, "allocations"):
                state = (alloc["TaskStates"] or {}).get(INTRUDER) or {"Events": []}
                events: dict[str, str] = {event["Type"]: event["DisplayMessage"] for event in state["Events"]}
                if "Started" in events or "Driver Failure" in events:
                    return events.get("Driver Failure", "running")
            time.sleep(0.3)
        pytest.fail("it was neither refused nor started")
    finally:
        provisioner.job.delete(INTRUDER, purge="true")


BIND = {"type": "bind", "source": "/", "target": "/host"}
WAYS: dict[str, tuple[dict[str, Any], str]] = {
    "volumes": ({"volumes": ["/:/host"]}, "volumes are not enabled"),
    "mount": ({"mount": [BIND]}, "volumes are not enabled"),
    "privileged": ({"privileged": True}, "privileged mode is disabled"),
    "cap_add": ({"cap_add": ["sys_admin"]}, "does not allow the following capabilities: sys_admin"),
}


def test_control_a_job_without_a_wish(faults: Faults, provisioner: NomadClient) -> None:
    """What is refused below is refused for what it wishes."""
    assert outcome(provisioner, intruder(faults.known["database_images"]["17"])) == "running"


@pytest.mark.parametrize("way", WAYS)
def test_what_the_driver_refuses(faults: Faults, provisioner: NomadClient, way: str) -> None:
    config, reason = WAYS[way]
    assert reason in outcome(provisioner, intruder(faults.known["database_images"]["17"], **config))


@pytest.mark.parametrize("driver", ["raw_exec", "exec", "java", "qemu"])
def test_no_other_driver(provisioner: NomadClient, driver: str) -> None:
    assert f'driver "{driver}" is not allowed in namespace "databases"' in outcome(provisioner, intruder("", driver))


@pytest.mark.parametrize(("path", "namespace"), [("nomad/jobs/traefik", "platform"), ("endings", "databases")])
def test_no_other_secret(provisioner: NomadClient, path: str, namespace: str) -> None:
    with pytest.raises(NomadDenied):
        provisioner.variables.read(path, namespace=namespace)
