# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_node_info
short_description: Tell which nodes and servers Nomad has, and wait for them
version_added: 0.1.0
description:
  - Lists the nodes (clients), how they are, and the addresses of the servers that have joined, in two requests.
  - It needs the right to read nodes.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reads only.
  diff_mode:
    support: none
    description: Changes nothing.
  idempotent:
    support: full
    description: Reads only.
options:
  wait_nodes:
    description: Names of nodes to wait for, until they are ready.
    type: list
    elements: str
    default: []
  wait_driver:
    description: A driver, such as V(docker), that has to be healthy on the nodes of O(wait_nodes).
    type: str
  wait_servers:
    description: Addresses of servers to wait for, as C(address:port), until they have joined.
    type: list
    elements: str
    default: []
  wait_timeout:
    description: After how many seconds the wait for what is still lacking is a failure.
    type: float
    default: 60
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: See which nodes there are
  infinite.databases.nomad_node_info:
  register: found

- name: Wait until each of them can run containers
  infinite.databases.nomad_node_info:
    wait_nodes: "{{ found.nodes | map(attribute='name') }}"
    wait_driver: docker
"""

RETURN = r"""
nodes:
  description: The nodes, by name; also those that are down.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Its id.
      type: str
    name:
      description: Its name.
      type: str
    status:
      description: V(initializing), V(ready), V(disconnected) or V(down).
      type: str
    eligible:
      description: Whether the scheduler may place something there. It may not on a node that is drained.
      type: bool
    address:
      description: Its address.
      type: str
    datacenter:
      description: Its datacenter.
      type: str
    pool:
      description: Its node pool.
      type: str
    version:
      description: The version of Nomad that it runs.
      type: str
    drivers:
      description: The drivers that are healthy there, or were before it went down.
      type: list
      elements: str
      sample: [docker]
servers:
  description: The servers that have joined (Raft's peers), as C(address:port).
  returned: success
  type: list
  elements: str
  sample: ["10.0.0.5:4647"]
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._nomad.node_info import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
