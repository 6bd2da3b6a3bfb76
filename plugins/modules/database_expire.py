# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_expire
short_description: End databases and passwords that are past their time
version_added: 0.1.0
description:
  - Destroys databases whose ttl is over, erases databases that were destroyed longer ago than the retention time, and ends old
    passwords whose overlap is over.
  - Protected databases stay.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports what would end.
  diff_mode:
    support: none
    description: There is nothing to compare.
  idempotent:
    support: full
    description: What has ended already is skipped.
options:
  retention:
    description: How long a destroyed database is kept, such as V(7d).
    type: str
    default: 7d
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: End databases and passwords that are past their time
  infinite.databases.database_expire:
    nomad_namespace: databases
    retention: 7d
"""

RETURN = r"""
destroyed:
  description: The databases that were destroyed.
  returned: always
  type: list
  elements: str
erased:
  description: The databases that were erased.
  returned: always
  type: list
  elements: str
passwords:
  description: The databases whose old passwords were ended.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.infinite.databases.plugins.module_utils._database.expire import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
