# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_spec
short_description: Check descriptions of databases
version_added: 0.1.0
description:
  - Checks what a playbook was asked for before anything is asked of any API, and reports every problem of every
    database in one message.
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
  diff_mode:
    support: none
    description: There is nothing to compare.
  idempotent:
    support: full
    description: Changes nothing.
options:
  databases:
    description:
      - A list of descriptions. A description has a C(name) and, if need be, C(version), C(memory), C(memory_max) (MiB),
        C(cpu) (MHz), C(disk) (MiB), C(settings) (a mapping of PostgreSQL's settings) and C(protect).
      - An empty string means that nothing was said, except for a name.
    type: raw
  only:
    description: Look at the database of this name alone, or those of several (V(a,b) or a list); they need not be in the list.
    type: raw
  options:
    description: Keys and values for the description of O(only), which win over the list's.
    type: dict
    default: {}
  versions:
    description: The major versions of PostgreSQL that there are images for.
    type: list
    elements: str
    required: true
  domain:
    description: The domain of the databases' host names.
    type: str
    required: true
  disk_quota:
    description: Whether the hosts can enforce C(disk), the size that a database may have; see docs/limits.md.
    type: bool
    default: false
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Check all databases of the inventory
  infinite.databases.database_spec:
    databases: "{{ databases }}"
    versions: ["15", "17"]
    domain: db.example.com
  register: checked
"""

RETURN = r"""
databases:
  description: The descriptions, with their values in their types. Keys that were not given are not there.
  returned: success
  type: list
  elements: dict
problems:
  description: Each problem and where it is.
  returned: failure
  type: list
  elements: str
"""

from ansible_collections.infinite.databases.plugins.module_utils.database_spec import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
