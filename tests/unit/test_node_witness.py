# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a node's word is asked for."""

from __future__ import annotations

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database import node_witness as witness


@pytest.mark.parametrize(
    ("networks", "address", "expected"),
    [
        (["10.99.0.0/16"], "10.99.1.2", True),
        (["10.99.0.0/16"], "10.98.1.2", False),
        (["10.99.0.0/16", "127.0.0.1/32"], "127.0.0.1", True),
        (["2001:db8::/32"], "10.99.1.2", False),
        (["10.0.0.0/8", "2001:db8::/32"], "2001:db8::1", True),
    ],
)
def test_lets_in(networks: list[str], address: str, expected: bool) -> None:
    assert witness.lets_in(networks, address) is expected


def test_own_address() -> None:
    assert witness.own_address("127.0.0.1", 5432) == "127.0.0.1"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('connection to server at "127.0.0.1", port 5432 failed: SSL error: unexpected eof while reading', True),
        ("server closed the connection unexpectedly", True),
        ("SSL SYSCALL error: EOF detected", True),
        ("SSL error: tlsv1 unrecognized name", False),
        ("Connection refused", False),
    ],
)
def test_how_traefik_leaves_a_client_out(said: str, expected: bool) -> None:
    assert bool(witness.CLOSED.search(said)) is expected
