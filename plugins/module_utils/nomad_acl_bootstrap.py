# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bootstrap Nomad's ACL system with a secret of the operator's own, so that it can be repeated."""

from __future__ import annotations

import time
import uuid
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    InvalidInput,
    NomadDenied,
    NomadError,
    NomadNoLeader,
    NomadUnreachable,
)
from ansible_collections.infinite.databases.plugins.module_utils.nomad import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "secret": {"type": "str", "required": True, "no_log": True},
    "wait_timeout": {"type": "float", "default": 60},
}


def ready(client: NomadClient, timeout: float) -> None:
    """A server that was just started needs some seconds to elect a leader."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            if client.endpoint("status/leader").get():
                return
            problem: NomadError = NomadNoLeader(f"Nomad at {client.address} has no leader; are enough of its servers running?")
        except (NomadUnreachable, NomadNoLeader) as error:
            problem = error
        if time.monotonic() > deadline:
            raise problem
        time.sleep(0.2)


def accessor(params: dict[str, Any]) -> str | None:
    """The accessor of the secret's token if Nomad knows it as a management token; None if it does not know it."""
    try:
        own = NomadClient(params | {"nomad_token": params["secret"], "nomad_token_file": None})
        token = own.endpoint("acl/token").get("self")
    except NomadDenied:
        return None
    if token["Type"] != "management":
        raise InvalidInput("The secret is that of a token with limited rights; bootstrapping needs a secret of its own")
    return str(token["AccessorID"])


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    try:
        uuid.UUID(params["secret"])
    except ValueError:
        raise InvalidInput("secret is not a UUID; make one with: uuidgen") from None
    # Bootstrapping is what makes the first token, so that there is none to use; a wrong one would only be in the way.
    client = NomadClient(params | {"nomad_token": None, "nomad_token_file": None})
    ready(client, params["wait_timeout"])
    known = accessor(params)
    if known or check_mode:
        return {"changed": not known, "accessor_id": known or "", "api_calls": client.api_calls}
    try:
        token = client.endpoint("acl/bootstrap").post(json={"BootstrapSecret": params["secret"]})
    except NomadError as error:
        if "already done" in str(error):
            raise NomadDenied(
                f"Nomad at {client.address} was bootstrapped with another secret; give that one, or reset its ACLs "
                "(https://developer.hashicorp.com/nomad/docs/secure/acl/bootstrap)"
            ) from None
        raise
    return {"changed": True, "accessor_id": token["AccessorID"], "api_calls": client.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
