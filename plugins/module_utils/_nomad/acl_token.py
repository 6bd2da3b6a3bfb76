# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Manages Nomad's ACL tokens. Nomad makes their secrets. Each secret is written to a file on the controller, and nowhere else."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.objects import Change
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput, NomadDenied
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "name": {"type": "str", "required": True},
    "type": {"type": "str", "choices": ["client", "management"], "default": "client"},
    "policies": {"type": "list", "elements": "str", "default": []},
    "global": {"type": "bool", "default": False},
    "secret_file": {"type": "path", "no_log": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def stored_accessor(params: dict[str, Any]) -> str | None:
    """Return the accessor of the token whose secret is in the file.

    Return None without a file, or if Nomad does not know the secret.
    """
    path = params.get("secret_file")
    if not path or not os.path.exists(path):
        return None
    try:
        own = NomadClient(params | {"nomad_token_file": path}).endpoint("acl/token").get("self")
    except (NomadDenied, InvalidInput):
        return None
    return str(own["AccessorID"])


def check_place(path: str) -> None:
    """Check that the secret can be written. Nomad shows a secret only once, so no token is made if the secret cannot be kept."""
    directory = os.path.dirname(os.path.abspath(path))
    if not os.access(directory, os.W_OK | os.X_OK):
        raise InvalidInput(f"secret_file: {directory} is not a directory that can be written to; make it first")


def write_secret(path: str, secret: str) -> None:
    """Write the whole file or nothing, readable only by its owner: an interrupted run must not leave half a secret."""
    directory = os.path.dirname(os.path.abspath(path))
    descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=".token-")  # mkstemp sets the mode 0600
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret + "\n")
    os.replace(temporary, path)


def shape(token: dict[str, Any]) -> dict[str, Any]:
    """Return a token in the form in which tokens are compared and shown, without its secret."""
    kept = {key: token[key] for key in ("Name", "Type", "Global")}
    return kept | {"Policies": sorted(token.get("Policies") or [])}


def plan(tokens: list[dict[str, Any]], accessor: str | None, params: dict[str, Any]) -> tuple[Change, list[str], str | None]:
    """Return the change, the accessors of the tokens to delete, and the accessor of the token to keep.

    Nobody can use a token whose secret is lost: it is deleted and made again.
    """
    ours = [token for token in tokens if token["Name"] == params["name"]]
    if params["state"] == "absent":
        before = shape(ours[0]) if ours else None
        return Change(params["name"], before, None), [token["AccessorID"] for token in ours], None
    wanted = {key: params[key.lower()] for key in ("Name", "Type", "Policies", "Global")}
    after = shape(wanted)
    kept = next((t for t in ours if accessor == t["AccessorID"] or not params.get("secret_file")), None)
    if kept and (kept["Type"], kept["Global"]) != (after["Type"], after["Global"]):
        kept = None  # Nomad cannot change a token's type or whether it is global
    stale = [token["AccessorID"] for token in ours if token is not kept]
    return Change(params["name"], shape(kept) if kept else None, after), stale, kept["AccessorID"] if kept else None


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    if params.get("secret_file") and params["state"] == "present":
        check_place(params["secret_file"])
    one = client.endpoint("acl/token")
    tokens = client.endpoint("acl/tokens").get()
    change, stale, kept = plan(tokens, stored_accessor(params), params)
    result: dict[str, Any] = {"changed": change.changed or bool(stale), "accessor_id": kept or ""}
    if result["changed"]:
        result["diff"] = change.diff()
    if not check_mode:
        for accessor in stale:
            one.delete(accessor)
        if change.after is not None and change.changed:
            body = change.after | ({"AccessorID": kept} if kept else {})
            token = one.post(*([kept] if kept else []), json=body)
            result["accessor_id"] = token["AccessorID"]
            if not kept and params.get("secret_file"):
                write_secret(params["secret_file"], token["SecretID"])
            elif not kept:
                result["secret_id"] = token["SecretID"]
        if change.after is None and params.get("secret_file") and os.path.exists(params["secret_file"]):
            os.remove(params["secret_file"])
            result["changed"] = True
    return result | {"api_calls": client.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
