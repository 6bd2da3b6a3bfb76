# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_confirm
short_description: See whether databases were ended while they were provisioned
version_added: 0.1.0
description:
  - The last step of provisioning. Where somebody else destroyed or erased a database meanwhile, its job is ended again, so that
    nothing is left half done.
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
- name: See that nobody ended them meanwhile
  infinite.databases.database_confirm:
    nomad_namespace: databases
    databases: "{{ claimed.states }}"
"""

RETURN = r"""
erased:
  description: The databases that were or are being erased.
  returned: success
  type: list
  elements: str
destroyed:
  description: The databases that were destroyed, with their data kept.
  returned: success
  type: list
  elements: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils.database_confirm import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
