# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Environments of several nodes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import psycopg

from ansible_collections.infinite.databases.plugins.module_utils._nomad.node_info import read_ready
from tests.support.environments import Environment
from tests.support.faults import KEEP
from tests.support.user import User

T = TypeVar("T", bound="Cluster")


def on(node: str, script: str) -> str:
    """Run a shell script on the node, and return its output."""
    return subprocess.run(["docker", "exec", node, "sh", "-c", script], check=True, capture_output=True, text=True).stdout


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(1)


class Cluster(User):
    """A user of such an environment, with the management token."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        super().__init__(environment.connection())

    def start(self, verb: str, *args: str, **keywords: Any) -> subprocess.Popen[str]:
        return super().start(verb, *args, environment_name=self.environment.name, **keywords)

    def opener(self, name: str) -> Callable[[], psycopg.Connection[Any]]:
        return partial(self.connect, name, login=self.login(name), connect_timeout=5)

    def await_nodes(self) -> None:
        """Until all of the environment's are ready."""
        wanted = {"wait_nodes": self.environment.names, "wait_driver": None, "wait_servers": [], "wait_timeout": 120}
        read_ready(self.client, wanted)


@contextmanager
def made(environment: Environment, user: Callable[[Environment], T], *options: str) -> Iterator[T]:
    """The environment's user. It is made before and removed after, unless it is to be kept."""
    if not (KEEP and environment.is_there()):
        environment.remove()
        environment.play("local_up", "site", options=options)
    found = user(environment)
    found.erase_all()
    try:
        yield found
    finally:
        if KEEP:
            found.erase_all()
        else:
            environment.remove()
