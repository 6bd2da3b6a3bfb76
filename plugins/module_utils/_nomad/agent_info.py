# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lists Nomad's agents and their versions.

https://developer.hashicorp.com/nomad/api-docs/agent#list-members, https://developer.hashicorp.com/nomad/api-docs/nodes#list-nodes
"""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

# The page of a Nomad that was built from its Go module, or whose configuration switches the UI off.
NO_UI = re.compile(r"Nomad UI is (not available|disabled)")
ARGUMENT_SPEC: dict[str, dict[str, Any]] = {**CONNECTION_SPEC}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    # A server's name is the name of its node, with the region after it.
    servers = [
        {"name": member["Name"].rpartition(".")[0], "server": True, "version": member["Tags"]["build"], "status": member["Status"]}
        for member in client.endpoint("agent/members").get()["Members"]
    ]
    clients = [
        {"name": node["Name"], "server": False, "version": node["Version"], "status": node["Status"]}
        for node in client.endpoint("nodes").get()
    ]
    agents = sorted(servers + clients, key=lambda one: (one["name"], one["server"]))
    # The page is not below /v1/ and needs no token, so it is not an endpoint of the client.
    settings = client.settings
    page = client.session.get(f"{settings['address']}/ui/", verify=settings["verify"], cert=settings["cert"]).text
    return {"changed": False, "agents": agents, "ui": not NO_UI.search(page), "api_calls": client.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
