# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a database is whole, whatever happened to the runs that made it or ended it, and whether anything is left of none."""

from __future__ import annotations

import time

import psycopg

from tests.support.user import PREFIX, User

# Jobs that belong to no database.
NOBODYS = ("_pool-", "_reaper", "_status")


def answers(user: User, name: str, role: str = "owner") -> bool:
    """By what its record says, within a moment."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return bool(user.query(name, "select 1", role) == 1)
        except psycopg.Error:
            if time.monotonic() > deadline:
                return False
        time.sleep(0.2)


def state(user: User, name: str) -> str:
    """running, kept or gone; and what is wrong where it is neither."""
    record = user.variable(f"databases/{name}")
    job = next((job for job in user.client.jobs.get(prefix=name) if job["ID"] == name), None)
    claims = user.claims_of(name)
    if not record:
        left = {"job": job and job["ID"], "claims": claims, "wanted": user.variable(f"nomad/jobs/{name}")}
        left["hosts"] = [host for host in user.hosts() if host.startswith(f"{name}.")]
        return "gone" if not any(left.values()) else f"no record, and yet {left}"
    if "erasing" in record:
        return f"half erased: {sorted(record)}"
    if claims != [record["volume"]] or record["volume"] not in {volume["Name"] for volume in user.client.volumes.list()}:
        return f"its volume is not its own: {claims}"
    if job is None or job["Stop"]:
        return "kept"
    if "destroyed" in record:
        return "runs, and is noted as destroyed"
    silent = [role for role in ("owner", "rw", "ro") if not answers(user, name, role)]
    return f"runs, and does not answer {silent}" if silent else "running"


def orphans(user: User) -> list[str]:
    """What no database of the environment has: jobs, volumes, variables and names. Nothing else may be going on."""
    paths = [stub["Path"] for stub in user.client.variables.list()]
    records = {path.removeprefix("databases/"): user.variable(path) for path in paths if path.startswith("databases/")}
    claims = {path.removeprefix("pool/"): user.variable(path)["database"] for path in paths if path.startswith("pool/")}
    volumes = {volume["Name"] for volume in user.client.volumes.list()}
    own = {name: record["volume"] for name, record in records.items()}
    credentials = [path.removeprefix("nomad/jobs/") for path in paths if path.startswith("nomad/jobs/")]
    jobs = [job["ID"] for job in user.client.jobs.get() if not job["ID"].startswith(NOBODYS)]
    hosts = [host.removesuffix(f".{user.domain}") for host in user.hosts() if host.endswith(f".{user.domain}")]
    other = [path for path in paths if path.split("/")[0] not in ("databases", "pool", "nomad", "status", "endings")]
    return [
        *(f"volume {volume} claimed for {name}" for volume, name in claims.items() if own.get(name) != volume),
        *(f"claim of {volume}, which is not there" for volume in claims if volume not in volumes),
        *(f"record {name} without its volume {volume}" for name, volume in own.items() if claims.get(volume) != name),
        *(f"credentials of {name}" for name in credentials if name not in records),
        *(f"job {name}" for name in jobs if name not in records),
        *(f"name {name}" for name in hosts if name.startswith(PREFIX) and name not in records),
        *(f"variable {path}" for path in other),
    ]
