# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bootstraps Nomad's ACL system with a secret that the operator chose, so that an interrupted run can be repeated."""

from __future__ import annotations

import time
import uuid
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    InvalidInput,
    NomadDenied,
    NomadError,
    NomadNoLeader,
    NomadUnreachable,
)
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "secret": {"type": "str", "required": True, "no_log": True},
    "wait_timeout": {"type": "float", "default": 60},
}


def ready(client: NomadClient, timeout: float) -> None:
    """Wait for a leader. Servers that were just started need some seconds to elect one."""
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
    """Return the accessor of the secret's token, or None if Nomad does not know the secret."""
    try:
        own = NomadClient(params | {"nomad_token": params["secret"], "nomad_token_file": None})
        token = own.endpoint("acl/token").get("self")
    except NomadDenied:
        return None
    if token["Type"] != "management":
        raise InvalidInput("The secret belongs to a token with limited rights; bootstrapping needs a secret of its own")
    return str(token["AccessorID"])


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    try:
        uuid.UUID(params["secret"])
    except ValueError:
        raise InvalidInput("secret is not a UUID; make one with: uuidgen") from None
    # Bootstrapping makes the first token, so there is no token to use yet. Nomad would refuse a wrong one.
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
                f"Nomad at {client.address} was bootstrapped with another secret; give that secret, or reset its ACLs "
                "(https://developer.hashicorp.com/nomad/docs/secure/acl/bootstrap)"
            ) from None
        raise
    return {"changed": True, "accessor_id": token["AccessorID"], "api_calls": client.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
