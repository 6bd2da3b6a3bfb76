# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Several servers, as real sockets: who is asked when one refuses, hangs or has no leader, and what is asked twice."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils import errors
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.servers import Servers, read_addresses

NOBODY = "http://127.0.0.1:9"
LEADER = "10.0.0.1:4647"


@pytest.mark.parametrize(
    ("given", "addresses"),
    [
        ("http://a:4646/", ["http://a:4646"]),
        ("https://a:4646, https://b:4646,", ["https://a:4646", "https://b:4646"]),
        (["https://a:4646", "https://b:4646", "https://a:4646/"], ["https://a:4646", "https://b:4646"]),
        ("unix:///secrets/api.sock", ["unix:///secrets/api.sock"]),
    ],
)
def test_the_forms_of_an_address(given: Any, addresses: list[str]) -> None:
    assert read_addresses(given) == addresses


@pytest.mark.parametrize("given", [None, "", [], "a:4646", ["https://a:4646", "b"], "unix:///a.sock,https://b:4646"])
def test_what_is_no_address(given: Any) -> None:
    with pytest.raises(errors.InvalidInput, match="nomad_address"):
        read_addresses(given)


class Server(ThreadingHTTPServer):
    """Writes down what it is asked, and answers as it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[str] = []
        self.leader = LEADER
        # What to do with requests other than for the leader: answered with this status, or ended without an answer.
        self.status = 200
        self.body: Any = {}
        self.ends = False
        # Whether check-and-set finds something else there.
        self.conflicts = False

    def handle_error(self, *_args: Any) -> None:
        pass


class Handler(BaseHTTPRequestHandler):
    server: Server

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, status, body = self.path.partition("?")[0], self.server.status, self.server.body
        if path == "/v1/status/leader":
            status, body = 200, self.server.leader
        else:
            self.server.asked.append(f"{self.command} {path}")
            if self.server.ends:
                self.close_connection = True
                return
            if self.server.conflicts and self.command == "PUT":
                status = 409
        content = (body if status >= 500 else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = answer

    def log_message(self, *_args: Any) -> None:
        pass


@contextmanager
def running() -> Iterator[Server]:
    with Server() as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


# Long enough for a busy machine, where a server of a test is a thread that waits for its turn.
ANSWER_SECONDS = 1.5


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    with ExitStack() as stack:
        yield [stack.enter_context(running()) for _number in range(2)]


@contextmanager
def hanging() -> Iterator[str]:
    """The address of somebody who takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.infinite.databases.plugins.module_utils._nomad.http.ANSWER_SECONDS", ANSWER_SECONDS)


def client(*addresses: str, **params: Any) -> NomadClient:
    return NomadClient({"nomad_address": list(addresses), "nomad_timeout": 2, "nomad_retries": 1, **params})


def test_one_that_refuses(servers: list[Server]) -> None:
    first, second = servers
    made = client(NOBODY, first.address, second.address)
    assert made.address == f"{NOBODY}, {first.address}, {second.address}"
    assert [made.jobs.get() for _number in range(3)] == [{}, {}, {}]
    assert made.address == first.address
    assert (len(first.asked), len(second.asked)) == (3, 0)
    assert made.api_calls == 5  # the two that were tried, once


def test_one_that_hangs(servers: list[Server]) -> None:
    with hanging() as silent:
        made = client(silent, servers[0].address)
        began = time.monotonic()
        # A write that nobody may ask twice goes to a server that has answered.
        for _number in range(3):
            made.endpoint("volume/host").put("create", json={})
        assert time.monotonic() - began >= ANSWER_SECONDS
        assert made.api_calls == 5  # each was asked for its leader, once
    assert servers[0].asked == ["PUT /v1/volume/host/create"] * 3


def test_a_single_one_is_not_asked_for_its_leader(servers: list[Server]) -> None:
    servers[0].leader = ""
    made = client(servers[0].address)
    assert made.jobs.get() == {}
    assert made.api_calls == 1


def test_one_without_a_leader(servers: list[Server]) -> None:
    first, second = servers
    first.leader = ""
    made = client(first.address, second.address)
    assert made.jobs.get() == {}
    assert made.address == second.address


def test_an_election_is_waited_for(servers: list[Server]) -> None:
    for server in servers:
        server.leader = ""

    def elect() -> None:
        time.sleep(0.5)
        servers[1].leader = LEADER

    Thread(target=elect, daemon=True).start()
    made = client(NOBODY, *(server.address for server in servers))
    assert made.jobs.get() == {}
    assert made.address == servers[1].address


def test_nobody_is_of_use(servers: list[Server]) -> None:
    servers[0].leader = ""
    with hanging() as silent, pytest.raises(errors.NomadNoLeader) as caught:
        client(NOBODY, silent, servers[0].address, nomad_timeout=0.5).jobs.get()
    assert f"{NOBODY} is unreachable (Connection refused)" in str(caught.value)
    assert f"{silent} did not answer within {ANSWER_SECONDS} s" in str(caught.value)
    assert f"{servers[0].address} has no leader; are enough of them running" in str(caught.value)
    with pytest.raises(errors.NomadUnreachable):
        client(NOBODY, "http://127.0.0.1:10").jobs.get()


def ends(server: Server) -> None:
    server.ends = True


def loses_its_leader(server: Server) -> None:
    server.status, server.body = 500, "rpc error: EOF"


Ask = Callable[[NomadClient], Any]
ONCE: dict[str, Ask] = {
    "a volume": lambda client: client.volumes.create({"Name": "x"}),
    "a restart": lambda client: client.endpoint("client/allocation").put("id", "restart", json={}),
    "a token": lambda client: client.endpoint("acl/token").post(json={}),
    "the first token": lambda client: client.endpoint("acl/bootstrap").post(json={}),
}
AGAIN: dict[str, Ask] = {
    "reading": lambda client: client.jobs.get(),
    "reading by POST": lambda client: client.jobs.post("statuses", json={}),
    "a plan": lambda client: client.job.put("x", "plan", json={}),
    "a job": lambda client: client.jobs.post(json={"EnforceIndex": True, "JobModifyIndex": 0}),
    "a job's end": lambda client: client.job.delete("x"),
    "a variable": lambda client: client.variables.write("x", {}, cas=0),
    "a variable's end": lambda client: client.variables.delete("x", cas=7),
    "a policy": lambda client: client.endpoint("acl/policy").post("x", json={}),
}


@pytest.mark.parametrize("breaks", [ends, loses_its_leader])
@pytest.mark.parametrize("what", [*ONCE, *AGAIN])
def test_what_may_have_been_done_is_asked_twice_only_if_that_is_the_same(
    servers: list[Server], what: str, breaks: Callable[[Server], None]
) -> None:
    first, second = servers
    breaks(first)
    made = client(first.address, second.address)
    if what in AGAIN:
        AGAIN[what](made)
    else:
        with pytest.raises(errors.NomadError) as caught:
            ONCE[what](made)
        assert caught.value.uncertain
    assert len(first.asked) == 1
    assert second.asked == (first.asked if what in AGAIN else [])
    # The next request goes to the other one.
    made.jobs.get()
    assert second.asked[-1] == "GET /v1/jobs"


@pytest.mark.parametrize("what", ONCE)
def test_what_was_not_done_is_asked_of_the_next(servers: list[Server], what: str) -> None:
    first, second = servers
    first.status, first.body = 500, "rpc error: failed to get conn: dial tcp 10.0.0.2:4647: connect: connection refused"
    second.body = {"Volume": {}}
    ONCE[what](client(first.address, second.address))
    assert first.asked == second.asked


@pytest.mark.parametrize("there", [{"a": "ours"}, {"a": "of another run"}])
def test_a_write_whose_answer_was_lost(servers: list[Server], there: dict[str, str]) -> None:
    lost, left = servers
    lost.ends = True
    left.conflicts, left.body = True, {"Items": there, "ModifyIndex": 7}
    made = client(lost.address, left.address)
    if there == {"a": "ours"}:
        assert made.variables.write("x", {"a": "ours"}, cas=0)["ModifyIndex"] == 7
    else:
        with pytest.raises(errors.NomadConflict):
            made.variables.write("x", {"a": "ours"}, cas=0)
    assert left.asked == ["PUT /v1/var/x", "GET /v1/var/x"]
    # Where no answer was lost, the same is somebody else's.
    with pytest.raises(errors.NomadConflict):
        made.variables.write("x", there, cas=0)


def test_a_run_remembers_who_answered(servers: list[Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Servers, "memory", tmp_path / "server")
    with hanging() as silent:
        addresses = (silent, *(server.address for server in servers))
        client(*addresses).jobs.get()
        began = time.monotonic()
        client(*addresses).jobs.get()
        assert time.monotonic() - began < ANSWER_SECONDS
    # Other servers than these are another environment's.
    (tmp_path / "server").write_text("http://elsewhere:4646")
    assert client(servers[1].address, NOBODY).jobs.get() == {}
