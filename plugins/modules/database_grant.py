# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_grant
short_description: Have servers restore their logins, database and extensions
version_added: 0.1.0
description:
  - Makes running servers apply their records again. A password that was changed by hand is set back, a database that was dropped
    is made again, and a connection limit of 0 is lifted. Nothing is restarted and no session ends.
  - The module does not wait for the servers; M(infinite.databases.postgresql_ready) does.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports which servers would do it.
  diff_mode:
    support: none
    description: There is nothing to compare.
  idempotent:
    support: none
    description: The servers do it in each run.
options:
  names:
    description: The databases' names. Databases that are gone, destroyed or being erased are skipped.
    type: list
    elements: str
    required: true
  take_back:
    description:
      - Take back a description that M(infinite.databases.database_claim) gave to the server without keeping it. Databases without
        such a description are skipped.
    type: bool
    default: false
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Put right what an owner changed by hand
  infinite.databases.database_grant:
    nomad_namespace: databases
    names: [mydb]
"""

RETURN = r"""
names:
  description: The databases whose servers apply their records again.
  returned: success
  type: list
  elements: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._database.grant import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
