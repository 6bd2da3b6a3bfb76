# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measures what the parts cost without the collection. No figure can be smaller than such a floor."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import psycopg

from ansible_collections.infinite.databases.plugins.module_utils._database.description import job_variables
from ansible_collections.infinite.databases.plugins.module_utils._nomad.hcl import job_text, parse_job
from benchmarks.environment import PREFIX, ROLE, VERSION, BenchError, Environment
from benchmarks.report import wait_quiet


def empty_playbook(env: Environment) -> float:
    return env.playbook("benchmarks/playbooks/empty.yml").seconds


def connect(env: Environment, record: Mapping[str, Any]) -> None:
    """Connect and query as a client does, but by the node's address: this measurement writes no hosts file."""
    with psycopg.connect(
        host=f"{record['name']}.{env.domain}",
        hostaddr=env.connection["database_address"],
        port=env.port,
        dbname=record["name"],
        user=record["user"],
        password=record["password"],
        sslmode="verify-full",
        sslrootcert=env.ca_cert,
        autocommit=True,
    ) as connection:
        connection.execute("select 1")


def connect_and_query(env: Environment, record: Mapping[str, Any]) -> float:
    start = time.perf_counter()
    connect(env, record)
    return time.perf_counter() - start


def job_to_query(env: Environment, number: int) -> float:
    """Register a job by one API call, and measure until the first answer through Traefik. Volume and credentials exist before."""
    record = env.claim(f"{PREFIX}raw-{number}")
    variables = job_variables(record, env.database_defaults, env.images, env.domain, env.namespace)
    job = parse_job(env.client, job_text(ROLE / "files" / "postgres.nomad.hcl"), variables)
    wait_quiet()
    start = time.perf_counter()
    env.client.jobs.post(json={"Job": job})
    while True:
        try:
            connect(env, record)
        except psycopg.Error as error:
            if time.perf_counter() - start > 60:
                raise BenchError(f"A job registered by hand did not answer in 60 s: {error}") from None
            time.sleep(0.02)
        else:
            return time.perf_counter() - start


def docker_run(env: Environment) -> float:
    """Measure a container of the same image on the node. The container ends at once."""
    script = 'a=$(date +%s%N); docker run --rm --init --entrypoint true "$1" && echo $(($(date +%s%N) - a))'
    return int(env.node("sh", "-c", script, "sh", env.images[VERSION])) / 1e9
