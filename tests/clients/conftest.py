# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A database in the local environment, and what clients are told of it."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database import hosts_file
from ansible_collections.infinite.databases.plugins.module_utils.runner import with_defaults
from tests.support.environments import HERE
from tests.support.user import User

from .client import CLIENTS

# Not the prefix of the other tests, which erase what has it.
NAME = "infinite-clients-test"
NOBODY = "infinite-clients-nobody"


@dataclass(repr=False)
class Target:
    """The URL, and the ways in which it may be wrong."""

    # What env.yml prints.
    variables: dict[str, str]
    ca: str
    address: str
    other_ca: str
    # What makes the CA one of the system's.
    trust: dict[str, str]

    @property
    def url(self) -> str:
        return self.variables["DATABASE_URL"]

    def but(self, **changes: str) -> str:
        """The URL with another host, password, database or ca."""
        parts = re.fullmatch(
            r"(?P<user>.*://.*):(?P<password>.*)@(?P<host>.*):(?P<port>\d+)/(?P<database>.*)\?(?P<rest>.*)", self.url
        )
        assert parts, "the URL has another form"
        known = parts.groupdict() | {"ca": self.ca} | changes
        rest = known["rest"].replace(f"sslrootcert={self.ca}", f"sslrootcert={known['ca']}")
        return "{user}:{password}@{host}:{port}/{database}?".format_map(known) + rest

    @property
    def nobody(self) -> str:
        """A host name that resolves and is no database's."""
        return self.but(host=self.variables["PGHOST"].replace(NAME, NOBODY))


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    if "NOMAD_ADDR" in os.environ:
        pytest.skip("needs the local environment: unset NOMAD_ADDR")
    HERE.make()
    environment = HERE.connection()
    # Two runs of these tests would use the same database.
    with (HERE.state / "clients.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        user = User(environment)
        user.erase([NAME])
        try:
            user.run("provision", db=NAME)
            known_host(f"{NOBODY}.{user.domain}", environment["database_address"])
            variables = dict(line.split("=", 1) for line in user.run("env", plain=True, db=NAME).out.splitlines())
            other_ca, trust = authorities(tmp_path_factory.mktemp("ca"), user.ca)
            yield Target(variables, user.ca, environment["database_address"], other_ca, trust)
        finally:
            known_host(f"{NOBODY}.{user.domain}", None)
            user.erase([NAME])


def known_host(name: str, address: str | None) -> None:
    """Under a mark of its own: drift.yml removes names that are no database's."""
    entry = {"names": [name], "address": address, "state": "present" if address else "absent", "marker": "clients-test"}
    result = hosts_file.SPEC.execute(with_defaults(hosts_file.ARGUMENT_SPEC, entry), False)
    assert not result.get("failed"), result["msg"]


def authorities(directory: Path, ca: str) -> tuple[str, dict[str, str]]:
    """A CA that signed nothing, and the variables that add the environment's CA to the system's, wherever a client looks."""
    subject = "-subj /CN=another -addext basicConstraints=critical,CA:TRUE"
    command = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout {directory}/key {subject}"
    other = f"{directory}/other.crt"
    subprocess.run([*command.split(), "-out", other], check=True, capture_output=True)
    trust = {"SSL_CERT_FILE": ca, "NODE_EXTRA_CA_CERTS": ca}
    if not CLIENTS["pgjdbc"].missing():
        store = f"{directory}/trust.p12"
        keytool = f"keytool -importcert -noprompt -alias ca -file {ca} -keystore {store} -storepass changeit"
        subprocess.run(keytool.split(), check=True, capture_output=True)
        trust["JAVA_TOOL_OPTIONS"] = f"-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword=changeit"
    return other, trust
