# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Three real servers of Nomad, whose leader is lost in the middle of many writes: what they wrote is right in the end.

They need no client and no root: records, claims and jobs are the servers' own.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database import claim as database_claim
from ansible_collections.infinite.databases.plugins.module_utils._database import record as database_record
from ansible_collections.infinite.databases.plugins.module_utils._database import release as database_release
from ansible_collections.infinite.databases.plugins.module_utils._database import rotate as database_rotate
from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import CLAIMS, Pool, Volume, end_job
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils.errors import InfiniteError

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "infinite.databases" / "nomad"
NAMESPACE = "databases"
NAMES = [f"d{number}" for number in range(20)]
# After how many of the twenty the leader is lost.
LOST_AFTER = 5
Act = Callable[[NomadClient, str], None]


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _number in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Servers:
    """Three agents on loopback, each with its own ports and state."""

    def __init__(self, place: Path) -> None:
        self.binary = max(CACHE.glob("*/linux_*/nomad"), key=lambda path: path.stat().st_mtime)
        self.place = place
        ports = free_ports(9)
        self.ports = [ports[start : start + 3] for start in (0, 3, 6)]
        self.addresses = [f"http://127.0.0.1:{http}" for http, _rpc, _serf in self.ports]
        self.running: list[subprocess.Popen[bytes] | None] = [None] * 3
        for number in range(3):
            self.start(number)

    def start(self, number: int) -> None:
        http, rpc, serf = self.ports[number]
        config = {
            "name": f"server-{number}",
            "data_dir": str(self.place / str(number)),
            "bind_addr": "127.0.0.1",
            "ports": {"http": http, "rpc": rpc, "serf": serf},
            "advertise": {"http": f"127.0.0.1:{http}", "rpc": f"127.0.0.1:{rpc}", "serf": f"127.0.0.1:{serf}"},
            "server": {
                "enabled": True,
                "bootstrap_expect": 3,
                "server_join": {"retry_join": [f"127.0.0.1:{one[2]}" for one in self.ports], "retry_interval": "1s"},
            },
            "disable_update_check": True,
            "log_level": "WARN",
        }
        file = self.place / f"{number}.json"
        file.write_text(json.dumps(config))
        with (self.place / f"{number}.log").open("ab") as log:
            self.running[number] = subprocess.Popen([self.binary, "agent", "-config", file], stdout=log, stderr=log)

    def client(self, *first: int) -> NomadClient:
        """One that knows all, these first."""
        order = [*first, *(number for number in range(3) if number not in first)]
        params = {"nomad_address": [self.addresses[number] for number in order], "nomad_namespace": NAMESPACE, "workers": 4}
        return NomadClient(params)

    def settled(self) -> None:
        """All are there, each knows the leader, and variables can be written."""
        deadline = time.monotonic() + 120
        client = self.client()
        while True:
            try:
                client.endpoint("namespace").put(NAMESPACE, json={"Name": NAMESPACE})
                client.variables.write("settled", {"by": "the test"})
                health = client.endpoint("operator/autopilot").get("health")
                if len(health["Servers"]) == 3 and health["Healthy"]:
                    client.variables.delete("settled")
                    return
            except InfiniteError:
                pass
            assert time.monotonic() < deadline, "three servers did not find together"
            time.sleep(0.5)

    def leader(self) -> int:
        at = self.client().endpoint("status/leader").get()
        return [f"127.0.0.1:{rpc}" for _http, rpc, _serf in self.ports].index(at)

    def signal(self, number: int, what: signal.Signals) -> None:
        process = self.running[number]
        assert process
        process.send_signal(what)
        if what == signal.SIGKILL:
            process.wait()

    def end(self) -> None:
        for process in self.running:
            if process and process.poll() is None:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    made = Servers(tmp_path_factory.mktemp("servers"))
    try:
        yield made
    finally:
        made.end()


def provision(client: NomadClient, name: str) -> None:
    claims = database_claim.Claims(client, Pool(client, {}, ""), {})
    volume = Volume(name, f"pg17-{name}", "17", "node", "ready")
    claim = claims.claim_volume(name, volume)
    assert claim
    record = claims.create({"name": name, "version": "17"}, volume, claim)
    assert record
    assert record["created"]
    claims.settle(record)
    job = {
        "ID": name,
        "Name": name,
        "Datacenters": ["nowhere"],
        "TaskGroups": [{"Name": "a", "Tasks": [{"Name": "a", "Driver": "mock"}]}],
    }
    client.jobs.post(json={"Job": job})


def rotate(client: NomadClient, name: str) -> None:
    record = database_record.read_record(client, name)
    offered = database_record.change(client, record, lambda now: database_rotate.offered(now, "owner"))
    database_record.change(client, offered, lambda now: database_rotate.rotated(now, "owner", 2**31))


def destroy(client: NomadClient, name: str) -> None:
    noted = database_release.note(client, database_record.read_record(client, name), purge=True, retention=None)
    assert noted
    end_job(client, name, purge=True)
    database_release.erase(client, noted, {})


def whole(client: NomadClient, user: str) -> None:
    """Twenty databases, of which each has one volume, and whose jobs read what their records say."""
    assert sorted(job["ID"] for job in client.jobs.get()) == sorted(NAMES)
    claims = {stub["Path"].removeprefix(CLAIMS): client.variables.read(stub["Path"]) for stub in client.variables.list(CLAIMS)}
    assert {volume: claim["Items"] for volume, claim in claims.items()} == {f"pg17-{name}": {"database": name} for name in NAMES}
    for name in NAMES:
        record = database_record.read_record(client, name)
        assert record["volume"] == f"pg17-{name}"
        assert record["user"] == user.format(name)
        wanted = client.variables.read(f"nomad/jobs/{name}")["Items"]["wanted"].splitlines()
        logins = [one for login in record["logins"].values() for one in (login, login.get("ending")) if one]
        assert sorted(line.split()[2] for line in wanted) == sorted(one["user"] for one in logins)


def nothing(client: NomadClient, _user: str) -> None:
    assert client.variables.list() == []
    assert client.jobs.get() == []


def lose_in_the_middle(servers: Servers, act: Act, how: signal.Signals, follower: bool) -> NomadClient:
    """Do it to all; after some, the leader is lost. The client asks the leader itself, or a follower, who passes it on."""
    leader = servers.leader()
    client = servers.client((leader + 1) % 3 if follower else leader)
    done: list[str] = []

    def one(name: str) -> None:
        act(client, name)
        done.append(name)
        if len(done) == LOST_AFTER:
            servers.signal(leader, how)

    try:
        values(client.map(one, NAMES))
    finally:
        if how == signal.SIGKILL:
            servers.start(leader)
        else:
            servers.signal(leader, signal.SIGCONT)
    assert len(done) == len(NAMES)
    return client


@pytest.mark.slow
@pytest.mark.parametrize("follower", [False, True], ids=["through the leader", "through a follower"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hangs"])
def test_the_leader_is_lost_in_the_middle(servers: Servers, how: signal.Signals, follower: bool) -> None:
    acts: list[tuple[Act, Callable[[NomadClient, str], None], str]] = [
        (provision, whole, "{}"),
        (rotate, whole, "{}_b"),
        (destroy, nothing, ""),
    ]
    for act, right, user in acts:
        servers.settled()
        client = lose_in_the_middle(servers, act, how, follower)
        right(client, user)
