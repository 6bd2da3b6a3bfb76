# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_why
short_description: Find out why a database is down or slow
version_added: 0.1.0
description:
  - Reads how the database's server ended, what its log says of memory, which sessions wait for a lock and who holds the lock, and
    which statements take longest.
  - The module sees the sessions as the database's owner does. Statements of other roles are not shown.
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
  name:
    description: The database.
    type: str
    required: true
  longest:
    description: How many sessions to return in RV(longest).
    type: int
    default: 5
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Find out why a database is slow
  infinite.databases.database_why:
    nomad_namespace: databases
    name: mydb
    domain: "{{ database_domain }}"
    port: "{{ database_port }}"
    ca_cert: "{{ database_ca_cert }}"
  register: why
"""

RETURN = r"""
state:
  description: V(read-only) or V(closed) if the host's disk guard made it so; otherwise empty.
  returned: success
  type: str
answers:
  description: Whether its server answers a query within two seconds.
  returned: success
  type: bool
full:
  description: Whether its server answers that it has no connection left.
  returned: success
  type: bool
restarts:
  description: How often Nomad has restarted the server in its current allocation.
  returned: success
  type: int
ends:
  description: How the server ended, for each time that Nomad remembers; the latest comes first.
  returned: success
  type: list
  elements: dict
  contains:
    when:
      description: Seconds since 1970.
      type: int
    how:
      description: The reason, in Nomad's words.
      type: str
reason:
  description: Why the server does not answer, in the words of its log; empty if the server answers or the log says nothing.
  returned: success
  type: str
out_of_memory:
  description: When the kernel ended a process of the server for lack of memory, according to the last 200 kB of its log.
  returned: success
  type: list
  elements: str
longest:
  description: The sessions that are longest in a statement or a transaction.
  returned: success
  type: list
  elements: dict
  contains:
    pid:
      description: The process on the server, for C(pg_cancel_backend) and C(pg_terminate_backend).
      type: int
    user:
      description: The session's login.
      type: str
    application:
      description: The session's C(application_name).
      type: str
    state:
      description: As in C(pg_stat_activity), such as V(active) or V(idle in transaction).
      type: str
    waits_for:
      description: What the session waits for; empty if it works.
      type: str
    seconds:
      description: How long the session has been in its transaction.
      type: float
    statement:
      description: The first 200 characters of the session's last statement.
      type: str
    blocked_by:
      description: The processes that hold the lock that the session waits for.
      type: list
      elements: int
waiting:
  description: >-
    The sessions that wait for a lock, as in RV(longest). Each has RV(ignore:holders), the sessions that hold the lock.
  returned: success
  type: list
  elements: dict
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._database.why import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
