# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""awx/configure.yml applied to a server that speaks as AWX does; the jobs that it holds are run as AWX runs them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.awx.controller import TOKEN, Controller

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ.get("INFINITE_TEST_ENVIRONMENT", "local")

Apply = Callable[..., str]


@pytest.fixture(scope="session")
def controller() -> Iterator[Controller]:
    controller = Controller()
    yield controller
    controller.close()


@pytest.fixture(scope="session")
def apply(controller: Controller) -> Apply:
    """Run awx/configure.yml with these settings, and return what it says."""
    if subprocess.run(["scripts/environment-ready"], cwd=ROOT, check=False, capture_output=True).returncode != 0:
        subprocess.run(["make", "up"], cwd=ROOT, check=True)

    def run(**settings: Any) -> str:
        settings = {"awx_execution_environment": "registry.test/infinite-databases:0.1.0", "awx_environment": ENVIRONMENT} | settings
        env = os.environ | {"CONTROLLER_HOST": controller.url, "CONTROLLER_OAUTH_TOKEN": TOKEN}
        command = ["ansible-playbook", "awx/configure.yml", "-e", json.dumps(settings)]
        done = subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.fail(f"{done.stdout}\n{done.stderr}")
        return done.stdout

    return run
