# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Secrets whose values are known, and the places where somebody might see them.

What is told is where, and the secret's name; never its value.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadNotFound
from tests.support.environments import HERE
from tests.support.faults import Faults
from tests.support.user import NODE

FOLDER = Path(__file__).resolve().parent
# Base64 of a string that is somewhere in another has one of three forms, apart from its ends.
ALIGNMENTS = 3


def forms(value: str) -> list[str]:
    """How a secret may be written: as it is, and within base64."""
    encoded = [base64.b64encode(b"x" * shift + value.encode()).decode() for shift in range(ALIGNMENTS)]
    return [value, *(one[4:-4] for one in encoded)]


class Secrets(dict[str, str]):
    """By name."""

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self)})"

    def add(self, name: str, value: str) -> None:
        assert len(value) >= 16, f"{name} is too short to be looked for"
        if value not in self.values():
            self[name] = value

    def add_key(self, name: str, pem: str) -> None:
        """Of a key in PEM each line but a short last one and those around it."""
        for number, line in enumerate(line for line in pem.split() if len(line) >= 40 and "-" not in line):
            self.add(f"{name}, line {number + 1}", line)

    def add_environment(self, faults: Faults) -> None:
        """What site.yml has made."""
        for file in ("nomad-bootstrap.token", "nomad-provisioner.token", "nomad-gossip.key", "web.password"):
            if (HERE.state / file).exists():
                self.add(file, (HERE.state / file).read_text().strip())
        for key in HERE.state.rglob("*.key"):
            self.add_key(str(key.relative_to(HERE.state)), key.read_text())
        traefik = "cat $(pgrep traefik | sed 's,.*,/proc/&/environ,') | tr '\\0' '\\n' | sed -n 's/^NOMAD_TOKEN=//p'"
        self.add_identities("Traefik", faults.host.shell(traefik))
        files = "for one in /var/lib/nomad/alloc/*/*/secrets/nomad_token; do cat $one; echo; done"
        self.add_identities("a job", faults.host.shell(files))

    def add_identities(self, whose: str, tokens: str) -> None:
        """Of each its signature: the rest only says who somebody is."""
        for token in tokens.split():
            self.add(f"workload identity {len(self)} of {whose}", token.rpartition(".")[2])

    def add_database(self, faults: Faults, name: str) -> None:
        """All passwords that it has at this moment, and the keys of their verifiers."""
        for role, login in json.loads(faults.variable(f"databases/{name}")["logins"]).items():
            for which in ("current", "next", "ending"):
                one = login if which == "current" else login.get(which)
                if one:
                    self.add(f"password {len(self)} of {name}, {role}", one["password"])
        for login, verifier in faults.verifiers(name).items():
            for key in verifier.rpartition("$")[2].split(":"):
                self.add(f"verifier's key {len(self)} of {name}, {login}", key)

    def within(self, text: str) -> list[str]:
        return [name for name, value in self.items() if any(form in text for form in forms(value))]


class Watch:
    """The arguments of all processes of the controller, and arguments and environments of the node's, while it lasts."""

    def __init__(self, node: bool = True) -> None:
        self.node = node

    def __enter__(self) -> Watch:
        program = (FOLDER / "processes.py").read_text()
        commands = {"arguments on the controller": [sys.executable, "-c", program]}
        if self.node:
            commands["arguments and environments on the node"] = ["docker", "exec", "-i", NODE, "python3", "-c", program, "environ"]
        self.files = {place: tempfile.TemporaryFile("w+") for place in commands}  # noqa: SIM115
        self.processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=self.files[place]) for place, command in commands.items()
        ]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self.processes:
            process.communicate()

    def texts(self) -> dict[str, str]:
        """What was seen, once it is over."""
        found: dict[str, str] = {}
        for place, file in self.files.items():
            file.seek(0)
            found |= {f"{place}, {number}": json.loads(line)["text"] for number, line in enumerate(file)}
        return found


def of_every_job(faults: Faults) -> dict[str, str]:
    """All that the job API says, to somebody who may read all of it."""
    texts: dict[str, Any] = {}
    for namespace in faults.client.endpoint("namespaces").get():
        name = {"namespace": namespace["Name"]}
        for stub in faults.client.jobs.get(**name):
            where = f"job {stub['ID']}"
            job = faults.client.job.get(stub["ID"], **name)
            texts[where] = job
            for part in ("versions", "allocations", "evaluations", "deployments", "summary"):
                texts[f"{where}, {part}"] = faults.client.job.get(stub["ID"], part, **name)
            try:
                texts[f"{where}, submission"] = faults.client.job.get(stub["ID"], "submission", version=job["Version"], **name)
            except NomadNotFound:
                continue
        for kind in ("allocations", "evaluations", "deployments", "services", "vars"):
            texts[f"{kind} of {namespace['Name']}"] = faults.client.endpoint(kind).get(**name)
        for stub in faults.client.endpoint("allocations").get(**name):
            texts[f"allocation {stub['ID']}"] = faults.client.endpoint("allocation").get(stub["ID"], **name)
    texts["agent"] = faults.client.endpoint("agent/self").get()
    texts["nodes"] = faults.client.endpoint("nodes").get()
    return {f"job API, {where}": json.dumps(found) for where, found in texts.items()}


def of_the_logs(faults: Faults) -> dict[str, str]:
    """The journal has Docker's and Nomad's, those of the allocations Traefik's and PostgreSQL's."""
    pieces = faults.host.shell("find /var/lib/nomad/alloc/*/alloc/data /var/log -type f ! -path '*/journal/*'").split()
    return {
        "journal": faults.host.shell("journalctl --no-pager --output verbose"),
        "docker logs": faults.host.shell("for one in $(docker ps -aq); do docker logs $one 2>&1 || true; done"),
        "docker inspect": faults.host.shell("docker ps -aq | xargs -r docker inspect"),
        **{f"log {piece}": faults.host.shell(f"cat {piece} 2>/dev/null || true") for piece in pieces},
    }


def readable(secrets: Secrets, controller: Sequence[str], node: Sequence[str], since: float) -> list[str]:
    """Which files that others may read have which secrets, none of which is older than that (seconds since 1970)."""
    program = (FOLDER / "readable.py").read_text()
    names = [name for name, value in secrets.items() for _form in forms(value)]
    strings = "".join(f"{form}\n" for value in secrets.values() for form in forms(value))
    commands = {
        "controller": [sys.executable, "-c", program, str(since), *controller],
        "node": ["docker", "exec", "-i", NODE, "python3", "-c", program, str(since), *node],
    }
    found = []
    for place, command in commands.items():
        if place == "node" and not node:
            continue
        done = subprocess.run(command, input=strings, check=True, capture_output=True, text=True)
        lines = [line.split("\t") for line in done.stdout.splitlines()]
        found += [f"{place}: {path} has {names[int(number)]}" for path, number in lines]
    return sorted(set(found))


def seen(texts: Mapping[str, str], secrets: Secrets) -> list[str]:
    """Which texts have which secrets."""
    return [f"{where} has {name}" for where, text in texts.items() for name in secrets.within(text)]
