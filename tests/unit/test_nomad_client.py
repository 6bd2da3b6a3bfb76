# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The client's options, and working on many items."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from threading import Thread
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient, map_concurrently, values
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput, NomadError, NomadUnreachable

HTTPS = {"nomad_address": "https://127.0.0.1:4646"}


def test_a_token_file_wins(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("from-file\n")
    client = NomadClient({**HTTPS, "nomad_token": "left-over", "nomad_token_file": str(path)})
    assert client.settings["token"] == "from-file"


def test_certificates_are_always_verified(tmp_path: Path) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_text("")
    assert NomadClient(HTTPS).settings["verify"] is True
    assert NomadClient({**HTTPS, "nomad_ca_cert": str(ca)}).settings["verify"] == str(ca)
    assert NomadClient(HTTPS).api.verify is True
    assert NomadClient(HTTPS).jobs.verify is True


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"nomad_address": ""}, "nomad_address"),
        ({"nomad_address": "127.0.0.1:4646"}, "nomad_address"),
        ({"nomad_address": "ftp://x"}, "nomad_address"),
        ({"nomad_address": "unix://relative.sock"}, "nomad_address"),
        ({**HTTPS, "nomad_ca_cert": "/nowhere/ca.crt"}, "nomad_ca_cert: /nowhere/ca.crt"),
        ({**HTTPS, "nomad_token_file": "/nowhere/token"}, "/nowhere/token"),
        ({**HTTPS, "nomad_token_file": "/dev/null"}, "empty"),
        ({**HTTPS, "nomad_client_cert": "/dev/null"}, "nomad_client_key"),
    ],
)
def test_bad_options(params: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        NomadClient(params)


class Answer(BaseHTTPRequestHandler):
    """Says what it was asked, with which token."""

    def do_GET(self) -> None:
        body = json.dumps([self.path, self.headers["X-Nomad-Token"]]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "a socket has no address"

    def log_message(self, *_args: Any) -> None:
        pass


class Agent(ThreadingUnixStreamServer):
    # A socket's queue that is full refuses at once, unlike a port's.
    request_queue_size = 64


def test_a_tasks_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    address = f"unix://{tmp_path}/api.sock"
    client = NomadClient({"nomad_address": address, "nomad_token": "token", "nomad_namespace": "here", "nomad_retries": 0})
    with pytest.raises(NomadUnreachable, match=address):
        client.jobs.get()
    with Agent(f"{tmp_path}/api.sock", Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        assert client.jobs.get(prefix="x") == ["/v1/jobs?prefix=x&namespace=here", "token"]
        assert [one.value for one in client.map(lambda _: client.jobs.get()[1], range(20))] == ["token"] * 20
        server.shutdown()


@pytest.mark.parametrize("workers", [1, 8])
def test_one_failure_does_not_stop_the_others(workers: int) -> None:
    def work(number: int) -> int:
        if number == 1:
            raise NomadError("no")
        return number * 2

    outcomes = map_concurrently(work, range(4), workers)
    assert [outcome.value for outcome in outcomes] == [0, None, 4, 6]
    assert [bool(outcome.error) for outcome in outcomes] == [False, True, False, False]
    with pytest.raises(NomadError):
        values(outcomes)


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        map_concurrently(lambda number: 1 // number, [1, 0])
