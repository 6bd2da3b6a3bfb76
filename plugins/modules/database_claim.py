# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_claim
short_description: Give databases their credentials and their volumes
version_added: 0.1.0
description:
  - Makes a record for each database that has none. A record is the Nomad variable C(databases/NAME), with a new password and
    a volume claimed from the pool. The module returns the records of all databases.
  - A record is made once and then kept, even if runs are repeated, interrupted, or made at the same time.
  - If the pool has too few volumes, the missing ones are prepared first, which takes about ten seconds.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports which databases would be new. Their records have no password.
  diff_mode:
    support: partial
    description: Shows the changes of existing descriptions.
  idempotent:
    support: full
    description: An existing record is returned as it is.
options:
  databases:
    description: Descriptions as M(infinite.databases.database_spec) returns them.
    type: list
    elements: dict
    required: true
  default_version:
    description: The major version of PostgreSQL of new databases that do not name one.
    type: str
    default: "17"
  images:
    description: The image of each major version.
    type: dict
    required: true
  extensions:
    description: The extensions that the image of each major version has. A version without an entry accepts any extension.
    type: dict
    default: {}
  defaults:
    description:
      - The values of keys that a description leaves out. C(memory) in MiB and C(cpu) in MHz are reserved; C(memory_max) is used
        by O(settings_job).
      - A new database is put on a node that has this memory and CPU free. If no node has, nothing is changed.
    type: dict
    default: {memory: 64, cpu: 5}
  pool_job:
    description: The job that prepares volumes, in HCL.
    type: str
    required: true
  settings_job:
    description:
      - The job that tries PostgreSQL's settings, in HCL. If it is given, the server's own check tries new settings before anything
        is made or changed. Check mode runs no job and tries no settings.
    type: str
  keep:
    description:
      - Write the new description of an existing database into its record.
      - If V(false), the result has the new description, but the record does not. Call the module again with V(true) once the
        database is known to work.
    type: bool
    default: true
  renew:
    description: Let the databases' C(ttl) count from now.
    type: bool
    default: false
  restore:
    description:
      - Note in the records of new databases that a backup is to be restored into their volumes before they run, as
        M(infinite.databases.database_restore) returns it. Without this option, a database with such a note is refused.
    type: dict
    default: {}
  existing:
    description:
      - Fail if a database was destroyed or erased, instead of bringing it back or making it.
      - The versions of existing databases need no image in O(images) then.
    type: bool
    default: false
  credentials:
    description:
      - Return RV(databases), which contain passwords.
      - If V(false), the task needs no C(no_log), which would also hide the diff.
    type: bool
    default: true
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Give the databases their records
  infinite.databases.database_claim:
    nomad_namespace: databases
    databases: "{{ checked.databases }}"
    images: {"17": "postgres:17.6"}
    pool_job: "{{ lookup('infinite.databases.nomad_job_file', 'pool.nomad.hcl') }}"
  register: claimed
  no_log: true
"""

RETURN = r"""
databases:
  description: A record for each database, in the order of O(databases). The records contain passwords.
  returned: success; empty if O(credentials) is V(false)
  type: list
  elements: dict
  contains:
    name:
      description: The database's name.
      type: str
    user:
      description: The role that owns the database.
      type: str
    password:
      description: The role's password.
      type: str
    version:
      description: The major version of PostgreSQL.
      type: str
    volume:
      description: The name of the database's dynamic host volume.
      type: str
    spec:
      description: The description, from this call and earlier ones.
      type: dict
    created:
      description: Whether the record is new.
      type: bool
states:
  description: The name, volume and record's index of each database, for M(infinite.databases.database_confirm).
  returned: success
  type: list
  elements: dict
names_unkept:
  description: The names of the databases whose record lacks a part of the description, because O(keep) is V(false).
  returned: success
  type: list
  elements: str
differences:
  description: The differences between each database's description and its record, such as C(memory 64 -> 128).
  returned: success
  type: dict
names_created:
  description: The names of the new databases.
  returned: success
  type: list
  elements: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._database.claim import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
