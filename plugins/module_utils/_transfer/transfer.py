# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copies a database into another by a Nomad job, which runs beside a database of this environment. No data passes through this
machine.

transfer.nomad.hcl copies in one transaction. If anything ends early, the target stays as it was.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ansible.module_utils.common.parameters import env_fallback

from ansible_collections.infinite.databases.plugins.module_utils._database.checks import check_name
from ansible_collections.infinite.databases.plugins.module_utils._database.connection import IMPORT_ERROR, connect
from ansible_collections.infinite.databases.plugins.module_utils._database.record import WANTED, read_record
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.hcl import parse_job
from ansible_collections.infinite.databases.plugins.module_utils._transfer import url as transfer_url
from ansible_collections.infinite.databases.plugins.module_utils._transfer.lock import JOB_PREFIX, interruptible, locked
from ansible_collections.infinite.databases.plugins.module_utils._transfer.url import Place
from ansible_collections.infinite.databases.plugins.module_utils._transfer.watch import Ends, Watch, failure
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput, NomadNotFound
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

if not IMPORT_ERROR:
    import psycopg

# Counts tables, except those of extensions.
SIZES = """
select (select count(*) from pg_stat_user_tables
         where not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = relid and deptype = 'e')),
       pg_database_size(current_database())
"""

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "source": {"type": "str"},
    "source_file": {"type": "path"},
    "source_url": {"type": "str", "no_log": True, "fallback": (env_fallback, ["SOURCE_URL"])},
    "target": {"type": "str"},
    "target_file": {"type": "path"},
    "target_url": {"type": "str", "no_log": True, "fallback": (env_fallback, ["TARGET_URL"])},
    "ca_file": {"type": "path"},
    "replace": {"type": "bool", "default": False},
    "without_extensions": {"type": "list", "elements": "str", "default": []},
    "images": {"type": "dict", "required": True},
    "transfer_job": {"type": "str", "required": True},
    "domain": {"type": "str", "required": True},
    "port": {"type": "int", "default": 5432},
    "ca_cert": {"type": "str", "default": ""},
}


def check_versions(source: Mapping[str, Any], target: Mapping[str, Any]) -> None:
    """Refuse a copy into an older PostgreSQL: no server takes the dump of a newer version for sure."""
    if int(source["version"]) > int(target["version"]):
        raise InvalidInput(
            f"{target['name']} is PostgreSQL {target['version']}, which cannot take the data of {source['name']}, PostgreSQL "
            f"{source['version']}; nothing was changed, so provision a database of version {source['version']} and copy into that"
        )


class Transfer:
    """The source, the target, and the database of this environment that the job runs beside."""

    def __init__(self, client: NomadClient, params: Mapping[str, Any]) -> None:
        self.client, self.params = client, params
        self.names = {end: self._name(end) for end in ("source", "target")}
        self.beside = self.names["target"] or self.names["source"]
        if not self.beside:
            raise InvalidInput("Neither source nor target is a database of this environment; name one of them")
        if self.names["source"] == self.names["target"]:
            raise InvalidInput(f"{self.beside}: a database cannot be copied into itself; name another")
        self.records = {name: self._record(name) for name in self.names.values() if name}
        if self.names["source"] and self.names["target"]:
            check_versions(self.records[self.names["source"]], self.records[self.names["target"]])
        self.servers = {one["JobID"]: one for one in client.services("postgres") if one["JobID"] in self.records}
        for name in self.records:
            if name not in self.servers:
                raise InvalidInput(f"{name}: its server does not run; start it (idb start {name})")
        self.places = {end: self._place(end) for end in ("source", "target")}
        ours = self.records.get(self.names["target"])
        self.ends = Ends(self.places["source"], self.places["target"], ours["spec"] if ours else None)

    def _name(self, end: str) -> str:
        given = self.params[end]
        if not given or transfer_url.is_url(given):
            return ""
        try:
            return check_name(given)
        except ValueError as error:
            raise InvalidInput(f"{end}: {error}") from None

    def _record(self, name: str) -> dict[str, Any]:
        try:
            return read_record(self.client, name)
        except NomadNotFound:
            raise InvalidInput(f"{name}: there is no such database; see `list` for the names there are") from None

    def _place(self, end: str) -> Place:
        if self.names[end]:
            return self._ours(self.records[self.names[end]])
        verb = {"source": "from", "target": "to"}[end]
        given, path, url = (self.params[option] for option in (end, f"{end}_file", f"{end}_url"))
        if given:
            place = transfer_url.place_of(end, given, self.params["ca_file"])
            if place.password:
                raise InvalidInput(
                    f"{end}: a password does not belong in arguments, which others can see; give the URL in the environment "
                    f"variable {end.upper()}_URL, or in a file (-e {verb}_file=PATH)"
                )
            return place
        if path:
            return transfer_url.place_of(f"{end}_file", transfer_url.read_url(f"{end}_file", path), self.params["ca_file"])
        if url:
            return transfer_url.place_of(f"{end.upper()}_URL", url, self.params["ca_file"])
        raise InvalidInput(
            f"{end}: not given; add -e {verb}=NAME for a database of this environment, or put the URL of another into the "
            f"environment variable {end.upper()}_URL or a file (-e {verb}_file=PATH)"
        )

    def _ours(self, record: Mapping[str, Any]) -> Place:
        """Return how the job connects to a database of this environment.

        If the job is on the database's node, it joins the network of the database's server. Otherwise it connects as users do.
        """
        name, server = record["name"], self.servers[record["name"]]
        options = {"user": record["user"], "dbname": name}
        if server["NodeID"] == self.servers[self.beside]["NodeID"]:
            options |= {"host": "127.0.0.1", "port": "5432", "sslmode": "disable"}
            network = f"container:postgres-{server['AllocID']}"
            return Place(name, options, record["password"], network=network, secrets=[record["password"]])
        addresses = {node["ID"]: node["Address"] for node in self.client.endpoint("nodes").get()}
        ca = (
            transfer_url.read_certificates("ca_cert", self.params["ca_cert"])
            if self.params["ca_cert"]
            else transfer_url.system_cas()
        )
        options |= {
            "host": f"{name}.{self.params['domain']}",
            "hostaddr": addresses[server["NodeID"]],
            "port": str(self.params["port"]),
            "sslmode": "verify-full",
            "sslrootcert": transfer_url.CA_FILE,
        }
        return Place(name, options, record["password"], ca, secrets=[record["password"]])

    def variables(self, job: str) -> dict[str, Any]:
        # PostgreSQL 17 keeps notes in its columns' options (pg_attver), which only its own pg_dump leaves out. So each end has the
        # programs of its own version. The version of a server elsewhere is not known yet.
        versions = {end: self.records[name or self.beside]["version"] for end, name in self.names.items()}
        for end, version in versions.items():
            if version not in self.params["images"]:
                name = self.names[end] or self.beside
                raise InvalidInput(f"{name}: there is no image of PostgreSQL {version} here; run site.yml with that version")
        return {
            "id": job,
            "namespace": self.client.namespace,
            "node": self.servers[self.beside]["NodeID"],
            "images": {end: self.params["images"][version] for end, version in versions.items()},
            "versions": versions,
            "networks": {end: place.network for end, place in self.places.items()},
            "cas": {end: place.ca for end, place in self.places.items()},
            "replace": self.params["replace"],
            "without_extensions": self.params["without_extensions"],
            "extensions": (self.ends.target_spec or {}).get("extensions") or [],
        }

    def credentials(self) -> dict[str, str]:
        items: dict[str, str] = {}
        for end, place in self.places.items():
            items |= {f"{end}_service": place.service(end), f"{end}_pass": place.passfile()}
        return items

    def look(self) -> dict[str, dict[str, int]]:
        """Return the tables and bytes of the databases of this environment. This is for check mode, which runs no job."""
        found = {}
        for end, name in self.names.items():
            if not name or IMPORT_ERROR:
                continue
            server = {"host": f"{name}.{self.params['domain']}", "port": self.params["port"]}
            with suppress(psycopg.Error), connect({**self.records[name], **server}, self.params["ca_cert"], 5) as connection:
                row = connection.execute(SIZES).fetchone()
                found[end] = dict(zip(("tables", "bytes"), row or (), strict=True))
        return found


def move(transfer: Transfer) -> dict[str, Any]:
    client, job = transfer.client, f"{JOB_PREFIX}{transfer.beside}_{secrets.token_hex(4)}"
    specification = parse_job(client, transfer.params["transfer_job"], transfer.variables(job))
    with locked(client, transfer.beside, job) as lock:
        client.variables.write(WANTED + job, transfer.credentials())
        watch = Watch(client, transfer.ends, lock, job)
        client.jobs.put(json={"Job": specification})
        result = watch.run()
        return result | {"progress": watch.progress, "seconds": round(time.monotonic() - watch.start, 1)}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    transfer = Transfer(client, params)
    result: dict[str, Any] = {"changed": True} | {end: place.label for end, place in transfer.places.items()}
    if check_mode:
        found = transfer.look()
        if found.get("target", {}).get("tables") and not params["replace"]:
            raise failure(transfer.ends, "occupied", str(found["target"]["tables"]))
        return result | {"found": found, "api_calls": client.api_calls}
    with interruptible(transfer.beside):
        return result | move(transfer) | {"api_calls": client.api_calls}


SPEC = ModuleSpec(
    ARGUMENT_SPEC,
    run,
    mutually_exclusive=[["source", "source_file"], ["target", "target_file"]],
    # A URL with a password is refused, and the refusal must not show it.
    hide_parameters=True,
)
