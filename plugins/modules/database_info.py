# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_info
short_description: List the databases
version_added: 0.1.0
description:
  - Lists the databases, and counts the prepared volumes that wait for new ones. It takes four requests for any number of databases.
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
    description: Read each database's record as well, which takes one request for each database.
    type: bool
    default: false
  retention:
    description: How long a destroyed database is kept. The value of C(due) depends on it.
    type: str
    default: 7d
  statistics:
    description: Ask each running server for its size and connections, by its host name. Needs O(details) and O(domain).
    type: bool
    default: false
  backups:
    description: Read what the nodes' backup agents say of each database. Needs O(details). It costs a request for each node.
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
        V(running), V(starting), V(failing) if its server ends again and again, V(failed), V(no room) if no node can take it,
        or V(stopped) if it was stopped and its data and credentials are kept.
        With O(statistics) also V(read-only), and V(closed) if nobody may log in. In both states the host's disk is nearly full
        because of this database.
      type: str
    reason:
      description: >-
        Why the database does not run although it should, from its log or from Nomad; empty if it runs. This is returned with
        O(details).
      type: str
    backup:
      description: >-
        The database's backups. This is returned with O(backups).
      type: dict
      contains:
        last:
          description: When the newest backup was finished, in seconds since 1970; none if there is no backup.
          type: int
        oldest:
          description: The first moment that can be restored, in seconds since 1970; none if there is no backup.
          type: int
        backups:
          description: The backups, oldest first, as M(infinite.databases.database_backup) returns one.
          type: list
          elements: dict
        newest:
          description: >-
            The last moment that can be restored if its node is lost now, in seconds since 1970; none if there is no backup. While
            the node is there, any moment until now can be restored.
          type: int
        pending:
          description: Bytes of the write-ahead log that wait to be archived; none if no agent knows the database.
          type: int
        pending_since:
          description: Since when they wait, in seconds since 1970; none if nothing waits.
          type: float
        tested:
          description: When the database was last restored to test it, with success, in seconds since 1970; none if it was not.
          type: float
        test:
          description: The last test restore, as M(infinite.databases.database_backup) returns it.
          type: dict
        alarm:
          description: What is wrong; empty if nothing is, or if the database is left out of the backups.
          type: str
    notice:
      description: >-
        What is wrong with the database although it runs, such as C(out of memory 3 times since its start); empty if nothing is
        known to be. This is returned with O(details).
      type: str
    host:
      description: Its host name. This key and the following ones are empty if Nomad has forgotten a stopped job.
      type: str
    version:
      description: The major version of PostgreSQL.
      type: str
    volume:
      description: The name of its dynamic host volume.
      type: str
    node:
      description: The name of the Nomad node that has the volume and therefore runs the database.
      type: str
    user:
      description: The login in the database's URL. This key and the following ones are returned with O(details).
      type: str
    roles:
      description: For each role the C(user) in its URL, and when an old password is C(ending), if one still works.
      type: dict
    labels:
      description: Its labels.
      type: dict
    description:
      description: The other keys that were asked for.
      type: dict
    created:
      description: When the database was made. All times are seconds since 1970.
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
      description: V(destroy) if its ttl is over, V(erase) if its retention time is over, otherwise empty.
      type: str
    size:
      description:
        - The size of its data in bytes. This key and the following ones are returned with O(statistics). They are empty if the
          server did not answer soon.
      type: int
    connections:
      description: How many clients are connected.
      type: int
    connection_limit:
      description: How many clients may be connected.
      type: int
    started:
      description: When its server was started.
      type: int
    extensions:
      description: The extensions that the database has.
      type: list
      elements: str
    out_of_memory:
      description:
        - How often the kernel has ended a process of its server for lack of memory, since the server was started. Empty also if the
          server was started by an older version of this collection.
      type: int
    memory_used:
      description: The memory in use in bytes, including what the kernel caches of the database's files.
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

from ansible_collections.infinite.databases.plugins.module_utils._database.info import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
