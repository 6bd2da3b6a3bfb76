# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_orphans
short_description: Remove what interrupted runs left behind without a record
version_added: 0.1.0
description:
  - Volumes that were claimed for databases that never were go back to the pool. What only a database's job reads, and jobs on
    volumes that are no more, are removed where there is no such database. Transfers that nobody attends to are ended.
  - Nothing that may hold data is touched, and no run in progress is disturbed.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports what would be removed.
  diff_mode:
    support: none
    description: There is nothing to compare.
  idempotent:
    support: full
    description: Where there is nothing left behind, nothing is changed.
options:
  age:
    description: Seconds after which a claimed volume that no database has goes back to the pool.
    type: float
    default: 900.0
  names:
    description: Names, of hosts entries for instance, that were read before this is run and of which to tell which no database has.
    type: list
    elements: str
    default: []
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Clean up after runs that were interrupted
  infinite.databases.database_orphans:
    nomad_namespace: databases
"""

RETURN = r"""
jobs:
  description: Jobs that were forgotten.
  returned: success
  type: list
  elements: str
credentials:
  description: Databases that are gone, and of which what their jobs read was deleted.
  returned: success
  type: list
  elements: str
transfers:
  description: Databases of which a transfer was ended that nobody attends to any more.
  returned: success
  type: list
  elements: str
volumes:
  description: Volumes that went back to the pool.
  returned: success
  type: list
  elements: str
unexplained:
  description: Jobs whose volume is there and whose record is not. They are let alone, since there may be data.
  returned: success
  type: list
  elements: str
unknown:
  description: Those of O(names) that no database has.
  returned: success
  type: list
  elements: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils.database_orphans import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
