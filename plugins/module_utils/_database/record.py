# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The two Nomad Variables of a database.

- ``databases/<name>`` is the record: the passwords of the database's logins, its volume, and its description. No database can
  read it.
- ``nomad/jobs/<name>`` is for the database's own job: what the server needs of the record, without passwords.

The second variable is written after the record. So it is out of date exactly if its index is lower than the record's index. Nomad's
lists have these indices.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import RECORDS
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadConflict, NomadNotFound

WANTED = "nomad/jobs/"
SCRAM_ITERATIONS = 4096
# PostgreSQL cuts a name after 63 bytes. No database's name has an underscore, so the names below differ from all databases' names.
NAME_BYTES = 63
# grant.sh says what each role may do.
ROLES = ("owner", "rw", "ro")


def new_password() -> str:
    """Return 32 random characters (192 bits) that need no escaping in a URL."""
    return secrets.token_urlsafe(24)


def scram_verifier(password: str, salt: bytes | None = None) -> str:
    """Return what PostgreSQL stores for an ASCII password. https://www.rfc-editor.org/rfc/rfc5803 and RFC 7677

    The salt is derived from the password, so that the verifier is the same each time. It reveals nothing of 192 random bits.
    """
    encoded = password.encode("ascii")
    salt = salt or hashlib.sha256(b"infinite.databases salt:" + encoded).digest()[:16]
    salted = hashlib.pbkdf2_hmac("sha256", encoded, salt, SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(SCRAM_ITERATIONS, *parts)


def suffixed(name: str, suffix: str) -> str:
    return name[: NAME_BYTES - len(suffix)] + suffix


def role_name(name: str, role: str) -> str:
    """Return the PostgreSQL role that has the rights of the database's role."""
    return name if role == "owner" else suffixed(name, f"_{role}")


def other_login(name: str, role: str, login: str) -> str:
    """Return the role's other login. A role has two logins, which take turns; during the overlap both work."""
    first = role_name(name, role)
    return first if login != first else suffixed(name, "_b" if role == "owner" else f"_{role}_b")


def new_logins(name: str) -> dict[str, dict[str, str]]:
    return {role: {"user": role_name(name, role), "password": new_password()} for role in ROLES}


def wanted(record: Mapping[str, Any]) -> str:
    """Return a line for each login and extension that the server should have, and for the last order to back it up:
    `login ROLE LOGIN VERIFIER`, `extension NAME - -`, `order ID KIND -`.
    """
    lines = []
    for role, login in record["logins"].items():
        # Besides the login in the URL, a role may have the next login or the old one.
        valid = [login, *(login[key] for key in ("next", "ending") if key in login)]
        lines += [f"login {role_name(record['name'], role)} {one['user']} {scram_verifier(one['password'])}" for one in valid]
    spec = record["spec"] | record.get("trying", {})
    lines += [f"extension {extension} - -" for extension in spec.get("extensions") or []]
    lines += [f"order {record['order']} -"] if record.get("order") else []
    return "".join(f"{line}\n" for line in lines)


def read_items(name: str, items: Mapping[str, str]) -> dict[str, Any]:
    """Return what the items of a record's variable say."""
    logins = json.loads(items["logins"])
    return {
        "name": name,
        "user": logins["owner"]["user"],
        "password": logins["owner"]["password"],
        "logins": logins,
        "version": items["version"],
        "volume": items["volume"],
        "spec": json.loads(items["spec"]),
        # Keys that the server is asked for, but that are not in the spec yet. If they work, they are kept; otherwise taken back.
        "trying": json.loads(items.get("trying", "{}")),
        # When the database was destroyed, in seconds since 1970; 0 if it was not.
        "destroyed": int(items.get("destroyed", 0)),
        # Whether somebody is erasing the database, or began to and was interrupted. Nothing brings it back.
        "erasing": bool(items.get("erasing")),
        # The id and the kind (full, diff, incr, wal or test) of the last order to back the database up.
        "order": items.get("order", ""),
        # What is to be restored into the volume before the database runs; empty if nothing is.
        "restore": json.loads(items.get("restore", "{}")),
        # When the ttl was renewed, in seconds since 1970; 0 if the ttl counts from the creation.
        "renewed": int(items.get("renewed", 0)),
    }


def read_record(client: NomadClient, name: str) -> dict[str, Any]:
    """Return a database's record, or raise NomadNotFound if there is no such database."""
    variable = client.variables.read(RECORDS + name)
    return read_items(name, variable["Items"]) | {
        "index": variable["ModifyIndex"],
        # Nanoseconds. https://developer.hashicorp.com/nomad/api-docs/variables/variables
        "created_at": variable["CreateTime"] // 1_000_000_000,
        "created": False,
    }


def write_record(client: NomadClient, record: Mapping[str, Any], index: int) -> int:
    """Write the record and return its new index, or raise NomadConflict if somebody else was quicker."""
    items = {key: record[key] for key in ("version", "volume")}
    items |= {key: json.dumps(record[key], sort_keys=True) for key in ("logins", "spec")}
    items |= {key: json.dumps(record[key], sort_keys=True) for key in ("trying", "restore") if record.get(key)}
    items |= {"order": record["order"]} if record.get("order") else {}
    items |= {key: str(int(record[key])) for key in ("destroyed", "erasing", "renewed") if record.get(key)}
    return int(client.variables.write(RECORDS + record["name"], items, cas=index)["ModifyIndex"])


def find_record(client: NomadClient, name: str) -> dict[str, Any] | None:
    try:
        return read_record(client, name)
    except NomadNotFound:
        return None


def write_wanted(client: NomadClient, record: Mapping[str, Any]) -> None:
    """Write the variable for the job. Its content depends on the record alone.

    After writing the variable, read the record again. If two runs change one record at the same time, the last writer of the
    variable has then seen both changes. And if the database is erased meanwhile, the variable is deleted.
    """
    path = WANTED + record["name"]
    while True:
        index = client.variables.write(path, {"wanted": wanted(record)})["ModifyIndex"]
        found = find_record(client, record["name"])
        if found is None or found["erasing"]:
            with suppress(NomadConflict):
                client.variables.delete(path, cas=index)
            raise NomadNotFound("it was erased by another run meanwhile; provision it again")
        if found["index"] == record["index"]:
            return
        record = found


def change(client: NomadClient, record: Mapping[str, Any], edit: Callable[[Mapping[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Write the edited record and the variable for the job. If somebody else wrote the record meanwhile, edit the new one."""
    while True:
        new = edit(record)
        try:
            if new != record:
                new["index"] = write_record(client, new, record["index"])
            write_wanted(client, new)
            return new
        except NomadConflict:
            found = find_record(client, record["name"])
            if found is None:
                raise NomadNotFound("it was erased by another run meanwhile") from None
            record = found
