# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_select
short_description: Find the databases that a task is about
version_added: 0.1.0
description:
  - Finds databases by their names or by their labels, and refuses databases whose state does not suit the task.
  - Reports all problems in one message, before anything is changed.
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
  names:
    description: One name, several with commas between them, or a list. Exclusive with O(labels); one of them is needed.
    type: raw
  labels:
    description:
      - The databases that have all of these labels, a mapping or V(team=web,tier=dev). This takes one request for each database.
    type: raw
  states:
    description:
      - The states in which a database may be. A database in another state is refused if it was named, and skipped if it was found
        by its labels.
    type: list
    elements: str
    choices: [running, starting, failed, no room, stopped, destroyed]
    default: [running, starting, failed, no room, stopped, destroyed]
  missing:
    description: >-
      Whether a name that no database has, or labels that match no database, fail the module (V(refuse)) or are only reported
      (V(tell)).
    type: str
    choices: [refuse, tell]
    default: refuse
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Find the databases of a pull request
  infinite.databases.database_select:
    nomad_namespace: databases
    labels: {pr: "123"}
    missing: tell
  register: found
"""

RETURN = r"""
databases:
  description: The databases that were found, as descriptions that have only a C(name).
  returned: success
  type: list
  elements: dict
states:
  description: The state of each database that was named or has the labels.
  returned: success
  type: dict
missing:
  description: The names that no database has.
  returned: success
  type: list
  elements: str
notes:
  description: A line for each database, name or set of labels that is skipped, with the reason.
  returned: success
  type: list
  elements: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._database.select import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
