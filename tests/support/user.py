# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tests' environment as its user sees it: playbooks, URLs and queries. The names of tests' databases have a prefix."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database import hosts_file
from ansible_collections.infinite.databases.plugins.module_utils._database import release as database_release
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadNotFound
from ansible_collections.infinite.databases.plugins.module_utils.runner import with_defaults
from tests.support.environments import HERE

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT, NODE = HERE.name, HERE.node
PREFIX = "infinite-test-"


@dataclass
class Done:
    """A finished playbook run."""

    code: int
    out: str
    err: str

    @property
    def problems(self) -> list[str]:
        """Return the lines that say what is wrong, without those that say what is waited for."""
        return [line for line in self.err.splitlines() if not line.startswith("waiting for ")]

    @property
    def changed(self) -> int:
        """Return the number of changes in the recap."""
        return int(self.out.rpartition("changed=")[2].split()[0])


def workers(pid: int) -> list[int]:
    """Return the descendants of a process. proc(5), /proc/pid/stat, fields 1 and 4."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for parent in found:
        found += [child for child, of in parents.items() if of == parent]
    return found[1:]


class User:
    """A user with a checkout and an environment."""

    def __init__(self, known: dict[str, Any]) -> None:
        self.known = known
        self.domain: str = known["database_domain"]
        self.ca: str = known["database_ca_cert"]
        connection = {key: value for key, value in known.items() if key.startswith("nomad_")}
        self.connection = connection | {"nomad_namespace": "databases"}
        self.client = NomadClient(self.connection)

    def start(
        self, verb: str, *args: str, plain: bool = False, cwd: Path = ROOT, env: dict[str, str] | None = None, **extra: Any
    ) -> subprocess.Popen[str]:
        """Start ansible-playbook infinite.databases.VERB in its own process group, so that all of it can be killed."""
        playbook = verb if "." in verb else f"infinite.databases.{verb}"
        named = {"environment_name": ENVIRONMENT}
        if verb == "purge" or extra.get("purge"):
            named["confirm"] = ENVIRONMENT
        command = ["ansible-playbook", playbook, *args, "-e", json.dumps(named | extra)]
        callback = {"ANSIBLE_STDOUT_CALLBACK": "infinite.databases.plain"} if plain else {}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NOMAD_", "ANSIBLE_"))}
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=inherited | callback | (env or {}),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, verb: str, *args: str, fails: bool = False, **keywords: Any) -> Done:
        return self.end(self.start(verb, *args, **keywords), fails)

    @staticmethod
    def end(process: subprocess.Popen[str], fails: bool = False) -> Done:
        out, err = process.communicate(timeout=180)
        if (process.returncode != 0) != fails:
            pytest.fail(f"exit status {process.returncode}\n{out}\n{err}")
        return Done(process.returncode, out, err)

    def kill_when(self, process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
        """SIGKILL the whole run as soon as the condition holds."""
        while not condition():
            assert process.poll() is None, "the run ended before it could be interrupted"
            time.sleep(0.002)
        self.kill(process)

    @staticmethod
    def kill(process: subprocess.Popen[str]) -> None:
        """SIGKILL a run and its workers. The workers are in sessions of their own, and would otherwise finish their tasks."""
        if process.poll() is None:
            os.kill(process.pid, signal.SIGSTOP)
            for pid in [*workers(process.pid), process.pid]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.communicate()

    def url(self, name: str) -> str:
        return self.run("url", plain=True, db=name).out.removesuffix("\n")

    def login(self, name: str, role: str = "owner") -> dict[str, Any]:
        """Return the current user and password of a role, from the record."""
        found: dict[str, Any] = json.loads(self.variable(f"databases/{name}")["logins"])[role]
        return found

    def verifiers(self, name: str) -> dict[str, str]:
        """Return the verifier of each login, as the database's job reads it."""
        lines = [line.split() for line in self.variable(f"nomad/jobs/{name}")["wanted"].splitlines()]
        return {line[2]: line[3] for line in lines if line[0] == "login"}

    def connect(
        self, name: str, role: str = "owner", login: dict[str, Any] | None = None, connect_timeout: int | None = None
    ) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect with the login in the record (test_url checks that the URL has the same one), or with ``login``."""
        login = login or self.login(name, role)
        return psycopg.connect(
            host=f"{name}.{self.domain}",
            port=self.known["database_port"],
            dbname=name,
            user=login["user"],
            password=login["password"],
            sslmode="verify-full",
            sslrootcert=self.ca,
            connect_timeout=connect_timeout,
            autocommit=True,
        )

    def query(self, name: str, sql: str, role: str = "owner", login: dict[str, Any] | None = None) -> Any:
        """Return the first column of the first row, if there is one."""
        with self.connect(name, role, login) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index]

    def as_superuser(self, name: str, sql: str) -> str:
        """Query over the server's own socket, as an administrator of the node would."""
        running = [alloc for alloc in self.client.job.get(name, "allocations") if alloc["ClientStatus"] == "running"]
        server = f"postgres-{running[0]['ID']}"
        return self.node("docker", "exec", server, "psql", "-h", "/tmp", "-XAtc", sql, "postgres").strip()

    @staticmethod
    def node(*command: str) -> str:
        return subprocess.run(["docker", "exec", NODE, *command], check=True, capture_output=True, text=True).stdout

    def variable(self, path: str) -> dict[str, str]:
        """Return the items of a Nomad variable, or nothing if it does not exist."""
        try:
            items: dict[str, str] = self.client.variables.read(path)["Items"]
        except NomadNotFound:
            return {}
        return items

    def has_job(self, name: str) -> bool:
        return any(job["ID"] == name for job in self.client.jobs.get(prefix=name))

    def is_running(self, name: str) -> bool:
        return any(alloc["ClientStatus"] == "running" for alloc in self.client.job.get(name, "allocations"))

    def claims_of(self, name: str) -> list[str]:
        """Return the volumes that are claimed for a database."""
        paths = [stub["Path"] for stub in self.client.variables.list("pool/")]
        return [path.removeprefix("pool/") for path in paths if self.variable(path).get("database") == name]

    def everything(self) -> dict[str, Any]:
        """Return all jobs, volumes and variables with their versions, and the names in the hosts file."""
        return {
            "jobs": {job["ID"]: job["JobModifyIndex"] for job in self.client.jobs.get()},
            "volumes": {volume["ID"] for volume in self.client.volumes.list()},
            "variables": {stub["Path"]: stub["ModifyIndex"] for stub in self.client.variables.list()},
            "hosts": self.hosts(),
        }

    @staticmethod
    def hosts() -> set[str]:
        """Return the host names of tests' databases in the hosts file."""
        names = Path("/etc/hosts").read_text().split()
        return {name for name in names if name.startswith(PREFIX)}

    def changes_nothing(self, act: Callable[[], Any]) -> Any:
        """Do it, and check that it changed nothing. What the environment does by itself, and other environments, do not count."""
        self.let_the_reaper_pass()
        before = self.everything()
        result = act()
        after = self.everything()
        for state in (before, after):
            # The environment itself runs the jobs of the reaper and of the pool.
            state["jobs"] = {job: index for job, index in state["jobs"].items() if not job.startswith(("_reaper/", "_pool-"))}
            state["hosts"] = {host for host in state["hosts"] if host.endswith(f".{self.domain}")}
        assert before == after
        return result

    @staticmethod
    def let_the_reaper_pass(ahead: float = 0) -> None:
        """Wait for the reaper if it would run in ``ahead`` seconds. It comes every ten minutes, and would act before the test."""
        left = 600 - (time.time() + ahead) % 600
        if left < 30:
            time.sleep(left + 2)

    def erase(self, names: Iterable[str]) -> None:
        """Erase databases, whatever state they are in."""
        for name in names:
            record = self.variable(f"databases/{name}")
            if "protect" in record.get("spec", ""):
                self.client.variables.write(f"databases/{name}", record | {"spec": "{}"})
        release = {"names": list(names), "state": "erased", **self.connection}
        hosts = {
            "names": [f"{name}.{self.domain}" for name in names],
            "state": "absent",
            "marker": self.known["database_environment"],
        }
        removal = with_defaults(hosts_file.ARGUMENT_SPEC, hosts)
        for result in (database_release.SPEC.execute(release, False), hosts_file.SPEC.execute(removal, False)):
            assert not result.get("failed"), result["msg"]

    def erase_all(self) -> None:
        paths = [stub["Path"] for stub in self.client.variables.list("databases/" + PREFIX)]
        names = {path.removeprefix("databases/") for path in paths} | {host.partition(".")[0] for host in self.hosts()}
        self.erase(names)
        for path in [stub["Path"] for stub in self.client.variables.list("pool/")]:
            if self.variable(path).get("database", "").startswith(PREFIX):
                self.client.variables.delete(path)
        # A test that was killed may have left jobs without a record.
        for job in self.client.jobs.get(prefix=PREFIX):
            self.client.job.delete(job["ID"], purge="true")
