# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What killed runs leave without a record, made here piece by piece, and what `expire` does about it."""

from __future__ import annotations

import re
import time
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database import hosts_file
from ansible_collections.infinite.databases.plugins.module_utils._database import orphans as database_orphans
from ansible_collections.infinite.databases.plugins.module_utils._database import prepared_volumes as pool
from ansible_collections.infinite.databases.plugins.module_utils.runner import with_defaults
from tests.support.user import PREFIX, User

NAME = f"{PREFIX}orphan"


def job(name: str, volume: str) -> dict[str, Any]:
    task = {"Name": "postgres", "Driver": "docker", "Config": {"image": "none"}}
    mount = {"data": {"Name": "data", "Type": "host", "Source": volume, "AccessMode": "single-node-single-writer"}}
    mount["data"]["AttachmentMode"] = "file-system"
    group = {"Name": "postgres", "Tasks": [task], "Volumes": mount}
    meta = {pool.META_VOLUME: volume}
    return {"ID": name, "Name": name, "Type": "service", "Datacenters": ["none"], "Meta": meta, "TaskGroups": [group]}


def clean(user: User, age: float = 0, check_mode: bool = False, **given: Any) -> dict[str, Any]:
    params = user.connection | {"age": age, "names": [], **given}
    result = database_orphans.SPEC.execute(params, check_mode)
    assert not result.get("failed"), result
    return result


def ready(user: User) -> str:
    """A volume of the pool, which others may be using up."""
    deadline = time.monotonic() + 60
    while True:
        found = pool.read_state(*pool.read_lists(user.client)).having("ready")
        if found or time.monotonic() > deadline:
            return found[0].name
        time.sleep(0.5)


def test_what_nobody_would_ask_for(user: User, first: str) -> None:
    lost = ready(user)
    client = user.client
    client.variables.write(pool.CLAIMS + lost, {"database": NAME}, cas=0)
    client.variables.write(f"nomad/jobs/{NAME}", {"wanted": f"login {NAME} {NAME} x\n"})
    client.jobs.put(json={"Job": job(NAME, "pg17-000000000000")})
    # Not ours, though they look like it.
    client.variables.write(f"nomad/jobs/{NAME}-other", {"wanted": "x", "token": "y"})
    kept = user.variable(f"databases/{first}")["volume"]
    client.jobs.put(json={"Job": job(f"{NAME}-data", kept)})
    client.jobs.put(json={"Job": job(f"{NAME}-unclaimed", ready(user))})
    host = f"{NAME}.{user.domain}"
    mark = {"marker": user.known["database_environment"], "path": "/etc/hosts", "address": user.known["database_address"]}
    added = hosts_file.SPEC.execute(with_defaults(hosts_file.ARGUMENT_SPEC, mark | {"names": [host]}), False)
    assert added["changed"], added
    try:
        foretold = clean(user, check_mode=True)
        assert NAME in foretold["jobs"]
        assert lost not in clean(user, age=900, check_mode=True)["volumes"], "its run may be going on"
        assert user.has_job(NAME)
        done = user.run("expire", plain=True, database_orphan_age=0)
        assert f"{NAME}: there is no such database; have removed what an interrupted run had left of it." in done.out
        assert f"{NAME}-unclaimed: its job and its volume exist, but its record is missing; nothing was done." in done.out
        assert not user.has_job(NAME) or {one["ID"] for one in client.jobs.get(prefix=NAME)} == {f"{NAME}-unclaimed"}
        assert user.variable(f"nomad/jobs/{NAME}") == {}
        assert user.claims_of(NAME) == []
        assert lost in {volume.name for volume in pool.read_state(*pool.read_lists(client)).having("ready")}
        assert host not in user.hosts()
        assert user.variable(f"nomad/jobs/{NAME}-other") == {"wanted": "x", "token": "y"}
        assert user.query(first, "select 1") == 1, "whose volume the forgotten job named"
        # On a busy machine Nomad may list a moment longer what was removed.
        deadline = time.monotonic() + 20
        while (again := clean(user))["changed"]:
            assert time.monotonic() < deadline, again
            time.sleep(1)
    finally:
        for left in client.jobs.get(prefix=NAME):
            client.job.delete(left["ID"], purge="true")
        client.variables.delete(f"nomad/jobs/{NAME}-other")


def test_a_half_erased_database(user: User) -> None:
    """It is not brought back, and the next run that erases, or `expire`, goes on where the other ended."""
    name = f"{NAME}-half"
    user.run("provision", db=name)
    record = user.variable(f"databases/{name}")
    user.client.variables.write(f"databases/{name}", record | {"erasing": "1"})
    refused = user.run("provision", plain=True, fails=True, db=name)
    assert f"{name}: is being erased, or its erasure was interrupted" in refused.err
    assert len(refused.problems) == 1
    assert re.search(rf"erased [^.]*{name}", user.run("expire", plain=True).out)
    assert user.variable(f"databases/{name}") == user.variable(f"nomad/jobs/{name}") == {}
    assert user.claims_of(name) == []
