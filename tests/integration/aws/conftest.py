# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An AWS of the tests' own (tests/support/aws), which every test finds empty."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from tests.support.aws.account import Account, Module
    from tests.support.aws.server import Aws

Playbook = Callable[..., subprocess.CompletedProcess[str]]
Play = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def aws_server() -> Iterator[Aws]:
    from tests.support.aws.server import Aws

    with Aws() as server:
        yield server


@pytest.fixture
def aws(aws_server: Aws) -> Aws:
    """Empty, with no call counted and no fault waiting."""
    aws_server.reset()
    return aws_server


@pytest.fixture
def playbook(aws: Aws) -> Playbook:
    """Run ansible-playbook as a user does; ``code`` is what it must exit with."""

    def run(*args: str, code: int | None = 0, timeout: float = 600, **extra: str) -> subprocess.CompletedProcess[str]:
        env = aws.environ(os.environ) | extra
        command = ["ansible-playbook", *args]
        done = subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True, timeout=timeout)
        if code is not None and done.returncode != code:
            pytest.fail(f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    return run


@pytest.fixture
def play(playbook: Playbook, tmp_path: Path) -> Play:
    """Run tasks on localhost, and return their results; a task that fails does not end the play."""

    def run(tasks: list[dict[str, Any]], *args: str, defaults: dict[str, Any] | None = None, **extra: str) -> list[dict[str, Any]]:
        results = tmp_path / "results.json"
        names = [f"result_{number}" for number in range(len(tasks))]
        book = [task | {"register": name, "ignore_errors": True} for task, name in zip(tasks, names, strict=True)]
        content = f"{{{{ [{', '.join(names)}] | to_json }}}}"
        save = {"ansible.builtin.copy": {"dest": str(results), "content": content, "mode": "0600"}, "check_mode": False}
        head = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [*book, save]}
        head["module_defaults"] = {"group/infinite.databases.aws": defaults or {}}
        path = tmp_path / "playbook.yml"
        path.write_text(json.dumps([head]))
        interpreter = ("-e", "ansible_python_interpreter={{ ansible_playbook_python }}")
        playbook("-i", "localhost,", *interpreter, "--diff", *args, str(path), **extra)
        return list(json.loads(results.read_text()))

    return run


@pytest.fixture
def account(aws: Aws) -> Account:
    from tests.support.aws.account import Account

    return Account(aws)


@pytest.fixture
def zone(account: Account) -> str:
    """A public zone, example.com."""
    return account.zone("example.com")


@pytest.fixture
def module(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Module:
    from ansible_collections.infinite.databases.plugins.module_utils._route53.record import SPEC
    from tests.support.aws.account import caller

    return caller(aws, SPEC, monkeypatch)


@pytest.fixture
def info(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Module:
    from ansible_collections.infinite.databases.plugins.module_utils._route53.record_info import SPEC
    from tests.support.aws.account import caller

    return caller(aws, SPEC, monkeypatch)
