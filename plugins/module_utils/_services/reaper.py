# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program of role reaper's job. It runs without Ansible. It ends what is past its time and what killed runs left, with a line
for each, and removes its own old runs.

A periodic job leaves a finished job for each run, and the servers of this platform remove none by themselves (job_gc_threshold).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database import expire as database_expire
from ansible_collections.infinite.databases.plugins.module_utils._database import orphans as database_orphans
from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import end_job
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils.errors import InfiniteError
from ansible_collections.infinite.databases.plugins.module_utils.runner import with_defaults

KEPT_RUNS = 6
LINES = {
    "passwords": "{}: ended its old passwords, whose overlap was over",
    "destroyed": "{}: destroyed, because its ttl is over; to bring it back within {retention}, provision it with a longer ttl",
    "erased": "{}: erased, because it was destroyed longer than {retention} ago",
    "jobs": "{}: there is no such database; removed the job that an interrupted run had left",
    "credentials": "{}: there is no such database; removed the credentials that an interrupted run had left",
    "transfers": "{}: ended an interrupted transfer; the transfer had changed nothing",
    "volumes": "{}: gave this volume, which an interrupted run had claimed, back to the pool",
    "unexplained": "{}: its job and its volume exist, but its record is missing; nothing was done, see docs/troubleshooting.md",
}


def report(result: Mapping[str, Any], retention: str) -> list[str]:
    lines = [line.format(name, retention=retention) for kind, line in LINES.items() for name in result.get(kind, [])]
    return lines or ["nothing to do"]


def old_runs(jobs: Iterable[Mapping[str, Any]], parent: str, kept: int = KEPT_RUNS) -> list[str]:
    """Return the finished runs of a periodic job, except the last ones. The names of runs end with the time in seconds."""
    ended = [job["ID"] for job in jobs if job["ParentID"] == parent and job["Status"] == "dead"]
    return sorted(ended, key=lambda job: int(job.rpartition("-")[2]), reverse=True)[kept:]


def forget_old_runs(client: NomadClient, parent: str) -> None:
    runs = old_runs(client.jobs.get(prefix=f"{parent}/"), parent)
    values(client.map(lambda job: end_job(client, job, purge=True), runs))


def main() -> int:
    connection = {
        "nomad_address": "unix:///secrets/api.sock",
        "nomad_token_file": "/secrets/nomad_token",
        "nomad_namespace": os.environ["NOMAD_NAMESPACE"],
    }
    retention = os.environ["RETENTION"]
    status, done = 0, dict[str, Any]()
    for module, own in ((database_expire, {"retention": retention}), (database_orphans, {})):
        result = module.SPEC.execute(with_defaults(module.ARGUMENT_SPEC, connection | own), False)
        if result.get("failed"):
            sys.stderr.write(f"{result['msg']}\n")
            status = 1
        done |= result
    sys.stdout.write("\n".join([*report(done, retention), ""]))
    try:
        forget_old_runs(NomadClient(with_defaults(CONNECTION_SPEC, connection)), os.environ["NOMAD_JOB_PARENT_ID"])
    except InfiniteError as error:
        sys.stderr.write(f"{error}\n")
        status = 1
    return status


if __name__ == "__main__":
    raise SystemExit(main())
