# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program of the task `collector` in role status. It runs without Ansible. It gives the status page the databases' states,
but none of the secrets.

The collector sends one JSON object to every client that connects to its Unix socket, and reads nothing from the client. It reads a
record only if Nomad's list says that the record has changed. So a repeated look takes the same seven requests for any number of
databases; if databases are backed up, it takes one more, and one for each node. The sizes, the connections and the lack of memory,
which no API has, come from role status's service on each node (figures.py).
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import ssl
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._backup.state import of_database, read_states
from ansible_collections.infinite.databases.plugins.module_utils._database import details
from ansible_collections.infinite.databases.plugins.module_utils._database.checks import option_seconds
from ansible_collections.infinite.databases.plugins.module_utils._database.info import (
    describe,
    jobs_without_room,
    nodes_of_volumes,
    pool_counts,
    with_reasons,
)
from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import RECORDS, read_lists, read_state
from ansible_collections.infinite.databases.plugins.module_utils._database.record import find_record
from ansible_collections.infinite.databases.plugins.module_utils._nomad.capacity import taking_work
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils.errors import InfiniteError, NomadNotFound
from ansible_collections.infinite.databases.plugins.module_utils.runner import with_defaults

# The socket is in the directory that the tasks of one allocation share.
SOCKET = "/alloc/data/status.sock"
# The variables in which each node publishes its figures for the pages of the other nodes.
FIGURES = "status/"
# The variable in which site.yml has noted when tokens end.
TOKENS = "endings"
# FRESH is for how many seconds an answer is reused. PUBLISHED is the time between two writes of a node's figures.
FRESH = 5
PUBLISHED = 30
# The page warns this many seconds before a certificate ends, and says what to do.
WARNED = 30 * 86400
RENEW = "Run site.yml, which renews it or says why it cannot."
# Gauges of Nomad's agent, in seconds. https://developer.hashicorp.com/nomad/docs/reference/metrics
NOMAD_CERTIFICATES = {
    "nomad.agent.tls.cert.expiration_seconds": "Nomad's certificate",
    "nomad.agent.tls.ca.expiration_seconds": "The environment's CA",
}
# Only these keys of a database leave this process.
PUBLIC = (
    *("name", "state", "reason", "version", "node", "created", "expires", "destroyed", "erased_from", "size", "connections"),
    "backup",
)
PUBLIC_OF_BACKUP = ("last", "oldest", "newest", "tested", "pending", "pending_since", "alarm")

PROBLEM = "Nomad does not answer; see the log of this job's task collector."

Figures = Mapping[str, Any]


# Tags. ITU-T X.680, 8.6, and RFC 5280, 4.1.2.1.
VERSION, UTC_TIME = 0xA0, 0x17


def without_secrets(record: Mapping[str, Any]) -> dict[str, Any]:
    return dict(record) | {"password": "", "logins": {}}


def local_figures(port: int) -> dict[str, Any]:
    """Return the figures of this node's service; empty if the service does not run."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection, connection.makefile() as stream:
            found: dict[str, Any] = json.load(stream)
            return found
    except (OSError, ValueError):
        return {}


def fields(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tags and contents of the parts of a DER structure. ITU-T X.690, 8.1 and 10.1."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(der[at : at + size], "big"), at + size
        yield tag, der[at : at + length]
        at += length


def not_after(certificate: bytes) -> int:
    """Return when the certificate ends, in seconds since 1970. RFC 5280, 4.1.

    Python's ssl module shows this only for verified certificates, and the image has no other library for it.
    """
    _tag, signed_and_signature = next(fields(certificate))
    _tag, signed = next(fields(signed_and_signature))
    _serial, _algorithm, _issuer, validity = [content for tag, content in fields(signed) if tag != VERSION][:4]
    (_tag, _not_before), (tag, text) = fields(validity)
    form = "%y%m%d%H%M%SZ" if tag == UTC_TIME else "%Y%m%d%H%M%SZ"
    return int(datetime.strptime(text.decode(), form).replace(tzinfo=UTC).timestamp())


def served_until(host: str, address: str) -> int | None:
    """Return when the certificate that Traefik shows for a host ends; None if Traefik does not answer.

    Traefik's metrics are not used, because they keep former certificates.
    """
    context = ssl.create_default_context()
    # The certificate is only read, and not trusted.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    place, _colon, port = address.rpartition(":")
    try:
        with (
            socket.create_connection((place, int(port)), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=host) as tls,
        ):
            return not_after(tls.getpeercert(binary_form=True) or b"")
    except OSError:
        return None


def endings(certificates: Mapping[str, float], tokens: Iterable[Mapping[str, Any]], now: float) -> list[dict[str, Any]]:
    """Return the certificates and tokens that end soon, sorted by time."""
    found = [{"what": what, "until": int(until), "cure": RENEW} for what, until in certificates.items() if until - now < WARNED]
    found += [
        {"what": f"Nomad's token {one['name']}", "until": one["expires"], "cure": "Make a new token for its user."}
        for one in tokens
        if one["ending_from"] <= now < one["expires"]
    ]
    return sorted(found, key=lambda one: one["until"])


def measured(one: Mapping[str, Any], volume: Mapping[str, Any], address: str, figures: Mapping[str, Figures]) -> dict[str, Any]:
    """Return a database's size in bytes, and its connections while it runs; None if they are unknown. While it runs, also its
    state and reason if something is wrong."""
    node = figures.get(volume.get("NodeID", ""), {})
    found: dict[str, Any] = {"size": node.get("sizes", {}).get(volume.get("ID")), "connections": None}
    if one["state"] == "running" and address and "connections" in node:
        found["connections"] = node["connections"].get(address, 0)
    if one["state"] == "running" and (notice := details.notice(node.get("out_of_memory", {}).get(volume.get("ID")))):
        found["reason"] = notice
    if one["state"] == "running" and volume.get("ID") in node.get("read_only", ()):
        found["state"] = "read-only"
    return found


class Collector:
    def __init__(
        self, client: NomadClient, node: str, port: int, retention: int, backups: bool = False, host: str = "", traefik: str = ""
    ) -> None:
        """``backups`` says whether databases are backed up. ``host`` is a name in the databases' certificate; this node's Traefik
        shows it at ``traefik``, an ADDRESS:PORT."""
        self.client, self.node, self.port, self.retention = client, node, port, retention
        self.backups, self.host, self.traefik = backups, host, traefik
        self.known: dict[str, tuple[int, Any]] = {}
        self.lock = Lock()
        self.answer, self.answered = b"", -FRESH * 1.0

    def read(self, variables: Iterable[Mapping[str, Any]], prefix: str) -> dict[str, Any]:
        """Return the contents of the variables below a prefix, by name. Only variables that have changed are read again."""
        found = [one for one in variables if one["Path"].startswith(prefix)]
        changed = [one["Path"] for one in found if self.known.get(one["Path"], (0, {}))[0] != one["ModifyIndex"]]
        for path, (index, content) in zip(changed, values(self.client.map(self.read_one, changed)), strict=True):
            self.known[path] = (index, content)
        paths = {one["Path"] for one in found}
        for path in [path for path in self.known if path.startswith(prefix) and path not in paths]:
            del self.known[path]
        return {path.removeprefix(prefix): self.known[path][1] for path in sorted(paths) if self.known[path][1]}

    def read_one(self, path: str) -> tuple[int, Any]:
        """Return the variable's index and content; 0 and nothing if it vanished meanwhile."""
        if path.startswith(RECORDS):
            record = find_record(self.client, path.removeprefix(RECORDS))
            return (record["index"], without_secrets(record)) if record else (0, {})
        try:
            variable = self.client.variables.read(path)
        except NomadNotFound:
            return 0, {}
        (content,) = variable["Items"].values()
        return variable["ModifyIndex"], json.loads(content)

    def endings(self, tokens: Iterable[Mapping[str, Any]], now: float) -> list[dict[str, Any]]:
        gauges = {one["Name"]: one["Value"] for one in self.client.endpoint("metrics").get()["Gauges"]}
        certificates = {what: now + gauges[name] for name, what in NOMAD_CERTIFICATES.items() if name in gauges}
        if self.traefik and (until := served_until(self.host, self.traefik)):
            certificates["The databases' certificate"] = until
        return endings(certificates, tokens, now)

    def collect(self) -> dict[str, Any]:
        volumes, jobs, variables = read_lists(self.client)
        nodes = self.client.endpoint("nodes").get()
        addresses = {service["JobID"]: service["Address"] for service in self.client.services("postgres")}
        figures = self.read(variables, FIGURES) | {self.node: local_figures(self.port)}
        by_name = {volume["Name"]: volume for volume in volumes}
        records = self.read(variables, RECORDS)
        states = read_states(self.client) if self.backups else {}
        now = time.time()
        found = []
        without_room = jobs_without_room(self.client)
        described = describe(records, jobs, nodes_of_volumes(volumes, nodes), without_room)
        # The reasons come without the log, because a log may have users' statements in it, and not everybody may read it.
        for one in with_reasons(self.client, described, without_room, with_log=False):
            full = details.merged(one, records[one["name"]], self.retention or int(now), now)
            full |= measured(full, by_name.get(full["volume"], {}), addresses.get(full["name"], ""), figures)
            backup = of_database(states, records[one["name"]], now)
            # The reason may have lines of a log, which not everybody may read.
            backup["alarm"] = backup["alarm"].partition(": ")[0]
            full["backup"] = {key: backup.get(key) for key in PUBLIC_OF_BACKUP} if self.backups else None
            found.append({key: full[key] for key in PUBLIC})
        pool = pool_counts(read_state(volumes, jobs, variables).on(taking_work(nodes)))
        tokens = self.read(variables, TOKENS).get("", [])
        return {"when": int(now), "databases": found, "pool": pool, "endings": self.endings(tokens, now)}

    def tell(self) -> bytes:
        """Return the answer. It is reused for everybody who asks within some seconds."""
        with self.lock:
            if time.monotonic() - self.answered >= FRESH:
                try:
                    self.answer = json.dumps(self.collect()).encode()
                except InfiniteError as error:
                    sys.stderr.write(f"{error}\n")
                    self.answer = json.dumps({"problem": PROBLEM}).encode()
                self.answered = time.monotonic()
            return self.answer

    def publish(self, last: Figures) -> Figures:
        """Publish this node's figures for the other nodes, if they have changed."""
        now = local_figures(self.port)
        if now != last:
            self.client.variables.write(FIGURES + self.node, {"figures": json.dumps(now)})
        return now

    def keep_publishing(self) -> None:
        """Publish this node's figures from time to time, while there are other nodes."""
        last: Figures = {}
        while True:
            with suppress(InfiniteError):
                if len(self.client.endpoint("nodes").get()) > 1:
                    last = self.publish(last)
            time.sleep(PUBLISHED)


def serve(collector: Collector, path: str) -> None:
    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(10)
            with suppress(OSError):
                self.request.sendall(collector.tell())

    with suppress(FileNotFoundError):
        Path(path).unlink()
    with socketserver.ThreadingUnixStreamServer(path, Answer) as server:
        server.serve_forever()


def main() -> None:
    connection = {
        "nomad_address": "unix:///secrets/api.sock",
        "nomad_token_file": "/secrets/nomad_token",
        "nomad_namespace": os.environ["NOMAD_NAMESPACE"],
    }
    client = NomadClient(with_defaults(CONNECTION_SPEC, connection))
    retention = option_seconds("RETENTION", os.environ["RETENTION"])
    rest = os.environ["BACKUPS"] == "true", os.environ["HOST"], os.environ["TRAEFIK"]
    collector = Collector(client, os.environ["NODE"], int(os.environ["FIGURES_PORT"]), retention or 0, *rest)
    Thread(target=collector.keep_publishing, daemon=True).start()
    serve(collector, SOCKET)


if __name__ == "__main__":
    main()
