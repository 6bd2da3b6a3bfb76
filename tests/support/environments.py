# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The environments that tests run in. Each has its own node, network and ports; tests never use the user's environment.

Each worker of pytest-xdist has one: tests-1, tests-2 and so on. It is made when the first test asks for it, and stays for the next
run. INFINITE_TEST_ENVIRONMENT names another.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
STATES = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "infinite.databases"
# The directories whose files make a node what it is.
SOURCES = ("playbooks", "plugins", "roles")


@dataclass(frozen=True)
class Environment:
    """An environment. The number at the end of its name, or 0, decides its network and ports."""

    name: str
    nodes: int = 1
    # Whether the first node is the only server, and no client.
    apart: bool = False
    # Whether databases are backed up. Each backup takes some seconds of a processor, so most tests do without.
    backups: bool = False

    @property
    def number(self) -> int:
        found = re.search(r"\d+$", self.name)
        return int(found[0]) if found else 0

    @property
    def port(self) -> int:
        return 17432 + self.number

    @property
    def web_port(self) -> int:
        return self.port + 100

    @property
    def network(self) -> str:
        """What its addresses begin with."""
        return f"172.30.{60 + self.number}"

    def address(self, node: int = 1) -> str:
        return f"{self.network}.{10 + node}"

    @property
    def node(self) -> str:
        return f"infinite-{self.name}"

    @property
    def names(self) -> list[str]:
        """Its nodes'."""
        return [self.node] if self.nodes == 1 else [f"{self.node}-{number}" for number in range(1, self.nodes + 1)]

    @property
    def state(self) -> Path:
        return STATES / self.name

    @property
    def inventory(self) -> str:
        """Write the inventory, and return its path. It stays beside the environment's state, for use by hand."""
        path = self.state.with_name(f"{self.name}.inventory.yml")
        variables: dict[str, Any] = {
            "environment_name": self.name,
            "environment_domain": f"{self.name}.localhost",
            "environment_port": self.port,
            "environment_web_port": self.web_port,
            "admin_cidrs": [f"{self.network}.0/24"],
            "local_node_network": self.node,
            "local_node_subnet": f"{self.network}.0/24",
            "storage_size_gb": 5,
        }
        hosts = {
            "ansible_connection": "community.docker.docker",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_become": False,
            "nomad_advertise_address": "{{ local_node_address }}",
        }
        # Several nodes cannot all be reached by this machine's own address, and each needs volumes of its own.
        if self.backups:
            variables["backup_directory"] = "/srv/backups"
        if self.nodes > 1:
            variables["database_pool_size"] = {"17": 6}
            hosts["environment_node_address"] = "{{ local_node_address }}"
        addresses = {name: {"local_node_address": self.address(number)} for number, name in enumerate(self.names, 1)}
        servers = self.names[:1] if self.apart else self.names
        clients = self.names[1:] if self.apart else self.names
        groups = {"nomad_servers": {"hosts": dict.fromkeys(servers)}, "nomad_clients": {"hosts": dict.fromkeys(clients)}}
        group = {"vars": hosts, "hosts": addresses, "children": groups}
        content = {"all": {"vars": variables, "children": {"infinite_hosts": group}}}
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return str(path)

    def play(self, *playbooks: str, options: Sequence[str] = ()) -> str:
        """Run playbooks with the inventory of the nodes, and return their output. Users of the environment need no inventory."""
        command = ["ansible-playbook", "-i", self.inventory, *(f"infinite.databases.{name}" for name in playbooks), *options]
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def connection(self) -> dict[str, Any]:
        """Return the content of connection.yml, with the management token in place of the token for provisioning."""
        known: dict[str, Any] = yaml.safe_load((self.state / "connection.yml").read_text())
        return known | {"nomad_token_file": str(self.state / "nomad-bootstrap.token")}

    def is_there(self) -> bool:
        """Return whether the node runs."""
        if not (self.state / "connection.yml").exists():
            return False
        inspect = ["docker", "inspect", "--format", "{{.State.Running}}", self.names[0]]
        return subprocess.run(inspect, check=False, capture_output=True, text=True).stdout.strip() == "true"

    def is_ready(self) -> bool:
        """Return whether the node runs, answers, and was made by the files of this checkout."""
        made_by = self.state / "tests.digest"
        if not (self.is_there() and made_by.exists() and made_by.read_text() == digest()):
            return False
        try:
            socket.create_connection((self.address(), self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def make(self) -> None:
        """Make the environment, or bring it up to date with this checkout."""
        if not self.is_ready():
            with first_alone():
                self.play("local_up", "site")
            (self.state / "tests.digest").write_text(digest())

    def remove(self) -> None:
        self.play("local_down")


@cache
def digest() -> str:
    """Return a digest of all files that make a node what it is, at this process's first look."""
    found = hashlib.sha256()
    for path in sorted(path for source in SOURCES for path in (ROOT / source).rglob("*") if path.is_file()):
        if path.suffix != ".pyc":
            found.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


@contextmanager
def first_alone() -> Iterator[None]:
    """Make the first node of a checkout alone. It fills the controller's cache, so the others need not build the same."""
    STATES.mkdir(mode=0o700, parents=True, exist_ok=True)
    filled = STATES / f"tests-{digest()[:12]}.filled"
    with (STATES / "tests.filling").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if filled.exists():
            fcntl.flock(lock, fcntl.LOCK_UN)
        yield
        filled.touch()


def chosen() -> Environment:
    """Return the environment of this process."""
    worker = re.fullmatch(r"gw(\d+)", os.environ.get("PYTEST_XDIST_WORKER", ""))
    return Environment(os.environ.get("INFINITE_TEST_ENVIRONMENT") or f"tests-{int(worker[1]) + 1 if worker else 1}")


HERE = chosen()
