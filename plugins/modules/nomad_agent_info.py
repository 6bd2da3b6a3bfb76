# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_agent_info
short_description: List Nomad's agents and their versions
version_added: 0.1.0
description:
  - Lists servers and clients, in three requests. A host that is a server and a client is listed twice.
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
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: See which version each agent runs
  infinite.databases.nomad_agent_info:
  register: found
"""

RETURN = r"""
agents:
  description: The agents, by name.
  returned: success
  type: list
  elements: dict
  sample: [{"name": db1, "server": true, "version": "2.0.5", "status": alive}]
ui:
  description: Whether this Nomad has a web UI. A Nomad that was built from its Go module has none.
  returned: success
  type: bool
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._nomad.agent_info import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
