# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares pgbench through the URL with pgbench by TLS directly to a PostgreSQL of the same image, disk, settings and limits."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.infinite.databases.plugins.module_utils._database.description import server_settings
from benchmarks.environment import PREFIX, VERSION, BenchError, Environment
from benchmarks.provisioning import new_names
from benchmarks.report import Figure, show, wait_quiet

SCALE = 5
DIRECT = PREFIX + "direct"
DIRECT_PORT = 54329
HINT = "pgbench is not here: install it (Debian: apt-get install postgresql; Fedora: postgresql-contrib)"


def pgbench() -> str:
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"), reverse=True)
    found = shutil.which("pgbench") or (str(places[0]) if places else None)
    if found is None:
        raise BenchError(HINT)
    return found


def run(*arguments: str) -> str:
    done = subprocess.run([pgbench(), *arguments], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        raise BenchError(f"pgbench failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def select_only(target: str, clients: int, seconds: int) -> tuple[float, float]:
    """Run pgbench, and return the latency in milliseconds and the transactions per second."""
    threads = str(min(clients, os.cpu_count() or 1))
    out = run("-S", "-n", "-M", "prepared", "-c", str(clients), "-j", threads, "-T", str(seconds), target)
    latency = re.search(r"latency average = ([0-9.]+) ms", out)
    rate = re.search(r"tps = ([0-9.]+)", out)
    if not latency or not rate:
        raise BenchError(f"pgbench said nothing that is understood: {out[-500:]}")
    return float(latency[1]), float(rate[1])


class Direct:
    """A PostgreSQL on the node without Nomad and Traefik. It does TLS itself, with Traefik's certificate."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self.directory = f"/var/lib/infinite.databases/data/{DIRECT}"
        self.password = secrets.token_urlsafe(24)
        address = re.sub(r"^https?://|:\d+$", "", env.connection["nomad_address"])
        self.url = (
            f"host={DIRECT}.{env.domain} hostaddr={address} port={DIRECT_PORT} dbname=postgres user=postgres "
            f"password={self.password} sslmode=verify-full sslrootcert={env.ca_cert}"
        )

    def start(self) -> None:
        env, defaults = self.env, self.env.database_defaults
        self.stop()
        env.node("install", "-d", "-o", "999", "-g", "999", "-m", "0700", self.directory)
        for name in ("traefik.crt", "traefik.key"):
            self.write(name, (env.state_dir / name).read_text())
        self.write("password", self.password)
        own = {"ssl": "on", "ssl_cert_file": "/volume/traefik.crt", "ssl_key_file": "/volume/traefik.key"}
        settings = server_settings(defaults["memory_max"], own) | {"logging_collector": "off"}
        del settings["hba_file"]
        script = (
            "set -e; cd /volume; PATH=$PATH:/usr/lib/postgresql/$0/bin; "
            "initdb -D data -U postgres -A scram-sha-256 --pwfile=password --data-checksums -E UTF8 --locale=C.UTF-8; "
            "echo 'host all all all scram-sha-256' >> data/pg_hba.conf; "
            'exec postgres -D data "$@"'
        )
        env.node(
            *("docker", "run", "--detach", "--init", f"--name={DIRECT}", f"--publish={DIRECT_PORT}:5432"),
            *("--user=postgres", "--entrypoint=sh", f"--volume={self.directory}:/volume", "--tmpfs=/tmp"),
            # The limits of a database's job. The share of the processors is Docker's default, fifty times that of a database.
            *(f"--memory={defaults['memory_max']}m", f"--shm-size={defaults['memory_max']}m"),
            *(env.images[VERSION], "-c", script, VERSION),
            *(f"--{key}={value}" for key, value in settings.items()),
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                run("-i", "-q", "-s", str(SCALE), self.url)
                return
            except BenchError:
                if time.monotonic() > deadline:
                    raise BenchError(f"The direct PostgreSQL did not start: {env.node('docker', 'logs', DIRECT)}") from None
                time.sleep(0.5)

    def write(self, name: str, text: str) -> None:
        command = 'umask 077; cat > "$0" && chown 999:999 "$0"'
        self.env.node("sh", "-c", command, f"{self.directory}/{name}", stdin=text)

    def stop(self) -> None:
        self.env.node("sh", "-c", 'docker rm --force --volumes "$0" >/dev/null 2>&1; rm -rf "$1"', DIRECT, self.directory)


def compare(env: Environment, rounds: int, seconds: int) -> Iterator[Figure]:
    pgbench()
    env.fill_pool()
    name = new_names(1)[0]
    env.provision([name])
    env.wait_pool()
    url = env.url(name)
    run("-i", "-q", "-s", str(SCALE), url)
    direct = Direct(env)
    try:
        direct.start()
        for clients in (1, 8):
            latency = Figure("pgbench -S, 1 client: added latency", "ms", mark=0.15)
            rate = Figure(f"pgbench -S, {clients} clients: throughput against direct", "x", mark=0.6, smaller=False)
            through: list[float] = []
            directly: list[float] = []
            for _number in range(rounds):
                wait_quiet()
                here = select_only(url, clients, seconds)
                there = select_only(direct.url, clients, seconds)
                latency.samples.append(here[0] - there[0])
                rate.samples.append(here[1] / there[1])
                through.append(here[1])
                directly.append(there[1])
            middle = rounds // 2
            rate.floors = {
                "through the URL": f"{show(sorted(through)[middle])} tps",
                "direct TLS": f"{show(sorted(directly)[middle])} tps",
            }
            if clients == 1:
                latency.floors = {"direct TLS": f"{show(1000 / sorted(directly)[middle])} ms"}
                yield latency
            else:
                yield rate
    finally:
        direct.stop()
        env.purge()
