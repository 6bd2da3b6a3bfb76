# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_logs
short_description: Read a database's log
version_added: 0.1.0
description:
  - Returns the last lines of a database's log, or shows new ones as they come, across restarts and the log's rotation.
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
  name:
    description: The database.
    type: str
    required: true
  lines:
    description: How many of its last lines.
    type: int
    default: 50
  follow:
    description:
      - Go on with new lines until the database is stopped, O(seconds) are over, or Ctrl-C. They are shown at once, and are in the
        result only where the task runs as a module's process.
    type: bool
    default: false
  seconds:
    description: End following after so many seconds; V(0) for never.
    type: int
    default: 0
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Read the end of a log
  infinite.databases.database_logs:
    nomad_namespace: databases
    name: mydb
    lines: 20
  register: log
"""

RETURN = r"""
lines:
  description: The lines; empty where they were shown already.
  returned: success
  type: list
  elements: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils.database_logs import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
