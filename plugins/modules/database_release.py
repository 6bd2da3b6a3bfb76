# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_release
short_description: Stop, destroy or erase databases
version_added: 0.1.0
description:
  - Stops databases and keeps their data and credentials, or erases data and credentials for ever.
  - Waits until the servers have ended.
  - If one of the databases to be destroyed or erased is protected, nothing at all is changed.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports what would be stopped and erased, and refuses protected databases.
  diff_mode:
    support: none
    description: There is nothing to compare.
  idempotent:
    support: full
    description: A database that does not exist, or is already stopped, is skipped.
options:
  names:
    description: The databases' names.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(stopped) ends the server and keeps everything.
      - V(destroyed) does the same and notes the time, so that the database can be erased once a retention time is over. Until
        then, provisioning the name again brings the database back.
      - V(erased) ends the server and erases data and credentials.
      - A protected database can only be stopped.
    type: str
    choices: [stopped, destroyed, erased]
    default: destroyed
  due_retention:
    description: >-
      A retention time, such as C(7d). If it is given, a database is ended only if it is due, which is checked again at the moment
      when it is ended.
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
  description: The databases that were erased.
  returned: success
  type: list
  elements: str
missing:
  description: The names that no database has; with O(due_retention), also the names of databases that are no longer due.
  returned: success
  type: list
  elements: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._database.release import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
