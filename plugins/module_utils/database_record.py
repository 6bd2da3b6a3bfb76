# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is kept of a database in Nomad Variables.

- ``databases/<name>``, the record, which no workload can read: the passwords of its logins, its volume, and what was asked for.
- ``nomad/jobs/<name>``, which the database's own job reads: what follows from the record for the server, without a password.

The second is written after the first. So it is out of date exactly if Nomad's index of it is lower, which lists tell.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadConflict, NomadNotFound
from ansible_collections.infinite.databases.plugins.module_utils.nomad import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.pool import RECORDS

WANTED = "nomad/jobs/"
SCRAM_ITERATIONS = 4096
# PostgreSQL cuts a name after 63 bytes. An underscore is in no database's name, so that no two of these are the same.
NAME_BYTES = 63
# What each role may do is in postgres.nomad.hcl.
ROLES = ("owner", "rw", "ro")


def new_password() -> str:
    """32 characters that need no escaping in a URL, 192 bits."""
    return secrets.token_urlsafe(24)


def scram_verifier(password: str, salt: bytes | None = None) -> str:
    """What PostgreSQL stores for an ASCII password. https://www.rfc-editor.org/rfc/rfc5803 and RFC 7677

    The salt follows from the password, so that the same is written each time; of 192 random bits it gives nothing away.
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
    """The PostgreSQL role that owns a role's rights."""
    return name if role == "owner" else suffixed(name, f"_{role}")


def other_login(name: str, role: str, login: str) -> str:
    """A role's second login, or its first again: while passwords are changed both work."""
    first = role_name(name, role)
    return first if login != first else suffixed(name, "_b" if role == "owner" else f"_{role}_b")


def new_logins(name: str) -> dict[str, dict[str, str]]:
    return {role: {"user": role_name(name, role), "password": new_password()} for role in ROLES}


def wanted(record: Mapping[str, Any]) -> str:
    """A line for each login and extension that the server shall have: `login ROLE LOGIN VERIFIER`, `extension NAME - -`."""
    lines = []
    for role, login in record["logins"].items():
        # Besides the one that URLs name: one that will be, or one that was.
        valid = [login, *(login[key] for key in ("next", "ending") if key in login)]
        lines += [f"login {role_name(record['name'], role)} {one['user']} {scram_verifier(one['password'])}" for one in valid]
    lines += [f"extension {extension} - -" for extension in record["spec"].get("extensions") or []]
    return "".join(f"{line}\n" for line in lines)


def read_record(client: NomadClient, name: str) -> dict[str, Any]:
    """A database's record; NomadNotFound where there is no such database."""
    variable = client.variables.read(RECORDS + name)
    items = variable["Items"]
    logins = json.loads(items["logins"])
    return {
        "name": name,
        "user": logins["owner"]["user"],
        "password": logins["owner"]["password"],
        "logins": logins,
        "version": items["version"],
        "volume": items["volume"],
        "spec": json.loads(items["spec"]),
        # When it was destroyed, in seconds since 1970; 0 for a database that lives.
        "destroyed": int(items.get("destroyed", 0)),
        # Somebody erases it, or began to and was interrupted: nothing brings it back.
        "erasing": bool(items.get("erasing")),
        # What its ttl counts from, in seconds since 1970, where that is not its creation.
        "renewed": int(items.get("renewed", 0)),
        "index": variable["ModifyIndex"],
        # Nanoseconds. https://developer.hashicorp.com/nomad/api-docs/variables/variables
        "created_at": variable["CreateTime"] // 1_000_000_000,
        "created": False,
    }


def write_record(client: NomadClient, record: Mapping[str, Any], index: int) -> int:
    """The record's new index; NomadConflict if somebody else was quicker."""
    items = {key: record[key] for key in ("version", "volume")}
    items |= {key: json.dumps(record[key], sort_keys=True) for key in ("logins", "spec")}
    items |= {key: str(int(record[key])) for key in ("destroyed", "erasing", "renewed") if record.get(key)}
    return int(client.variables.write(RECORDS + record["name"], items, cas=index)["ModifyIndex"])


def find_record(client: NomadClient, name: str) -> dict[str, Any] | None:
    try:
        return read_record(client, name)
    except NomadNotFound:
        return None


def write_wanted(client: NomadClient, record: Mapping[str, Any], asked: Mapping[str, Any] | None = None) -> None:
    """Write what the job reads: what follows from the record, and from what is asked for and not kept yet.

    Whoever writes it looks at the record once more afterwards. So of two runs that change one record at once, the one that
    writes last has written what follows from both; and nothing is left of a database that is erased meanwhile.
    """
    path = WANTED + record["name"]
    while True:
        now = dict(record) | {"spec": dict(record["spec"]) | dict(asked or {})}
        index = client.variables.write(path, {"wanted": wanted(now)})["ModifyIndex"]
        found = find_record(client, record["name"])
        if found is None or found["erasing"]:
            with suppress(NomadConflict):
                client.variables.delete(path, cas=index)
            raise NomadNotFound("it was erased by another run meanwhile; provision it again")
        if found["index"] == record["index"]:
            return
        record = found
