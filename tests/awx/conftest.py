# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""awx/configure.yml applied to a server that speaks as AWX does; the jobs that it holds are run as AWX runs them."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from tests.awx.comments import TOKEN as COMMENTS_TOKEN
from tests.awx.comments import Comments
from tests.awx.controller import TOKEN, Controller
from tests.awx.jobs import Awx, synchronise
from tests.support.environments import HERE

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = HERE.name
PREFIX = "awx-test-"
SETTINGS = {
    "awx_environment": ENVIRONMENT,
    "awx_execution_environment": "registry.test/infinite-databases:0.1.0",
    "awx_comments_token": COMMENTS_TOKEN,
    "awx_notification_url": "https://chat.test/hook",
    "awx_aws_access_key": "AKIATEST",
    "awx_aws_secret_key": "the-secret-key-of-the-tests",
    "awx_hosts_inventory": "inventories/aws",
    "awx_hosts_ssh_user": "root",
    "awx_hosts_ssh_key": "the-ssh-key-of-the-tests",
    "awx_hosts_state_dir": "/var/lib/infinite.databases",
}

Apply = Callable[..., str]


@pytest.fixture(scope="session")
def controller() -> Iterator[Controller]:
    controller = Controller()
    yield controller
    controller.close()


@pytest.fixture(scope="session")
def apply(controller: Controller) -> Apply:
    """Run awx/configure.yml with these settings, and return what it says."""
    HERE.make()

    def run(**settings: Any) -> str:
        env = os.environ | {"CONTROLLER_HOST": controller.url, "CONTROLLER_OAUTH_TOKEN": TOKEN}
        command = ["ansible-playbook", "awx/configure.yml", "-e", json.dumps(settings)]
        done = subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.fail(f"{done.stdout}\n{done.stderr}")
        return done.stdout

    return run


@pytest.fixture(scope="session")
def comments_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Comments)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/repos/acme/shop/issues/{{pr}}/comments"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def configured(apply: Apply, controller: Controller, comments_url: str) -> str:
    """The first run's output."""
    return apply(**SETTINGS, awx_comments_url=comments_url)


@pytest.fixture(scope="session")
def nomad() -> NomadClient:
    """As the environment's administrator."""
    known: dict[str, Any] = yaml.safe_load((HERE.state / "connection.yml").read_text())
    connection = {key: value for key, value in known.items() if key.startswith("nomad_")}
    return NomadClient(connection | {"nomad_token_file": str(HERE.state / "nomad-bootstrap.token"), "nomad_namespace": "databases"})


@pytest.fixture(scope="session")
def awx(controller: Controller, configured: str, tmp_path_factory: pytest.TempPathFactory) -> Awx:
    path = f"{ROOT}/.venv/bin:{os.environ['PATH']}"
    synchronised = tmp_path_factory.mktemp("synchronised")
    synchronise(synchronised, path)
    return Awx(controller, synchronised, tmp_path_factory.mktemp("jobs"), path)


def erase(nomad: NomadClient) -> None:
    """What the tests made, or an interrupted run of them."""
    names = [stub["Path"].removeprefix("databases/") for stub in nomad.variables.list(f"databases/{PREFIX}")]
    purge = ["ansible-playbook", "playbooks/purge.yml", "-e"]
    purge += [json.dumps({"db": ",".join(names), "environment_name": ENVIRONMENT, "confirm": ENVIRONMENT})]
    if names:
        subprocess.run(purge, cwd=ROOT, check=True, capture_output=True)


@pytest.fixture(scope="session")
def databases(nomad: NomadClient, configured: str) -> Iterator[None]:
    erase(nomad)
    yield
    erase(nomad)
