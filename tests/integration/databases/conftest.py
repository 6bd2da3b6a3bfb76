# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The local environment as its user sees it: playbooks, URLs and queries.

Databases are called test-*, those of other names are let alone. They are erased before and after all tests, in one call.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ansible_collections.infinite.databases.plugins.module_utils import database_pool, database_release, hosts_file
from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadNotFound
from ansible_collections.infinite.databases.plugins.module_utils.nomad import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.runner import with_defaults

ROOT = Path(__file__).resolve().parents[3]
# Those of another environment, where a test may fill the disk.
ENVIRONMENT = os.environ.get("INFINITE_TEST_ENVIRONMENT", "local")
NODE = os.environ.get("INFINITE_TEST_NODE", "infinite-node-1")
PREFIX = "infinite-test-"
# Enough that the tests rarely wait for the pool; what is left over is used by the environment's owner.
SPARE_VOLUMES = 20


@dataclass
class Done:
    """A finished playbook run."""

    code: int
    out: str
    err: str

    @property
    def changed(self) -> int:
        """From the recap."""
        return int(self.out.rpartition("changed=")[2].split()[0])


def workers(pid: int) -> list[int]:
    """A process's descendants. proc(5), /proc/pid/stat, fields 1 and 4."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for parent in found:
        found += [child for child, of in parents.items() if of == parent]
    return found[1:]


class User:
    """Somebody with a checkout and the local environment."""

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
        """ansible-playbook VERB.yml, in a process group of its own so that it can be killed whole."""
        playbook = verb if "." in verb else f"{verb}.yml"
        named = {} if ENVIRONMENT == "local" else {"environment_name": ENVIRONMENT}
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
        """SIGKILL a run and what does its tasks: Ansible's workers are in sessions of their own and would finish theirs."""
        if process.poll() is None:
            os.kill(process.pid, signal.SIGSTOP)
            for pid in [*workers(process.pid), process.pid]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.communicate()

    def url(self, name: str) -> str:
        return self.run("url", plain=True, db=name).out.removesuffix("\n")

    def login(self, name: str, role: str = "owner") -> dict[str, Any]:
        """The current user and password of a role, from the record."""
        found: dict[str, Any] = json.loads(self.variable(f"databases/{name}")["logins"])[role]
        return found

    def verifiers(self, name: str) -> dict[str, str]:
        """What the database's job reads of each login."""
        lines = [line.split() for line in self.variable(f"nomad/jobs/{name}")["wanted"].splitlines()]
        return {line[2]: line[3] for line in lines if line[0] == "login"}

    def connect(
        self, name: str, role: str = "owner", login: dict[str, Any] | None = None, connect_timeout: int | None = None
    ) -> psycopg.Connection[tuple[Any, ...]]:
        """By what Nomad has recorded; test_url checks that the URL says the same. Or with a login of before."""
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
        """The first column of the first row, if there is one."""
        with self.connect(name, role, login) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index]

    def as_superuser(self, name: str, sql: str) -> str:
        """Over the server's own socket, as an administrator of the node would."""
        running = [alloc for alloc in self.client.job.get(name, "allocations") if alloc["ClientStatus"] == "running"]
        server = f"postgres-{running[0]['ID']}"
        return self.node("docker", "exec", server, "psql", "-h", "/tmp", "-XAtc", sql, "postgres").strip()

    @staticmethod
    def node(*command: str) -> str:
        return subprocess.run(["docker", "exec", NODE, *command], check=True, capture_output=True, text=True).stdout

    def variable(self, path: str) -> dict[str, str]:
        """Its items; empty where it does not exist."""
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
        """Volumes that are claimed for a database."""
        paths = [stub["Path"] for stub in self.client.variables.list("pool/")]
        return [path.removeprefix("pool/") for path in paths if self.variable(path).get("database") == name]

    def everything(self) -> dict[str, Any]:
        """All jobs, volumes and variables, and the version of each."""
        return {
            "jobs": {job["ID"]: job["JobModifyIndex"] for job in self.client.jobs.get()},
            "volumes": {volume["ID"] for volume in self.client.volumes.list()},
            "variables": {stub["Path"]: stub["ModifyIndex"] for stub in self.client.variables.list()},
            "hosts": self.hosts(),
        }

    @staticmethod
    def hosts() -> set[str]:
        """The tests' host names that the hosts file knows."""
        names = Path("/etc/hosts").read_text().split()
        return {name for name in names if name.startswith(PREFIX)}

    def changes_nothing(self, act: Callable[[], Any]) -> Any:
        """Do it once, and see that nothing is different but what the environment does by itself, and others in other ones."""
        self.let_the_reaper_pass()
        before = self.everything()
        result = act()
        after = self.everything()
        for state in (before, after):
            # The reaper's runs and the pool's.
            state["jobs"] = {job: index for job, index in state["jobs"].items() if not job.startswith(("_reaper/", "_pool-"))}
            state["hosts"] = {host for host in state["hosts"] if host.endswith(f".{self.domain}")}
        assert before == after
        return result

    @staticmethod
    def let_the_reaper_pass(ahead: float = 0) -> None:
        """Where it, which comes every ten minutes, would do before us what we do so many seconds from now: begin later."""
        left = 600 - (time.time() + ahead) % 600
        if left < 30:
            time.sleep(left + 2)

    def erase(self, names: Iterable[str]) -> None:
        """Whatever state they are in."""
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


@pytest.fixture(scope="session")
def user(environment: dict[str, Any]) -> Iterator[User]:
    if "database_domain" not in environment:
        pytest.skip("needs the local environment: unset NOMAD_ADDR")
    # One run of these tests at a time.
    lock = Path(environment["nomad_token_file"]).with_name("tests.lock")
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        user = User(environment)
        user.erase_all()
        fill = {
            "size": {"17": SPARE_VOLUMES},
            "images": environment["database_images"],
            "pool_job": (ROOT / "roles/database/files/pool.nomad.hcl").read_text(),
            "wait": False,
            "wait_timeout": 60,
        }
        filled = database_pool.SPEC.execute(user.connection | fill, False)
        assert not filled.get("failed"), filled["msg"]
        yield user
        user.erase_all()


@pytest.fixture(scope="session")
def first(user: User) -> str:
    """A database that is there."""
    user.run("provision", db="infinite-test-first")
    return "infinite-test-first"
