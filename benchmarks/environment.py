# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The environment that is measured: its playbooks, its node, its API, and the databases that measurements leave."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.infinite.databases.plugins.module_utils._database import claim as database_claim
from ansible_collections.infinite.databases.plugins.module_utils._database import record as database_record
from ansible_collections.infinite.databases.plugins.module_utils._database.description import connection_url
from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import CLAIMS, RECORDS, Pool, PoolState
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils._nomad.hcl import job_text
from ansible_collections.infinite.databases.plugins.module_utils.runner import with_defaults
from benchmarks.report import wait_quiet

ROOT = Path(__file__).resolve().parents[1]
ROLE = ROOT / "roles" / "database"
# The names of all databases of measurements begin with this. A measurement erases its databases, or else the next one does.
PREFIX = "infinite-bench-"
VERSION = "17"
PLAYBOOK_SECONDS = 600


class BenchError(Exception):
    """Says what could not be measured, why, and what to do."""


@dataclass(frozen=True)
class Run:
    """A finished run of ansible-playbook."""

    seconds: float
    # The processor time of the command itself, without the work that it causes on the node.
    processor_seconds: float
    changed: int


class Environment:
    def __init__(self, name: str, inventory: str, node: str) -> None:
        self.name, self.inventory, self.node_name = name, inventory, node
        state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
        self.state_dir = Path(state, "infinite.databases", name)
        try:
            self.connection: dict[str, Any] = yaml.safe_load((self.state_dir / "connection.yml").read_text())
        except OSError as error:
            raise BenchError(f"Environment '{name}' is not set up ({error}); run `make provision db=mydb` first") from None
        self.domain: str = self.connection["database_domain"]
        self.port: int = self.connection["database_port"]
        self.ca_cert: str = self.connection["database_ca_cert"]
        self.images: dict[str, str] = self.connection["database_images"]
        self.defaults: dict[str, Any] = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
        variables = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
        self.database_defaults: dict[str, Any] = variables["__database_own_defaults"] | {"allowed_cidrs": []}
        self.namespace: str = self.defaults["database_namespace"]
        self.api = {key: value for key, value in self.connection.items() if key.startswith("nomad_")}
        self.api["nomad_namespace"] = self.namespace

    @cached_property
    def client(self) -> NomadClient:
        return NomadClient(self.api)

    @cached_property
    def pool_job(self) -> str:
        return job_text(ROLE / "files" / "pool.nomad.hcl")

    def playbook(self, path: str, **extra: Any) -> Run:
        """Run a playbook as a user does, with the output that a user gets. Measure from the command's start to its exit."""
        # A user's shell does not have these variables.
        ours = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "ANSIBLE_STDOUT_CALLBACK")
        env = {key: value for key, value in os.environ.items() if key not in ours}
        command = ["ansible-playbook", "-i", self.inventory, path]
        if extra:
            command += ["-e", json.dumps(extra)]
        wait_quiet()
        start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=PLAYBOOK_SECONDS)
        seconds = time.perf_counter() - start
        if done.returncode != 0:
            raise BenchError(f"{' '.join(command)[:200]} failed:\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
        return Run(seconds, processor, sum(int(count) for count in re.findall(r"changed=(\d+)", done.stdout)))

    def provision(self, names: Sequence[str], **extra: Any) -> Run:
        if len(names) == 1:
            return self.playbook("provision.yml", db=names[0], **extra)
        return self.playbook("provision.yml", databases=[{"name": name} for name in names], **extra)

    def node(self, *command: str, stdin: str | None = None) -> str:
        """Run a command on the node and return what it prints."""
        done = subprocess.run(
            ["docker", "exec", *(["-i"] if stdin is not None else []), self.node_name, *command],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode != 0:
            raise BenchError(f"{' '.join(command)[:200]} failed on {self.node_name}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def record(self, name: str) -> dict[str, Any]:
        return database_record.read_record(self.client, name)

    def url(self, name: str) -> str:
        return connection_url(self.record(name), self.domain, self.port, self.ca_cert)

    def claim(self, name: str) -> dict[str, Any]:
        """Claim credentials and a prepared volume, without making the database."""
        params = self.api | {
            "databases": [{"name": name}],
            "default_version": VERSION,
            "images": self.images,
            "pool_job": self.pool_job,
        }
        done = database_claim.run(with_defaults(database_claim.ARGUMENT_SPEC, params), False)
        record: dict[str, Any] = done["databases"][0]
        return record

    # The pool

    @cached_property
    def pool(self) -> Pool:
        return Pool(self.client, self.images, self.pool_job)

    def wait_pool(self, seconds: float = 300) -> PoolState:
        """Wait until no volume is being prepared any more, and return the pool's state."""
        deadline = time.monotonic() + seconds
        while (state := self.pool.read()).having("preparing"):
            if time.monotonic() > deadline:
                raise BenchError(f"The pool was not full within {seconds:g} s; see `make list`")
            time.sleep(0.3)
        return state

    def fill_pool(self, count: int | None = None) -> None:
        """Prepare ``count`` volumes, or as many as by default, and wait until they are ready."""
        self.wait_pool()
        extra = {} if count is None else {"database_pool_size": {VERSION: count}}
        self.playbook("benchmarks/playbooks/pool.yml", **extra)
        self.wait_pool()

    def drain_pool(self) -> None:
        """Remove the prepared volumes. Each is claimed first, so that no database gets it meanwhile."""
        client = self.client

        def remove(volume: Any) -> None:
            client.variables.write(CLAIMS + volume.name, {"database": PREFIX + "drained"}, cas=0)
            client.volumes.delete(volume.id)
            client.variables.delete(CLAIMS + volume.name)

        values(client.map(remove, self.wait_pool().having("ready")))

    # The end

    def names(self) -> list[str]:
        """Return the databases that measurements have left."""
        paths = (stub["Path"] for stub in self.client.variables.list(prefix=RECORDS + PREFIX))
        return sorted(path.removeprefix(RECORDS) for path in paths)

    def purge(self) -> None:
        """Erase all databases of measurements."""
        if names := self.names():
            self.playbook("playbooks/purge.yml", db=names, confirm=self.name)
