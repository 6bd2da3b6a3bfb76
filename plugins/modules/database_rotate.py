# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_rotate
short_description: Give databases' roles new passwords
version_added: 0.1.0
description:
  - Gives a role of each database a new login and password. The database's URL has them as soon as the server was seen to accept
    them. The old login works until the overlap is over. Until then, no session ends and no server is restarted.
  - If one of several databases cannot be changed, none is changed.
  - A role has two logins, which take turns. Both act as the same PostgreSQL role, so an object that one of them makes belongs to
    both.
extends_documentation_fragment:
  - infinite.databases.nomad
  - infinite.databases.place
attributes:
  check_mode:
    support: full
    description: Reports what would change.
  diff_mode:
    support: none
    description: The change is a secret.
  idempotent:
    support: partial
    description:
      - V(rotated) makes a new password each time, but finishes a rotation that was interrupted. The other states change nothing in
        a second run.
options:
  names:
    description: The databases' names.
    type: list
    elements: str
    required: true
  role:
    description: The role whose password changes.
    type: str
    choices: [owner, rw, ro]
    default: owner
  overlap:
    description: How long the old password works, such as V(90m), V(24h) or V(7d).
    type: str
    default: 24h
  state:
    description:
      - V(rotated) makes a new password, and needs O(domain). It fails while an old password of the role still works.
      - V(ended) ends the old password of the role now. Its sessions are closed.
      - V(expired) ends the old passwords of all roles whose overlap is over.
    type: str
    choices: [rotated, ended, expired]
    default: rotated
  skip_rotated:
    description:
      - With V(rotated), skip databases whose old password still works, instead of failing.
      - This way, an interrupted run can be repeated.
    type: bool
    default: false
  timeout:
    description: Seconds within which the servers must accept the new passwords.
    type: float
    default: 60
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Give a database a new password
  infinite.databases.database_rotate:
    nomad_namespace: databases
    names: [mydb]
    overlap: 2h
    domain: db.example.com
    port: "{{ database_port }}"
    ca_cert: "{{ database_ca_cert }}"
"""

RETURN = r"""
names:
  description: The databases that were changed.
  returned: success
  type: list
  elements: str
users:
  description: For each database the user that logs in with the new password. A role has two users, which take turns.
  returned: success
  type: dict
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._database.rotate import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
