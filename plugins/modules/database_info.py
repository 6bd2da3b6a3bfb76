# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_info
short_description: Tell which databases there are
version_added: 0.1.0
description:
  - Lists the databases, and how many prepared volumes wait for new ones, in four requests however many there are.
extends_documentation_fragment:
  - infinite.databases.nomad
  - infinite.databases.place
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
  details:
    description: Read each database's record as well, a request for each.
    type: bool
    default: false
  retention:
    description: How long a destroyed database is kept. It decides what is C(due).
    type: str
    default: 7d
  statistics:
    description: Ask each running server for its size and connections, by its host name. Needs O(details) and O(domain).
    type: bool
    default: false
  names:
    description: Only these databases. One name, several with commas between them, or a list.
    type: raw
    aliases: [name]
  labels:
    description: Only databases that have all of these labels, a mapping or V(team=web,tier=dev). Needs O(details).
    type: raw
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: List the databases
  infinite.databases.database_info:
    nomad_namespace: databases
  register: found
"""

RETURN = r"""
databases:
  description: The databases.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The database's name.
      type: str
    state:
      description: >-
        V(running), V(starting), V(failed), or V(stopped) where its data and credentials wait for it to be started again.
        With O(statistics) also V(read-only), and V(closed) where its logins are ended: the host's disk is nearly full
        because of it.
      type: str
    host:
      description: Its host name. This and what follows is empty where Nomad has forgotten a stopped job.
      type: str
    version:
      description: The major version of PostgreSQL.
      type: str
    volume:
      description: The name of its dynamic host volume.
      type: str
    node:
      description: The name of the Nomad node that has the volume, and so runs the database.
      type: str
    user:
      description: The login that the database's URL names. This and what follows is there with O(details).
      type: str
    roles:
      description: For each role the C(user) that its URL names, and when an old password is C(ending), if one still works.
      type: dict
    labels:
      description: Its labels.
      type: dict
    description:
      description: What else was asked for.
      type: dict
    created:
      description: When it was made. All times are seconds since 1970.
      type: int
    expires:
      description: When its ttl is over, if it has one.
      type: int
    destroyed:
      description: When it was destroyed, if it was. Its O(ignore:state) is then V(destroyed).
      type: int
    erased_from:
      description: When its retention time is over, if it was destroyed.
      type: int
    due:
      description: V(destroy) where its ttl is over, V(erase) where its retention time is over, else empty.
      type: str
    size:
      description:
        - The size of its data in bytes. This and what follows is there with O(statistics), and empty where no answer came soon.
      type: int
    connections:
      description: How many clients are connected.
      type: int
    connection_limit:
      description: How many may be.
      type: int
    started:
      description: When its server was started.
      type: int
missing:
  description: The O(names) that no database has.
  returned: success
  type: list
  elements: str
pool:
  description: For each major version, how many volumes are C(ready) and how many are C(preparing).
  returned: success
  type: dict
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils.database_info import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
