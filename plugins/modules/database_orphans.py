# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_orphans
short_description: Remove what interrupted runs left behind
version_added: 0.1.0
description:
  - Gives volumes back to the pool that were claimed for databases that were never made. If a database does not exist, removes the
    variables that only its job reads, and its job if the job's volume is gone. Ends transfers that no run attends to any more.
  - Touches nothing that may hold data, and disturbs no run in progress.
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
    description: If nothing was left behind, nothing is changed.
options:
  age:
    description: Seconds after which a claimed volume that no database has goes back to the pool.
    type: float
    default: 900.0
  names:
    description:
      - Names, such as those in a hosts file. RV(unknown) returns the ones that no database has.
      - Read the names before this module is run. A database that is made later could otherwise be taken for one that is gone.
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
  description: Jobs that were removed.
  returned: success
  type: list
  elements: str
credentials:
  description: Databases that are gone, and whose variables for their jobs were deleted.
  returned: success
  type: list
  elements: str
transfers:
  description: Databases whose transfer was ended, because no run attended to it any more.
  returned: success
  type: list
  elements: str
volumes:
  description: Volumes that went back to the pool.
  returned: success
  type: list
  elements: str
unexplained:
  description: Jobs whose volume exists, but whose record is missing. They are skipped, because the volume may hold data.
  returned: success
  type: list
  elements: str
unknown:
  description: The O(names) that no database has.
  returned: success
  type: list
  elements: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._database.orphans import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
