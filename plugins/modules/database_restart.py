# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_restart
short_description: Restart databases' servers
version_added: 0.1.0
description:
  - Restarts the servers in place, all at once, and waits until each has started again. PostgreSQL's fast shutdown ends sessions.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports what would be restarted.
  diff_mode:
    support: none
    description: There is nothing to compare.
  idempotent:
    support: none
    description: Each run restarts the servers.
options:
  names:
    description: The databases' names. All of them must be running, or nothing is restarted.
    type: list
    elements: str
    required: true
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Restart a database
  infinite.databases.database_restart:
    nomad_namespace: databases
    names: [mydb]
"""

RETURN = r"""
restarted:
  description: The databases that were restarted.
  returned: success
  type: list
  elements: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._database.restart import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
