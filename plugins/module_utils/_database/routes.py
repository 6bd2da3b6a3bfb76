# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks the service registrations from which Traefik makes its routes: each database needs one, and nothing else may have one.

Nomad registers a service when its task starts and does not check it again. If somebody deletes a registration, it comes back only
with the next start. https://developer.hashicorp.com/nomad/api-docs/services
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import end_job
from ansible_collections.infinite.databases.plugins.module_utils._database.record import find_record
from ansible_collections.infinite.databases.plugins.module_utils._database.restart import running_allocs
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadNotFound
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "names": {"type": "list", "elements": "str", "required": True},
}
RULE = re.compile(r"traefik\.tcp\.routers\.[^.=]+\.rule=(.*)", re.IGNORECASE | re.DOTALL)
HOST = re.compile(r"`([^`]*)`")
# The registration of a server that has just started appears a moment later.
SETTLE_SECONDS = 3.0

Registration = Mapping[str, Any]


def hosts(tags: Iterable[str] | None) -> list[str]:
    """Return the host names that these tags route. A rule without a host name is returned itself."""
    rules = [found[1] for tag in tags or [] if (found := RULE.fullmatch(tag))]
    return sorted({host for rule in rules for host in HOST.findall(rule) or [rule]})


def read(client: NomadClient) -> list[Registration]:
    """Return all registrations of the namespace that have a route."""
    services = [service for listed in client.endpoint("services").get() for service in listed["Services"]]
    names = [service["ServiceName"] for service in services if hosts(service["Tags"])]
    return [one for found in values(client.map(client.services, names)) for one in found if hosts(one["Tags"])]


def sort_out(
    found: Sequence[Registration], allocs: Mapping[str, Sequence[str]]
) -> tuple[list[Registration], list[Registration], list[str]]:
    """Return the registrations of jobs that are no databases, the registrations of replaced servers, and the running databases
    without a registration.

    If Nomad has lost touch with a server and the database has no other, its registration is kept: the server may come back.
    """
    foreign = [one for one in found if one["JobID"] not in allocs]
    stale = [one for one in found if allocs.get(one["JobID"]) and one["AllocID"] not in allocs[one["JobID"]]]
    registered = {one["AllocID"] for one in found}
    return foreign, stale, sorted(name for name, ids in allocs.items() if ids and not registered.intersection(ids))


def remove(client: NomadClient, one: Registration) -> None:
    with suppress(NomadNotFound):
        client.endpoint("service").delete(f"{one['ServiceName']}/{one['ID']}")


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    foreign, stale, missing = sort_out(read(client), running_allocs(client, params["names"]))
    if stale or missing:
        time.sleep(SETTLE_SECONDS)
        found, again = read(client), running_allocs(client, [*{one["JobID"] for one in stale} | {*missing}])
        known = [one for one in found if one["JobID"] in again]
        _none, stale, missing = sort_out(known, again)
    # A job with a record is a database that is not among the names, because it is new or stopped. It is skipped.
    jobs = sorted({one["JobID"] for one in foreign})
    unknown = {
        job for job, record in zip(jobs, values(client.map(lambda job: find_record(client, job), jobs)), strict=True) if not record
    }
    foreign = [one for one in foreign if one["JobID"] in unknown]
    if not check_mode:
        # The job is ended first, because it would register itself again.
        values(client.map(lambda job: end_job(client, job), sorted(unknown)))
        values(client.map(lambda one: remove(client, one), [*foreign, *stale]))
    return {
        "changed": bool(foreign or stale),
        "foreign": [
            {"job": job, "hosts": hosts(tag for one in foreign if one["JobID"] == job for tag in one["Tags"])}
            for job in sorted(unknown)
        ],
        "stale": sorted({one["JobID"] for one in stale}),
        "missing": missing,
        "api_calls": client.api_calls,
    }


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
