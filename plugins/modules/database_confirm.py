# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_confirm
short_description: Check whether databases were ended while they were provisioned
version_added: 0.1.0
description:
  - This is a last step of provisioning. If somebody else destroyed or erased a database meanwhile, the module ends its job again,
    so that nothing is left half done.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports which databases were ended.
  diff_mode:
    support: none
    description: There is nothing to compare.
  idempotent:
    support: full
    description: A database that nobody ended is left alone.
options:
  databases:
    description: What M(infinite.databases.database_claim) returned as C(states).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The database's name.
        type: str
        required: true
      volume:
        description: Its volume.
        type: str
        required: true
      index:
        description: The index of its record.
        type: int
        required: true
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Check that nobody ended the databases meanwhile
  infinite.databases.database_confirm:
    nomad_namespace: databases
    databases: "{{ claimed.states }}"
"""

RETURN = r"""
erased:
  description: The databases that another run has erased or is erasing.
  returned: success
  type: list
  elements: str
destroyed:
  description: The databases that another run has destroyed; their data is kept.
  returned: success
  type: list
  elements: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._database.confirm import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
