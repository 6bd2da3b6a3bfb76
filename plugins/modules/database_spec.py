# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_spec
short_description: Check descriptions of databases
version_added: 0.1.0
description:
  - Checks the descriptions that a playbook was given before any API is called, and reports every problem of every database in one
    message.
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
  diff_mode:
    support: none
    description: There is nothing to compare.
  idempotent:
    support: full
    description: Changes nothing.
options:
  databases:
    description:
      - A list of descriptions, each a mapping of these keys. All but C(name) may be left out.
      # Made by scripts/generate: keys
      - "C(name): 1 to 63 lower-case letters, digits and hyphens: the name of the database, of its owner and of its host."
      - >-
        C(version): PostgreSQL's major version. It cannot be changed afterwards. Without it: 17, or
        the newest where there is no 17.
      - "C(memory): MiB reserved on the node. Without it: 64."
      - >-
        C(memory_max): MiB that the database may use while the node has them free. PostgreSQL's own
        settings are derived from this key. Without it: 256.
      - "C(cpu): MHz reserved on the node. The database uses more while the node has more free. Without it: 5."
      - >-
        C(disk): MiB that the data may take. It needs hosts whose kernel has XFS project quotas, and
        is refused on others. 0 for no limit. Without it: no limit.
      - "C(connections): How many clients may be connected, 5 to 10000. Without it: derived from C(memory_max)."
      - "C(statement_timeout): Seconds after which a statement is ended; 0 for never. Without it: never."
      - "C(idle_timeout): Seconds after which an idle session is ended; 0 for never. Without it: never."
      - >-
        C(idle_in_transaction_timeout): Seconds after which a session that is idle inside a
        transaction is ended; 0 for never. Without it: never.
      - "C(temp_file_limit): MiB of temporary files of one session; 0 for no limit. Without it: no limit."
      - "C(settings): A mapping of PostgreSQL's settings, such as C({work_mem: 8MB}), or lines such as C(work_mem = 8MB)."
      - >-
        C(extensions): A list, such as C([pgvector, postgis, pg_cron]), or C(pgvector,hstore). An
        extension that the image lacks is refused; the message lists the extensions that the image
        has.
      - >-
        C(allowed_cidrs): The networks that clients may come from: a list, or text with commas. A
        change takes effect within seconds, without a restart. Without it: the networks of the
        environment (C(environment_allowed_cidrs)), or all.
      - "C(labels): A mapping, or C(team=web,tier=dev). Verbs find databases by their labels."
      - >-
        C(ttl): The time after which C(expire) destroys the database, such as C(12h) or C(7d). It
        counts from the database's creation, or from when it was brought back. C(never) takes a ttl
        away. Without it: C(never).
      - >-
        C(backup): C(false) leaves the database out of the backups. A change restarts the database.
        Without it: C(true), if the environment has a repository for backups (C(backup_s3_bucket) or
        C(backup_directory)).
      - "C(protect): C(true) protects the database from being destroyed. Without it: C(false)."
      # End of keys
      - An empty string counts as not given, except for a name.
    type: raw
  only:
    description: >-
      Check only the database of this name, or the databases of several names (V(a,b) or a list). O(databases) need not contain
      them.
    type: raw
  options:
    description: Keys and values for the description of O(only). They win over those in O(databases).
    type: dict
    default: {}
  versions:
    description: The major versions of PostgreSQL that have an image.
    type: list
    elements: str
    required: true
  domain:
    description: The domain of the databases' host names.
    type: str
    required: true
  disk_quota:
    description: Whether the hosts can enforce C(disk), the size that a database may have; see docs/limits.md.
    type: bool
    default: false
  backups:
    description: Whether the environment has a repository for backups. Without one, C(backup=true) is refused.
    type: bool
    default: true
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Check all databases of the inventory
  infinite.databases.database_spec:
    databases: "{{ databases }}"
    versions: ["15", "17"]
    domain: db.example.com
  register: checked
"""

RETURN = r"""
databases:
  description: The descriptions, with each value in its type. Keys that were not given are left out.
  returned: success
  type: list
  elements: dict
problems:
  description: The problems, each with its place.
  returned: failure
  type: list
  elements: str
"""

from ansible_collections.infinite.databases.plugins.module_utils._database.spec import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
