# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_ready
short_description: Wait until databases answer
version_added: 0.1.0
description:
  - Sends C(select 1) to each database as its user would, by its host name and with verified TLS (C(sslmode=verify-full)), until it
    answers or the time is up.
  - If the O(databases[].allowed_cidrs) of a database leave this machine out, the database is ready when its node reports so.
extends_documentation_fragment:
  - infinite.databases.nomad
requirements:
  - psycopg >= 3.1
attributes:
  check_mode:
    support: full
    description: Sends the query in check mode, too, because the query changes nothing.
  diff_mode:
    support: none
    description: There is nothing to compare.
  idempotent:
    support: full
    description: Changes nothing.
options:
  databases:
    description: The databases.
    type: list
    elements: dict
    required: true
    suboptions:
      host:
        description: The host name.
        type: str
        required: true
      port:
        description: The port.
        type: int
        default: 5432
      name:
        description: The database's name.
        type: str
        required: true
      user:
        description: The user to log in as.
        type: str
        required: true
      password:
        description: The user's password.
        type: str
        required: true
      extensions:
        description: The extensions that the database must have.
        type: list
        elements: str
        default: []
      allowed_cidrs:
        description: The networks that the database's clients may come from; an empty list for all networks.
        type: list
        elements: str
        default: []
  ca_cert:
    description: A file with the CA that signed the certificate. Without it, the system's CAs are trusted.
    type: path
  timeout:
    description: >-
      Seconds to wait for one database. For several databases, one second is added for each further database; the sum is for all of
      them together.
    type: float
    default: 60
  refusal_timeout:
    description:
      - Seconds to wait for a server that refuses its user, for example because the database was dropped or its password was
        changed.
      - M(infinite.databases.database_grant) puts this right. A server that is starting refuses its user for a moment, too.
    type: float
    default: 15
  report:
    description: Report in the result which databases failed, instead of failing.
    type: bool
    default: false
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Wait for a database
  infinite.databases.postgresql_ready:
    databases:
      - host: mydb.db.example.com
        port: "{{ database_port }}"
        name: mydb
        user: "{{ mydb_login.user }}"
        password: "{{ mydb_login.password }}"
    ca_cert: "{{ database_ca_cert }}"
"""

RETURN = r"""
databases:
  description:
    - For each database its C(name), whether it is C(ready), after how many C(seconds) it answered, whether its server C(refused)
      its user because of a change by hand, and the C(problem), which is empty if there is none.
    - C(reachable) says whether the database can be reached from here. A database that is ready but not reachable was reported as
      healthy by its node.
  returned: always
  type: list
  elements: dict
"""

from ansible_collections.infinite.databases.plugins.module_utils._database.ready import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
