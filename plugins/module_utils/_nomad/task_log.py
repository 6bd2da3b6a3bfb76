# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads a task's log: its last lines, or new lines as they come.

Our tasks write their logs themselves, to alloc/data/TASK.STREAM.NUMBER; the highest number is the newest. Nomad's own collection
of logs would take two processes for each container. Its directory alloc/logs is read-only for tasks from Nomad 2.0.1 on.

https://developer.hashicorp.com/nomad/api-docs/client#stream-file: the answer is a sequence of JSON objects with nothing between
them. Each object has a piece of the file. Every second, an object without data is sent.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import IMPORT_ERROR, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadError, NomadNotFound

if not IMPORT_ERROR:
    import requests

    from ansible_collections.infinite.databases.plugins.module_utils._nomad.http import connection_problem

DIRECTORY = "alloc/data"
# Nomad sends an object every second, so a silence of this length means that the connection is lost.
SILENCE_SECONDS = 10.0
PAUSE_SECONDS = 0.5
# The explanation of a failure does not wait longer for the log.
LAST_LOG_SECONDS = 5.0


def path(task: str, stream: str, number: int) -> str:
    return f"{DIRECTORY}/{task}.{stream}.{number}"


def since(sizes: Mapping[int, int], count: int | None) -> list[tuple[int, int]]:
    """Return the files, and the offset in each, that have the last ``count`` bytes. Without a count, return all files."""
    found: list[tuple[int, int]] = []
    for number in sorted(sizes, reverse=True):
        offset = 0 if count is None else max(0, sizes[number] - count)
        found.insert(0, (number, offset))
        if count is not None and (count := count - sizes[number]) <= 0:
            break
    return found


def pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Return the data of the JSON objects, which may be spread over chunks. An object without data gives empty bytes."""
    decoder, rest = json.JSONDecoder(), ""
    for chunk in chunks:
        # The objects and the base64 in them are ASCII, so a chunk cannot end within a character.
        rest += chunk.decode("ascii", "replace")
        while rest := rest.lstrip():
            try:
                found, end = decoder.raw_decode(rest)
            except ValueError:
                break
            rest = rest[end:]
            yield base64.b64decode(found.get("Data") or "")


class TaskLog:
    """One stream of one task of an allocation."""

    def __init__(self, client: NomadClient, alloc: str, task: str, stream: str, namespace: str | None = None) -> None:
        self.client, self.alloc, self.task, self.stream = client, alloc, task, stream
        self.namespace = namespace or client.namespace

    def sizes(self, timeout: float | None = None) -> dict[int, int]:
        """Return the files' sizes by their numbers. There are none before the task has been started."""
        name = re.compile(rf"{re.escape(self.task)}\.{self.stream}\.(\d+)")
        try:
            listing = self.client.endpoint("client/fs/ls")
            entries = listing.get(self.alloc, path=DIRECTORY, namespace=self.namespace, timeout=timeout) or []
        except NomadNotFound:
            return {}
        return {int(match[1]): int(entry["Size"]) for entry in entries if (match := name.fullmatch(entry["Name"]))}

    def read(self, number: int, offset: int, timeout: float | None = None) -> bytes:
        """Return the contents of the file from the offset on."""
        where = {"path": path(self.task, self.stream, number), "offset": str(offset), "namespace": self.namespace}
        content: bytes = self.client.endpoint("client/fs/readat").send("get", self.alloc, timeout=timeout, **where).content
        return content

    def last(self, count: int, timeout: float | None = None) -> str:
        """Return the last ``count`` bytes."""
        found = since(self.sizes(timeout), count)
        return b"".join(self.read(*where, timeout) for where in found).decode("utf-8", "replace")

    def collected(self, count: int, timeout: float | None = None) -> str:
        """Return the last ``count`` bytes of the log that Nomad collects, if it collects one."""
        where = {"task": self.task, "type": self.stream, "origin": "end", "offset": str(count), "plain": "true"}
        logs = self.client.endpoint("client/fs/logs")
        text: str = logs.send("get", self.alloc, timeout=timeout, namespace=self.namespace, **where).text
        return text

    def follow(self, count: int | None) -> Iterator[bytes]:
        """Yield the last ``count`` bytes, and then new bytes as they come, without end.

        Every second without news, yield empty bytes.
        """
        while not (sizes := self.sizes()):
            yield b""
            time.sleep(PAUSE_SECONDS)
        number, offset = since(sizes, count)[0]
        while True:
            # Once the next file exists, nothing more is written to this one.
            following = self._following(number)
            for data in self._stream(number, offset, follow=following is None):
                offset += len(data)
                yield data
                if not data and following is None and self._following(number) is not None:
                    break
            else:
                # The file's end was reached, or the file was removed.
                if following is None:
                    yield b""
                    time.sleep(PAUSE_SECONDS)
                else:
                    number, offset = following, 0

    def _following(self, number: int) -> int | None:
        return min((other for other in self.sizes() if other > number), default=None)

    def _stream(self, number: int, offset: int, follow: bool) -> Iterator[bytes]:
        query = {
            "namespace": self.namespace,
            "path": path(self.task, self.stream, number),
            "offset": str(offset),
            "follow": "true" if follow else "false",
        }
        endpoint = self.client.endpoint("client/fs/stream")
        try:
            with endpoint.request(self.alloc, method="get", params=query, stream=True, timeout=SILENCE_SECONDS) as response:
                yield from pieces(response.iter_content(chunk_size=None))
        except requests.exceptions.RequestException as error:
            raise connection_problem(error, self.client.address, SILENCE_SECONDS) from None
        except NomadError as error:
            if "no such file" not in str(error):
                raise


def last_log(client: NomadClient, alloc: str, task: str, namespace: str, count: int = 2000) -> str:
    """Return the last bytes of the task's log, from our files or from Nomad; empty if there are none. It never raises."""
    for stream in ("stderr", "stdout"):
        log = TaskLog(client, alloc, task, stream, namespace)
        for last in (log.last, log.collected):
            with suppress(NomadError):
                if (text := last(count, LAST_LOG_SECONDS)).strip():
                    return text
    return ""
