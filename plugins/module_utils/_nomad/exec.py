# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs a command in a task's container, and carries its input and output.

https://developer.hashicorp.com/nomad/api-docs/client#exec-allocation: a WebSocket with a JSON object in each message. The token
needs the right `alloc-exec`.
"""

from __future__ import annotations

import base64
import json
import os
import select
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import IMPORT_ERROR, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.websocket import CLOSE, PING, PONG, TEXT, Messages, frame
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput, NomadDenied, NomadError

if not IMPORT_ERROR:
    from ansible_collections.infinite.databases.plugins.module_utils._nomad.http import connection_problem

PIECE_BYTES = 48 * 1024
RECEIVE_BYTES = 1 << 18
# Proxies end connections on which nothing is sent. Nomad's own command sends an empty object as often.
HEARTBEAT_SECONDS = 10.0
TICK_SECONDS = 1.0
NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def upgrade_headers() -> dict[str, str]:
    key = base64.b64encode(os.urandom(16)).decode()
    return {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}


def input_message(data: bytes) -> bytes:
    """Return the message with a piece of the command's input; without data, the input's end."""
    operation = {"data": base64.b64encode(data).decode()} if data else {"close": True}
    return json.dumps({"stdin": operation}).encode()


class Exec:
    """A command in a running task. ``output`` gets the stream's name and the bytes."""

    def __init__(
        self, client: NomadClient, alloc: str, task: str, command: Sequence[str], output: Callable[[str, bytes], None]
    ) -> None:
        self.client, self.alloc, self.output = client, alloc, output
        self.what = f"exec in the task {task} of {alloc}"
        query = {"task": task, "command": json.dumps(list(command)), "tty": "false", "namespace": client.namespace}
        # The session of all other requests makes the connection. So TLS, proxies and several servers are the same as for them.
        self.response = client.endpoint("client/allocation").request(
            alloc, "exec", method="get", params=query, headers=upgrade_headers(), stream=True, timeout=client.timeout
        )
        if self.response.status_code != 101:
            self.response.close()
            raise NomadError(f"Nomad at {client.address}: {self.what}: it answers {self.response.status_code}, and no WebSocket")
        raw: Any = self.response.raw
        self.socket = raw.connection.sock
        self.socket.setblocking(False)
        self.messages, self.outbox, self.sent = Messages(), bytearray(), time.monotonic()
        self.status: int | None = None
        try:
            # The first messages may have come together with the answer's headers.
            early = raw._fp.fp.peek()
        except NOT_YET:
            early = b""
        self._understand(early)

    def send(self, data: bytes) -> None:
        self._queue(TEXT, input_message(data))

    def run(self, source: int | None = None, done: Callable[[], bool] = lambda: False) -> int | None:
        """Carry what can be read from the descriptor ``source`` to the command, and its output back, until the command ends.

        Return the exit status, or None if ``done``, which is called all the time, said that nothing else is wanted.

        Three traps of Nomad's docker driver (1.11.3): when a command ends, output that was not sent yet is thrown away. A command
        that has not begun yet may be taken for one that has ended, with status 0. When this connection is lost, the command's
        input does not end.
        """
        while self.status is None and not done():
            hungry = source is not None and len(self.outbox) < PIECE_BYTES
            reading = [self.socket, *([source] if hungry else [])]
            # The TLS library may have decrypted bytes that the socket does not show.
            pending = getattr(self.socket, "pending", int)()
            readable, writable, _ = select.select(reading, [self.socket] if self.outbox else [], [], 0 if pending else TICK_SECONDS)
            if source is not None and source in readable:
                source = self._feed(source)
            if pending or self.socket in readable:
                self._receive()
            if writable:
                self._write()
            if time.monotonic() - self.sent > HEARTBEAT_SECONDS and not self.outbox:
                self._queue(TEXT, b"{}")
        return self.status

    def close(self) -> None:
        self.response.close()

    def _feed(self, source: int) -> int | None:
        try:
            data = os.read(source, PIECE_BYTES)
        except OSError as error:
            raise InvalidInput(f"Cannot read the input ({error.strerror})") from None
        self.send(data)
        return source if data else None

    def _queue(self, kind: int, payload: bytes) -> None:
        self.outbox += frame(kind, payload)

    def _write(self) -> None:
        try:
            # The TLS library wants the same bytes again if it could not send them.
            count = self.socket.send(bytes(self.outbox[: 4 * PIECE_BYTES]))
        except NOT_YET:
            return
        except OSError as error:
            raise self._lost(error) from None
        del self.outbox[:count]
        self.sent = time.monotonic()

    def _receive(self) -> None:
        try:
            received = self.socket.recv(RECEIVE_BYTES)
        except NOT_YET:
            return
        except OSError as error:
            raise self._lost(error) from None
        if not received:
            raise self._lost(ConnectionResetError("the connection was closed"))
        self._understand(received)

    def _lost(self, error: OSError) -> NomadError:
        return connection_problem(error, self.client.address, self.client.timeout)

    def _understand(self, received: bytes) -> None:
        for kind, payload in self.messages.add(received):
            if kind == PING:
                self._queue(PONG, payload)
            elif kind == CLOSE and self.status is None:
                raise self._closed(payload)
            elif kind == TEXT:
                self._take(json.loads(payload))

    def _closed(self, payload: bytes) -> NomadError:
        text = " ".join(payload[2:].decode("utf-8", "replace").split())
        where = f"Nomad at {self.client.address}: {self.what}"
        if "Permission denied" in text:
            return NomadDenied(f"{where} ({text}): the token's policies do not allow it", 403)
        return NomadError(f"{where} ended early: {text or 'no reason given'}")

    def _take(self, found: dict[str, Any]) -> None:
        for stream in ("stdout", "stderr"):
            if data := (found.get(stream) or {}).get("data"):
                self.output(stream, base64.b64decode(data))
        if found.get("exited"):
            self.status = int((found.get("result") or {}).get("exit_code", 0))
