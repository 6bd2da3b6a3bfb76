# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks a database's node whether the server is ready, for machines that the database's allowed_cidrs leave out.

Traefik closes the connection of such a machine after the TLS handshake. It does the same while no server answers. The difference
is a mark, a file that postgres.nomad.hcl makes once the server has its logins, its database and its extensions.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import newest
from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadError

MARK = "alloc/data/ready"
# The client's messages for a connection that was closed at the point where the server would have asked for a password.
CLOSED = re.compile("unexpected eof while reading|closed the connection unexpectedly|SSL SYSCALL error: EOF")
# Traefik learns the route to a new server within a second; this is longer.
ROUTE_SECONDS = 3.0
ASK_SECONDS = 0.5


def own_address(host: str, port: int) -> str:
    """Return the address with which this machine connects to the host. Nothing is sent."""
    family, kind, protocol, _name, place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(place)
        return str(probe.getsockname()[0])


def lets_in(networks: Sequence[str], address: str) -> bool:
    own = ipaddress.ip_address(address)
    return any(own in ipaddress.ip_network(one) for one in networks)


class Witness:
    """Asks the node of one database. It does not vouch for a database that should let this machine in."""

    def __init__(self, client: NomadClient, database: Mapping[str, Any]) -> None:
        self.client, self.database = client, database
        self.asked = self.ready_since = 0.0

    def __call__(self, failure: str) -> bool:
        """Return whether the server is ready and has its route, although the connection failed with this message."""
        now = time.monotonic()
        if not CLOSED.search(failure) or self._expected():
            return False
        if now - self.asked >= ASK_SECONDS:
            self.asked = now
            self.ready_since = (self.ready_since or now) if self._is_ready() else 0.0
        return bool(self.ready_since) and now - self.ready_since >= ROUTE_SECONDS

    def _expected(self) -> bool:
        networks = self.database["allowed_cidrs"]
        with suppress(OSError):
            return not networks or lets_in(networks, own_address(self.database["host"], self.database["port"]))
        return True

    def _is_ready(self) -> bool:
        try:
            allocs = self.client.job.get(self.database["name"], "allocations")
            running = newest(one for one in allocs if one["ClientStatus"] == "running")
            if running:
                self.client.endpoint("client/fs/stat").get(running["ID"], path=MARK)
        except NomadError:
            return False
        return bool(running)
