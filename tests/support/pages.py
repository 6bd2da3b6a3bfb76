# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The web pages of an environment."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from urllib.parse import urlsplit

from tests.support.environments import Environment
from tests.support.user import User


class Pages:
    """The web pages as somebody meets them who knows the node's address."""

    def __init__(self, user: User, environment: Environment) -> None:
        self.user = user
        self.address = urlsplit(user.known["nomad_address"]).hostname or ""
        self.port = environment.web_port
        self.password = (environment.state / "web.password").read_text().strip()
        self.context = ssl.create_default_context(cafile=user.ca)

    def ask(self, name: str, path: str = "/", **headers: str) -> tuple[int, dict[str, str], str]:
        """Status, headers and body, by HTTP/1.1 with TLS verified for the name."""
        host = f"{name}.{self.user.domain}"
        connection = http.client.HTTPConnection(host)
        with socket.create_connection((self.address, self.port), timeout=20) as plain:
            connection.sock = self.context.wrap_socket(plain, server_hostname=host)
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            found = {key.lower(): value for key, value in answer.getheaders()}
            return answer.status, found, answer.read().decode(errors="replace")

    def login(self) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"admin:{self.password}".encode()).decode()}
