# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Breaks an environment, and the host that it runs on."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tests.support.environments import HERE
from tests.support.user import NODE, User

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = HERE.inventory
KEEP = bool(os.environ.get("INFINITE_FAULTS_KEEP"))
MOUNT = "/var/lib/infinite.databases/data"


def playbook(*names: str, inventory: str = INVENTORY) -> str:
    """Run playbooks with the inventory of the nodes, and return their output. Users of the environment need no inventory."""
    done = subprocess.run(["ansible-playbook", "-i", inventory, *names], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


class NoAnswer(Exception):
    """A database did not come back."""


class Node:
    """The host that all databases are on."""

    def run(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(["docker", "exec", NODE, *command], check=False, capture_output=True, text=True, errors="replace")
        assert not check or done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def shell(self, script: str, check: bool = True) -> str:
        return self.run("sh", "-c", script, check=check)

    def reboot(self) -> None:
        subprocess.run(["docker", "restart", NODE], check=True, capture_output=True)
        deadline = time.monotonic() + 60
        while self.shell("systemctl is-system-running || true").strip() not in ("running", "degraded"):
            assert time.monotonic() < deadline, "the node did not start"
            time.sleep(0.5)

    def pids(self, pattern: str) -> list[int]:
        """Return the processes whose command line matches."""
        return [int(line) for line in self.run("pgrep", "-f", pattern, check=False).split()]

    def kill(self, pid: int) -> None:
        self.run("kill", "-KILL", str(pid))


class Faults(User):
    """A user of the environment who can also break it."""

    def __init__(self, known: dict[str, Any]) -> None:
        super().__init__(known)
        self.host = Node()

    def nomads_certificate(self) -> str:
        """Return the certificate (PEM) that Nomad shows its clients. It is not verified."""
        address = urlsplit(self.known["nomad_address"])
        assert address.hostname
        assert address.port
        return ssl.get_server_certificate((address.hostname, address.port), timeout=10)

    def opener(self, name: str) -> Callable[[], psycopg.Connection[Any]]:
        """Return a function that connects to the database, and needs neither Nomad nor anything else."""
        return partial(self.connect, name, login=self.login(name), connect_timeout=5)

    def alloc(self, name: str) -> dict[str, Any]:
        """Return the allocation that runs the database. Nomad may record it a moment after the database answers."""
        deadline = time.monotonic() + 20
        while True:
            running = [alloc for alloc in self.client.job.get(name, "allocations") if alloc["ClientStatus"] == "running"]
            if len(running) == 1:
                return dict(running[0])
            assert time.monotonic() < deadline, running
            time.sleep(0.2)

    def replaced(self, name: str, former: str) -> None:
        """Wait until another allocation than ``former`` runs the database."""
        deadline = time.monotonic() + 60
        while [one["ID"] for one in self.client.job.get(name, "allocations") if one["ClientStatus"] == "running"] in ([], [former]):
            assert time.monotonic() < deadline, f"{name} is still run by {former}"
            time.sleep(0.2)

    def has_taken(self, name: str) -> bool:
        """Return whether the server takes the right passwords and no others. It is given some seconds for this."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            # The database may answer before Nomad has recorded that it runs.
            if self.is_running(name):
                has = self.as_superuser(name, "select rolname, rolpassword from pg_authid where rolpassword is not null")
                if dict(line.split("|") for line in has.splitlines()) == self.verifiers(name):
                    return True
            time.sleep(0.2)
        return False

    def container(self, name: str) -> str:
        return f"postgres-{self.alloc(name)['ID']}"

    def postmaster(self, name: str) -> int:
        """Return the process id of the database's server on the node."""
        init = self.host.run("docker", "inspect", "--format", "{{.State.Pid}}", self.container(name)).strip()
        return int(self.host.run("pgrep", "-P", init, "-x", "postgres").split()[0])

    def answers_within(self, open_: Callable[[], psycopg.Connection[Any]], seconds: float) -> float:
        """Wait until the database answers, and return how many seconds that took."""
        began = time.monotonic()
        while True:
            try:
                with open_() as connection:
                    connection.execute("select 1")
                return time.monotonic() - began
            except psycopg.Error as error:
                if time.monotonic() - began > seconds:
                    raise NoAnswer(f"no answer within {seconds} s") from error
                time.sleep(0.1)

    @contextmanager
    def traefik_with(self, old: str, new: str, name: str) -> Iterator[None]:
        """Run Traefik with ``new`` in place of ``old`` in its job. Wait each time until the database ``name`` answers."""
        job = self.client.job.get("traefik", namespace="platform")
        other = json.loads(json.dumps(job).replace(old, new))
        assert other != job, f"Traefik's job does not say {old}"
        self._change_traefik(other, name)
        try:
            yield
        finally:
            self._change_traefik(job, name)

    def _change_traefik(self, job: dict[str, Any], name: str) -> None:
        former = self.host.pids("traefik --configFile")
        self.client.jobs.put(json={"Job": job}, namespace="platform")
        deadline = time.monotonic() + 60
        while self.host.pids("traefik --configFile") in ([], former):
            assert time.monotonic() < deadline, "Traefik was not replaced"
            time.sleep(0.2)
        self.answers_within(self.opener(name), 30)

    def log(self, name: str) -> dict[int, str]:
        """Return the pieces of the server's log in this allocation. Each start begins a piece, and two are kept."""
        logs = f"/var/lib/nomad/alloc/{self.alloc(name)['ID']}/alloc/data"
        pieces = sorted(int(piece) for piece in self.host.shell(f"ls {logs} | sed -n 's/^postgres[.]stderr[.]//p'").split())
        return {piece: self.host.run("cat", f"{logs}/postgres.stderr.{piece}") for piece in pieces}

    def log_since(self, name: str, before: dict[int, str]) -> str:
        return "".join(text.removeprefix(before.get(piece, "")) for piece, text in self.log(name).items())

    def renew(self) -> None:
        """Read the connection again, after the environment was made again."""
        vars(self).update(vars(connected()))


def connected() -> Faults:
    return Faults(HERE.connection())
