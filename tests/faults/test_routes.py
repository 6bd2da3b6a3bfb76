# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What names lead to, changed behind our back: drift.yml finds it, tells it in check mode, and puts it right.

A stale entry in the hosts file is in tests/integration/databases/test_drift.py, a stale record in
tests/integration/databases/test_names.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support.faults import Faults, NoAnswer

NAME, OTHER = "infinite-test-routed", "infinite-test-other"
IMPOSTOR = "impostor"


@pytest.fixture
def name(faults: Faults) -> Iterator[str]:
    faults.run("provision", databases=[{"name": NAME}, {"name": OTHER}])
    yield NAME
    faults.client.job.send("delete", IMPOSTOR, purge="true")
    faults.erase([NAME, OTHER])


def registration(faults: Faults, name: str) -> dict[str, Any]:
    (found,) = [one for one in faults.client.services("postgres") if one["JobID"] == name]
    return found


def impostor(faults: Faults, host: str, server: dict[str, Any]) -> dict[str, Any]:
    """A job that has a route for the host, before all others, to somebody else's server."""
    router = f"traefik.tcp.routers.{IMPOSTOR}"
    tags = [
        "traefik.enable=true",
        f"{router}.rule=HostSNI(`{host}`)",
        f"{router}.priority=100000",
        f"{router}.entrypoints=postgres",
        f"{router}.service={IMPOSTOR}",
        f"{router}.tls=true",
        f"{router}.tls.options=postgres@file",
        f"traefik.tcp.services.{IMPOSTOR}.loadbalancer.server.port=5432",
        *[tag for tag in server["Tags"] if tag.startswith("node=")],
    ]
    service = {"Name": IMPOSTOR, "Provider": "nomad", "Address": server["Address"], "PortLabel": "any", "Tags": tags}
    task = {
        "Name": IMPOSTOR,
        "Driver": "docker",
        "Config": {"image": faults.known["database_images"]["17"], "entrypoint": ["sleep", "600"]},
        "Resources": {"CPU": 20, "MemoryMB": 16},
        "Services": [service],
    }
    # The tags name the port that counts.
    group = {"Name": IMPOSTOR, "Tasks": [task], "Networks": [{"DynamicPorts": [{"Label": "any"}]}]}
    return {"ID": IMPOSTOR, "Name": IMPOSTOR, "Namespace": "databases", "Type": "service", "TaskGroups": [group]}


def whose(faults: Faults, name: str) -> str:
    """The database that a client of this one reaches: another one does not know the login."""
    try:
        return str(faults.query(name, "select current_database()"))
    except psycopg.OperationalError as error:
        return "another" if "password authentication failed" in str(error) else str(error)


def wait_until(faults: Faults, name: str, expected: str) -> None:
    deadline = time.monotonic() + 30
    while whose(faults, name) != expected:
        assert time.monotonic() < deadline, f"{name} does not lead to {expected}"
        time.sleep(0.2)


@pytest.mark.quick
def test_a_forged_registration(faults: Faults, name: str) -> None:
    host = f"{name}.{faults.domain}"
    faults.client.jobs.put(json={"Job": impostor(faults, host, registration(faults, OTHER))})
    # The control: the name is hijacked indeed.
    wait_until(faults, name, "another")
    told = faults.run("drift", "--check", plain=True).out
    assert f"{IMPOSTOR}: this job belongs to no database, and it routed {host} to itself; it would be stopped" in told
    assert whose(faults, name) == "another", "check mode changes nothing"
    assert f"routed {host} to itself; it was stopped" in faults.run("drift", plain=True).out
    wait_until(faults, name, name)
    assert "nothing differs" in faults.run("drift", plain=True).out


@pytest.mark.quick
def test_a_deleted_registration(faults: Faults, name: str) -> None:
    faults.client.endpoint("service").delete(f"postgres/{registration(faults, name)['ID']}")
    # The control: nothing leads to it any more, and nobody but drift.yml brings it back.
    time.sleep(5)
    with pytest.raises(NoAnswer):
        faults.answers_within(faults.opener(name), 1)
    told = faults.run("drift", "--check", plain=True).out
    assert f"{name}: its service registration was missing, so nothing was reached by its name; it would be restarted." in told
    mended = faults.run("drift", plain=True).out
    assert f"{name}: its service registration was missing, so nothing was reached by its name; it was restarted." in mended
    assert f"{OTHER}: " not in mended
    assert whose(faults, name) == name
    assert "nothing differs" in faults.run("drift", plain=True).out
