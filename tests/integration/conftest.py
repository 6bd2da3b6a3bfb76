# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real Nomad for the tests: the one that NOMAD_ADDR names, else that of the tests' own environment.

Everything happens in a namespace of the tests' own, which is removed before and after. The token must be a management token.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadNotFound
from tests.support.environments import HERE

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "test-modules"

Task = dict[str, Any]
Play = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def environment() -> dict[str, Any]:
    if "NOMAD_ADDR" not in os.environ:
        HERE.make()
        return HERE.connection()
    return {"nomad_address": os.environ["NOMAD_ADDR"], "nomad_token": os.environ.get("NOMAD_TOKEN"), "database_images": {}} | (
        {"nomad_ca_cert": os.environ["NOMAD_CACERT"]} if "NOMAD_CACERT" in os.environ else {}
    )


@pytest.fixture(scope="session")
def connection(environment: dict[str, Any]) -> dict[str, Any]:
    """The connection options of the modules."""
    return {key: value for key, value in environment.items() if key.startswith("nomad_")} | {"nomad_namespace": NAMESPACE}


@pytest.fixture(scope="session")
def image(environment: dict[str, Any]) -> str:
    """An image that the node has: registries may be out of reach. It needs a shell and no more."""
    given = os.environ.get("INFINITE_TEST_IMAGE") or next(iter(environment["database_images"].values()), None)
    if not given:
        pytest.fail("set INFINITE_TEST_IMAGE to an image with /bin/sh that the node has")
    return str(given)


@pytest.fixture(scope="session")
def client(connection: dict[str, Any]) -> NomadClient:
    return NomadClient(connection)


def clean(client: NomadClient) -> None:
    """Remove whatever the tests (or an earlier, interrupted run of them) left."""
    try:
        client.endpoint("namespace").get(NAMESPACE)
    except NomadNotFound:
        pass
    else:
        for job in client.jobs.get(namespace=NAMESPACE):
            client.job.delete(job["ID"], namespace=NAMESPACE, purge="true")
        for variable in client.variables.list(namespace=NAMESPACE):
            client.variables.delete(variable["Path"], namespace=NAMESPACE)
        for volume in client.volumes.list(namespace=NAMESPACE):
            wait_until_unused(client, volume["ID"])
            client.volumes.delete(volume["ID"], namespace=NAMESPACE)
        client.endpoint("namespace").delete(NAMESPACE)
    for policy in client.endpoint("acl/policies").get():
        if policy["Name"].startswith("test-"):
            client.endpoint("acl/policy").delete(policy["Name"])
    for token in client.endpoint("acl/tokens").get():
        if token["Name"].startswith("test-"):
            client.endpoint("acl/token").delete(token["AccessorID"])


def wait_until_unused(client: NomadClient, volume_id: str) -> None:
    """A purged job's allocations stop a moment later."""
    index = "0"
    for _attempt in range(60):
        response = client.endpoint("volume/host").send("get", volume_id, namespace=NAMESPACE, index=index, wait="1s")
        if not response.json().get("Allocations"):
            return
        index = response.headers["X-Nomad-Index"]


@pytest.fixture(scope="session")
def namespace(client: NomadClient) -> Iterator[str]:
    clean(client)
    client.endpoint("namespace").put(NAMESPACE, json={"Name": NAMESPACE, "Description": "integration tests"})
    yield NAMESPACE
    clean(client)


@pytest.fixture
def play(connection: dict[str, Any], namespace: str, tmp_path: Path) -> Play:
    """Run tasks by ansible-playbook, and return their results; a task that fails does not end the play."""

    def run(tasks: list[Task], defaults: dict[str, Any] | None = None, **keywords: Any) -> list[dict[str, Any]]:
        results = tmp_path / "results.json"
        names = [f"result_{number}" for number in range(len(tasks))]
        book = [task | {"register": name, "ignore_errors": True} for task, name in zip(tasks, names, strict=True)]
        content = f"{{{{ [{', '.join(names)}] | to_json }}}}"
        book.append({"ansible.builtin.copy": {"dest": str(results), "content": content, "mode": "0600"}})
        head = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": book}
        groups = {"module_defaults": {"group/infinite.databases.nomad": connection if defaults is None else defaults}}
        playbook = tmp_path / "playbook.yml"
        playbook.write_text(json.dumps([head | groups | keywords]))
        quiet = {name: value for name, value in os.environ.items() if not name.startswith("NOMAD_")}
        command = ["ansible-playbook", "-i", "localhost,", "-e", "ansible_python_interpreter={{ ansible_playbook_python }}"]
        done = subprocess.run([*command, "--diff", str(playbook)], cwd=ROOT, env=quiet, check=False, capture_output=True, text=True)
        if done.returncode != 0 or not results.exists():
            pytest.fail(f"{done.stdout}\n{done.stderr}")
        return list(json.loads(results.read_text()))

    return run
