# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_logs
short_description: Read a database's log
version_added: 0.1.0
description:
  - Returns the last lines of a database's log. It can also show new lines as they come; it continues when the server restarts and
    when the log is rotated.
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
    description: How many of the log's last lines to return.
    type: int
    default: 50
  follow:
    description:
      - Then show new lines until the database is stopped, O(seconds) are over, or Ctrl-C is pressed. The lines are shown at once.
        They are in the result only if the task runs as a module's process.
    type: bool
    default: false
  seconds:
    description: Stop following after so many seconds; V(0) for never.
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
  description: The lines; empty if they were shown already.
  returned: success
  type: list
  elements: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._database.logs import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
