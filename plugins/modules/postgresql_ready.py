# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_ready
short_description: Wait until databases answer
version_added: 0.1.0
description:
  - Asks C(select 1) of each database as its user will, by its host name and with TLS verified (C(sslmode=verify-full)),
    until it answers or the time is up.
requirements:
  - psycopg >= 3.1
attributes:
  check_mode:
    support: full
    description: Asks in check mode too, since asking changes nothing.
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
        description: The role to log in as.
        type: str
        required: true
      password:
        description: The role's password.
        type: str
        required: true
      extensions:
        description: The extensions that it must have as well.
        type: list
        elements: str
        default: []
  ca_cert:
    description: A file with the CA that signed the certificate. Without it, the system's CAs are trusted.
    type: path
  timeout:
    description: Seconds to wait for one database; for several a second more for each further one, for all of them together.
    type: float
    default: 60
  workers:
    description: How many databases are asked at once.
    type: int
    default: 8
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Wait for a database
  infinite.databases.postgresql_ready:
    databases:
      - host: mydb.db.example.com
        name: mydb
        user: "{{ mydb_login.user }}"
        password: "{{ mydb_login.password }}"
    ca_cert: "{{ database_ca_cert }}"
"""

RETURN = r"""
databases:
  description: For each database its C(name), whether it is C(ready), and after how many C(seconds) it answered.
  returned: always
  type: list
  elements: dict
"""

from ansible_collections.infinite.databases.plugins.module_utils.postgresql_ready import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
