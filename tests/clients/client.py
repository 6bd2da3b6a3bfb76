# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The programs in the directories beside this file: what they need, how they are built and run."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "infinite.databases" / "clients"
PIP = f"{sys.executable} -m pip install --quiet --disable-pip-version-check --target lib --requirement requirements.txt"
PYTHON = f"env PYTHONPATH=lib {sys.executable} client.py"
# What a user's own shell may say of databases and of whom to trust.
FOREIGN = re.compile(r"PG[A-Z]|SSL_CERT_|NODE_EXTRA_CA_CERTS$|NODE_OPTIONS$|JAVA_TOOL_OPTIONS$|KRB5")


@dataclass(frozen=True)
class Client:
    """``needs`` are commands that tell a version, and the least that will do. ``slow`` is for `make test-all` only."""

    name: str
    run: str
    build: str = "true"
    needs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    # It trusts the system's CAs, begins with TLS (False: cannot, or not tried), and cancels a query (None: not tried).
    system: bool = True
    direct: bool = True
    cancels: bool | None = None
    slow: bool = False

    def missing(self) -> str:
        """What to install; '' if all is there."""
        for command, least in self.needs.items():
            wanted = f"`{command}` to say {'.'.join(map(str, least))} or newer"
            try:
                said = subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout
            except (OSError, subprocess.CalledProcessError):
                return wanted
            # Not the number of a colour, which Maven begins with.
            found = re.search(r"(?<![\[\d.])\d+(\.\d+)*", said)
            if not found or tuple(map(int, found[0].split("."))) < least:
                return wanted
        return ""

    def built(self) -> Path:
        """Where the program is, built once for its sources."""
        source = HERE / self.name
        # Which virtual environment's Python it is does not matter.
        command = self.build.replace(sys.executable, "python")
        digest = hashlib.sha256(f"{command} {sys.version} {platform.machine()}".encode())
        for file in sorted(path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            digest.update(f"{file.relative_to(source)} {file.stat().st_mode & 0o100}\0".encode() + file.read_bytes())
        CACHE.mkdir(parents=True, exist_ok=True)
        place = CACHE / f"{self.name}-{digest.hexdigest()[:12]}"
        with (CACHE / f"{self.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                with tempfile.TemporaryDirectory(prefix=f".{self.name}-", dir=CACHE) as directory:
                    copy = Path(directory, self.name)
                    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
                    bash = ["bash", "-euc", self.build]
                    done = subprocess.run(bash, cwd=copy, check=False, capture_output=True, text=True, timeout=900)
                    if done.returncode != 0:
                        raise RuntimeError(f"{self.name}: {self.build}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
                    copy.rename(place)
        return place

    def __call__(self, url: str, *arguments: str, **variables: str) -> Answer:
        """Run it. Its time includes that of its start."""
        place = self.built()
        env = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)}
        env |= {"DATABASE_URL": url, **variables}
        start = time.monotonic()
        done = subprocess.run(
            [*self.run.split(), *arguments], cwd=place, env=env, check=False, capture_output=True, text=True, timeout=30
        )
        return Answer(done.returncode == 0, done.stdout + done.stderr, time.monotonic() - start)


@dataclass(frozen=True)
class Answer:
    """What a client said, and after how many seconds."""

    good: bool
    text: str
    seconds: float


NODE = partial(
    Client,
    run="node client.js",
    build="npm ci --ignore-scripts --no-audit --no-fund",
    needs={"node --version": (20,), "npm --version": (8,)},
)
GO = partial(Client, run="./client", build="go build -buildvcs=false -o client .")
CARGO = partial(
    Client, run="./client", build="cargo build --locked --target-dir target && mv target/debug/client . && rm -r target", slow=True
)
JAVA = partial(
    Client,
    run="java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp .:lib/* Client",
    build="mvn -B -q dependency:copy-dependencies && sha256sum -c SHA256SUMS && javac -cp 'lib/*' Client.java",
    needs={"javac --version": (11,), "java --version": (11,), "mvn -B --version": (3, 6)},
)
# libpq knows `sslrootcert=system` from 16 on, and TLS from the first byte from 17 on; distributions have older ones.
SYSTEM_LIBPQ = partial(Client, system=False, direct=False)
# libpq's old way to cancel, and pgjdbc's, is not encrypted: Traefik cannot tell whom it is for.
CLIENTS = {
    client.name: client
    for client in (
        SYSTEM_LIBPQ("psql", "./client", needs={"psql --version": (14,)}),
        Client("psycopg", PYTHON, PIP, cancels=True),
        Client("psycopg2", PYTHON, PIP, cancels=False),
        Client("sqlalchemy", PYTHON, PIP),
        Client("asyncpg", PYTHON, PIP, cancels=True),
        Client("sqlalchemy-asyncpg", PYTHON, PIP, direct=False, slow=True),
        Client("pg8000", PYTHON, PIP, direct=False, slow=True),
        Client("django", PYTHON, PIP, direct=False, slow=True),
        NODE("node-pg"),
        NODE("postgres-js", direct=False, slow=True),
        NODE("typeorm", direct=False, slow=True),
        NODE("sequelize", direct=False, slow=True),
        NODE("drizzle", direct=False, slow=True),
        GO("pgx", needs={"go version": (1, 25)}, cancels=True),
        GO("lib-pq", needs={"go version": (1, 21)}, cancels=True, slow=True),
        JAVA("pgjdbc", cancels=False),
        JAVA("hikaricp", direct=False, slow=True),
        JAVA("r2dbc", direct=False, slow=True),
        JAVA("vertx", direct=False, slow=True),
        CARGO("tokio-postgres", needs={"cargo --version": (1, 85)}, cancels=True),
        SYSTEM_LIBPQ("ruby-pg", "ruby client.rb", needs={"ruby -rpg -e puts(PG::VERSION)": (1,)}, cancels=False, slow=True),
        SYSTEM_LIBPQ("php-pdo", "php client.php", needs={"php -r echo(phpversion('pdo_pgsql'));": (8,)}, slow=True),
        SYSTEM_LIBPQ("dbd-pg", "perl client.pl", needs={"perl -MDBD::Pg -e print($DBD::Pg::VERSION)": (3,)}, slow=True),
        SYSTEM_LIBPQ("pgcli", "./client", needs={"pgcli --version": (3,)}, slow=True),
        Client("pgbouncer", "./client", needs={"pgbouncer --version": (1, 18), "psql --version": (14,)}, direct=False, slow=True),
    )
}
