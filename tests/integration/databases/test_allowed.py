# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""allowed_cidrs, seen by clients of different addresses: this machine's, the node's own, and IPv6."""

from __future__ import annotations

import time

import pytest

from tests.support.user import User

# Says yes if the server asks for a password, which it does only after Traefik has let the client in.
CLIENT = """
import socket, ssl, struct, sys
address, host, source = sys.argv[1:]
plain = socket.create_connection((address, {port}), 5, (source, 0) if source else None)
plain.sendall(struct.pack("!ii", 8, 80877103))
assert plain.recv(1) == b"S"
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.set_alpn_protocols(["postgresql"])
try:
    tls = context.wrap_socket(plain, server_hostname=host)
    body = struct.pack("!i", 196608) + b"user\\0x\\0database\\0x\\0\\0"
    tls.sendall(struct.pack("!i", len(body) + 4) + body)
    print("yes" if tls.recv(1) == b"R" else "no")
except (OSError, ssl.SSLError):
    print("no")
"""


def may_connect(user: User, name: str, address: str, source: str = "") -> bool:
    """Whether somebody on the node, with this address, is let in."""
    program = CLIENT.format(port=user.known["database_port"])
    answer = user.node("python3", "-c", program, address, f"{name}.{user.domain}", source).strip()
    assert answer in ("yes", "no")
    return answer == "yes"


def soon(what: object, expected: object) -> float:
    """Seconds until it is so, at most 5."""
    start = time.monotonic()
    while what() != expected:  # type: ignore[operator]
        assert time.monotonic() - start < 5
        time.sleep(0.05)
    return time.monotonic() - start


@pytest.fixture(scope="module")
def name(user: User) -> str:
    # Docker turns it off in containers.
    user.node("sysctl", "-w", "net.ipv6.conf.lo.disable_ipv6=0")
    user.run("provision", db="infinite-test-allowed")
    return "infinite-test-allowed"


def test_who_may_connect(user: User, name: str) -> None:
    started = user.query(name, "select pg_postmaster_start_time()")
    clients = {"127.0.0.1": "127.0.0.1", "127.0.0.2": "127.0.0.1", "::1": "::1"}

    def allowed() -> list[str]:
        return [source for source, address in clients.items() if may_connect(user, name, address, source)]

    assert allowed() == [*clients], "all, where none are named"
    mine = "172.16.0.0/12"
    for cidrs, expected in (
        ([mine, "127.0.0.2"], ["127.0.0.2"]),
        ([mine, "::1/128"], ["::1"]),
        ([mine, "127.0.0.0/8"], ["127.0.0.1", "127.0.0.2"]),
        ([], [*clients]),
    ):
        user.run("provision", db=name, allowed_cidrs=cidrs)
        soon(allowed, expected)
    assert user.query(name, "select pg_postmaster_start_time()") == started, "no restart"


def test_the_environments_default(user: User, name: str) -> None:
    user.run("provision", db=name, database_allowed_cidrs=["172.16.0.0/12"])
    soon(lambda: may_connect(user, name, "127.0.0.1"), False)
    user.run("provision", db=name)
    soon(lambda: may_connect(user, name, "127.0.0.1"), True)


def test_a_network_that_leaves_this_machine_out_is_told(user: User, name: str) -> None:
    done = user.run("provision", plain=True, db=name, allowed_cidrs=["10.9.8.7"])
    assert "Not reachable from here" in done.out
    assert user.run("info", plain=True, db=name).out.count("10.9.8.7") == 1
    user.run("provision", db=name, allowed_cidrs=[])
    assert user.query(name, "select 1") == 1
