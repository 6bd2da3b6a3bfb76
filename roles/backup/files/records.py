# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copies the records of this node's databases into the repository, so that they outlive Nomad's servers.

A record is a Nomad variable: a database's description, its volume and its passwords. Its copy lies beside the archived log of the
database, and is removed with it. The copy is made again when the record changes. When a database is erased, its copy stays, and
says so.
https://developer.hashicorp.com/nomad/api-docs/task-api
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from repository import Repository
from volume import Volume, read_file

PREFIX = "databases/"
SOCKET = "/secrets/api.sock"
TOKEN = Path("/secrets/nomad_token")
TIMEOUT_SECONDS = 10.0


class SocketConnection(http.client.HTTPConnection):
    """HTTP through a socket in the file system."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(self.host)


def ask_nomad(path: str, **parameters: str) -> Any:
    """Return Nomad's answer; None if there is no such thing. Raise OSError if Nomad does not answer, or refuses."""
    connection = SocketConnection(SOCKET)
    try:
        query = urllib.parse.urlencode({"namespace": os.environ["NOMAD_NAMESPACE"]} | parameters)
        # Nomad renews the token.
        headers = {"X-Nomad-Token": TOKEN.read_text(encoding="ascii").strip(), "Host": "nomad"}
        connection.request("GET", f"/v1/{path}?{query}", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"Nomad did not answer: {error!r}") from None
    finally:
        connection.close()
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise OSError(f"Nomad answered {answer.status}: {body.decode(errors='replace').strip()}")
    return json.loads(body)


class Copied(NamedTuple):
    """The name of a database, the index of its record, and its control file, with which the copy can be written again."""

    name: str
    index: int
    control: bytes


class Records:
    def __init__(self, repository: Repository, ask: Callable[..., Any] = ask_nomad) -> None:
        self.repository, self.ask = repository, ask
        # What the repository has, by stanzas.
        self.copied: dict[str, Copied] = {}

    def copy(self, volumes: Mapping[str, Volume]) -> None:
        """Copy what has changed. Raise OSError for what cannot be known; what cannot be written is told at its volume."""
        present = {volume.stanza: volume for volume in volumes.values() if volume.ready}
        indices = {stub["Path"].removeprefix(PREFIX): stub["ModifyIndex"] for stub in self.ask("vars", prefix=PREFIX)}
        for volume in present.values():
            try:
                self._copy_one(volume, read_file(volume.path / "database"), indices)
                volume.record_error = ""
            except FileNotFoundError:
                # The database has not started yet, or is being erased.
                continue
            except (OSError, ValueError) as error:
                volume.record_error = str(error)
        problem: OSError | None = None
        for stanza in [stanza for stanza in self.copied if stanza not in present]:
            try:
                self._look_for_erased(stanza, indices)
            except OSError as error:
                problem = error
        if problem:
            raise problem

    def _copy_one(self, volume: Volume, name: str, indices: Mapping[str, int]) -> None:
        known = self.copied.get(volume.stanza)
        if name not in indices:
            return
        if known and known[:2] == (name, indices[name]):
            volume.recorded = time.time()
            return
        variable = self._read(name)
        # Whoever has broken into a database's container can name another database in this file.
        if variable is None or variable["Items"]["volume"] != volume.stanza:
            return
        copy = {"name": name, "items": variable["Items"], "created": variable["CreateTime"] / 1e9, "erased": 0}
        control = volume.read_control()
        self.repository.write_record(volume.stanza, control, copy | {"written": time.time()})
        self.copied[volume.stanza] = Copied(name, variable["ModifyIndex"], control)
        volume.recorded = time.time()

    def _look_for_erased(self, stanza: str, indices: Mapping[str, int]) -> None:
        """The volume is gone, or its database is left out of the backups. Only in the first case the record is gone, too."""
        known = self.copied[stanza]
        if indices.get(known.name) == known.index:
            return
        variable = self._read(known.name)
        if variable is not None and variable["Items"]["volume"] == stanza:
            self.copied[stanza] = known._replace(index=variable["ModifyIndex"])
            return
        copy = self.repository.read_record(stanza)
        self.repository.write_record(stanza, known.control, copy | {"written": time.time(), "erased": time.time()})
        del self.copied[stanza]

    def _read(self, name: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.ask(f"var/{PREFIX}{name}")
        return found
