# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_release
short_description: Stop, destroy or erase databases
version_added: 0.1.0
description:
  - Stops databases, keeping their data and credentials, or erases these for ever.
  - Waits until the servers have ended.
  - Where a protected database is to be destroyed or erased, nothing at all is changed.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports what would be stopped and erased, and refuses what is protected.
  diff_mode:
    support: none
    description: There is nothing to compare.
  idempotent:
    support: full
    description: A database that does not exist, or is stopped already, is left alone.
options:
  names:
    description: The databases' names.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(stopped) ends the server and keeps everything.
      - V(destroyed) does the same, and notes when, so that it can be erased once a retention time is over. Provisioning the
        name again brings it back until then.
      - V(erased) ends the server and erases data and credentials.
      - A protected database can be stopped only.
    type: str
    choices: [stopped, destroyed, erased]
    default: destroyed
  due_retention:
    description: Only end what is due, at the moment when it is ended, with a retention time such as C(7d).
    type: str
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Stop a database
  infinite.databases.database_release:
    nomad_namespace: databases
    names: [mydb]
    state: stopped

- name: Erase a database
  infinite.databases.database_release:
    nomad_namespace: databases
    names: [mydb]
    state: erased
"""

RETURN = r"""
stopped:
  description: The databases whose servers were ended.
  returned: success
  type: list
  elements: str
erased:
  description: The databases that are no more.
  returned: success
  type: list
  elements: str
missing:
  description: The names that no database has; with O(due_retention), also of those that are no longer due.
  returned: success
  type: list
  elements: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils.database_release import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
