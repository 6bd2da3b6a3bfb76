# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of RFC 6455 that a client of Nomad needs: frames to send, and messages that arrive in pieces.

A library would be one more dependency of each controller, for these two functions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

CONTINUATION, TEXT, CLOSE, PING, PONG = 0x0, 0x1, 0x8, 0x9, 0xA
FINAL, MASKED = 0x80, 0x80
# Payloads of these lengths are written with two and with eight bytes of length.
TWO_BYTES, EIGHT_BYTES = 126, 127


def frame(kind: int, payload: bytes) -> bytes:
    """Return a message of one frame. A client masks what it sends. https://www.rfc-editor.org/rfc/rfc6455#section-5.2"""
    size, mask = len(payload), os.urandom(4)
    if size < TWO_BYTES:
        length = bytes([MASKED | size])
    elif size < 1 << 16:
        length = bytes([MASKED | TWO_BYTES]) + size.to_bytes(2, "big")
    else:
        length = bytes([MASKED | EIGHT_BYTES]) + size.to_bytes(8, "big")
    # One operation on two large numbers is much faster than one for each byte.
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return bytes([FINAL | kind]) + length + mask + (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")


class Messages:
    """Joins received bytes to frames, and frames to messages."""

    def __init__(self) -> None:
        self.rest, self.message, self.kind = bytearray(), bytearray(), TEXT

    def add(self, received: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the kind and the payload of each message that is complete now."""
        self.rest += received
        while found := self._frame():
            first, payload = found
            kind = first & 0x0F
            if kind >= CLOSE:
                # A control message has one frame, and may come between the frames of another message.
                yield kind, payload
                continue
            if kind != CONTINUATION:
                self.kind = kind
            self.message += payload
            if first & FINAL:
                whole, self.message = bytes(self.message), bytearray()
                yield self.kind, whole

    def _frame(self) -> tuple[int, bytes] | None:
        """Take the next frame, if all of it is there, and return its first byte and its payload. A server masks nothing."""
        if len(self.rest) < 2:
            return None
        size, start = self.rest[1], 2
        if size in (TWO_BYTES, EIGHT_BYTES):
            start = 4 if size == TWO_BYTES else 10
            size = int.from_bytes(self.rest[2:start], "big")
        if len(self.rest) < start + size:
            return None
        found = self.rest[0], bytes(self.rest[start : start + size])
        del self.rest[: start + size]
        return found
