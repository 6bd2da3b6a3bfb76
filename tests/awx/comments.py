# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The comments of pull requests, as GitHub's and GitLab's APIs have them."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar
from urllib.parse import urlsplit

TOKEN = "the-token-of-the-comments"


class Comments(BaseHTTPRequestHandler):
    """GET tells them, POST adds one, each with the token only."""

    made: ClassVar[dict[str, list[dict[str, str]]]] = {}
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def answer(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        comments = self.made.setdefault(urlsplit(self.path).path, [])
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            status, reply = 401, json.dumps({"message": "Bad credentials"})
        elif self.command == "POST":
            comments.append(body)
            status, reply = 201, json.dumps(body)
        else:
            status, reply = 200, json.dumps(comments)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply.encode())

    do_GET = do_POST = answer
