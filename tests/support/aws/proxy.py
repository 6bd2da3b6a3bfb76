# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A proxy between AWS's clients and moto. It counts all calls, and can answer with AWS's errors."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

SCOPE = re.compile(r"Credential=[^/]+/\d+/[\w-]+/(\w+)/aws4_request")
# Route53 has a REST API, so the method and the path make the action.
ROUTE53 = [
    ("POST", r"hostedzone", "CreateHostedZone"),
    ("GET", r"hostedzone", "ListHostedZones"),
    ("GET", r"hostedzonesbyname", "ListHostedZonesByName"),
    ("GET", r"hostedzonesbyvpc", "ListHostedZonesByVPC"),
    ("GET", r"hostedzone/[^/]+", "GetHostedZone"),
    ("DELETE", r"hostedzone/[^/]+", "DeleteHostedZone"),
    ("POST", r"hostedzone/[^/]+/rrset/?", "ChangeResourceRecordSets"),
    ("GET", r"hostedzone/[^/]+/rrset/?", "ListResourceRecordSets"),
    ("GET", r"change/[^/]+", "GetChange"),
    ("GET", r"tags/[^/]+/[^/]+", "ListTagsForResource"),
    ("POST", r"tags/[^/]+/[^/]+", "ChangeTagsForResource"),
]
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "server", "date"}


def action_of(method: str, url: str, headers: Mapping[str, str], body: bytes) -> str:
    """Return the action that a request asks for, such as "ec2:RunInstances"."""
    scope = SCOPE.search(headers.get("Authorization", ""))
    service = scope[1] if scope else "unsigned"
    parts = urlsplit(url)
    if service == "route53":
        path = parts.path.strip("/").partition("/")[2]
        names = [name for verb, pattern, name in ROUTE53 if verb == method and re.fullmatch(pattern, path)]
        return f"route53:{names[0] if names else f'{method} {path}'}"
    if target := headers.get("X-Amz-Target"):
        return f"{service}:{target.rpartition('.')[2]}"
    form = parse_qs(body.decode("utf-8", "replace")) | parse_qs(parts.query)
    return f"{service}:{form.get('Action', [f'{method} {parts.path}'])[0]}"


@dataclass
class Fault:
    """The error that the next calls of an action get."""

    times: int
    code: str
    status: int
    message: str
    # Whether the call is done, and only its answer is lost.
    after: bool

    def body(self, service: str) -> bytes:
        error = f"<Code>{self.code}</Code><Message>{escape(self.message)}</Message>"
        if service == "ec2":
            return f"<Response><Errors><Error>{error}</Error></Errors><RequestID>injected</RequestID></Response>".encode()
        error = f"<Error><Type>Sender</Type>{error}</Error><RequestId>injected</RequestId>"
        return f'<ErrorResponse xmlns="https://{service}.amazonaws.com/doc/">{error}</ErrorResponse>'.encode()


class Proxy(ThreadingHTTPServer):
    daemon_threads = True
    # Some tests have many clients at once.
    request_queue_size = 128

    def __init__(self, host: str, port: int, upstream: tuple[str, int]) -> None:
        super().__init__((host, port), Handler)
        self.upstream = upstream
        self.calls: list[str] = []
        self.faults: dict[str, list[Fault]] = {}
        self.pending = 0
        self.lock = threading.Lock()

    def fault_for(self, action: str) -> Fault | None:
        """Count the call, and return the fault for it, if any."""
        with self.lock:
            self.calls.append(action)
            waiting = self.faults.get(action, [])
            while waiting and waiting[0].times <= 0:
                waiting.pop(0)
            if not waiting:
                return None
            waiting[0].times -= 1
            return waiting[0]

    def still_pending(self, action: str) -> bool:
        """Return whether the answer to this call shall say PENDING. Each route53:GetChange brings the end nearer by one."""
        with self.lock:
            if not self.pending or action not in ("route53:ChangeResourceRecordSets", "route53:GetChange"):
                return False
            self.pending -= action == "route53:GetChange"
            return True


class Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"
    # An answer is one packet, which is sent at once.
    disable_nagle_algorithm = True
    wbufsize = -1

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def forward(self, body: bytes) -> tuple[int, bytes, Mapping[str, str]]:
        upstream = http.client.HTTPConnection(*self.server.upstream, timeout=120)
        try:
            upstream.request(self.command, self.path, body, dict(self.headers))
            response = upstream.getresponse()
            return response.status, response.read(), dict(response.getheaders())
        finally:
            upstream.close()

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/_calls":
            calls = list(self.server.calls)
            if self.command == "DELETE":
                self.server.calls.clear()
            self.answer(200, json.dumps(calls).encode(), {"Content-Type": "application/json"})
            return
        action = action_of(self.command, self.path, dict(self.headers), body)
        fault = self.server.fault_for(action)
        if fault and not fault.after:
            self.answer(fault.status, fault.body(action.partition(":")[0]), {"Content-Type": "text/xml"})
            return
        status, answer, headers = self.forward(body)
        if fault:
            self.close_connection = True
            return
        # In moto changes are in sync at once. In Route53 this takes up to a minute.
        if self.server.still_pending(action):
            answer = answer.replace(b">INSYNC<", b">PENDING<")
        self.answer(status, answer, headers)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = serve
