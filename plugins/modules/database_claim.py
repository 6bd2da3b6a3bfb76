# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_claim
short_description: Give databases their credentials and their volumes
version_added: 0.1.0
description:
  - Makes a record for each database that has none, the Nomad variable C(databases/NAME), with a new password and a
    volume claimed from the pool, and returns the records of all.
  - A record is made once and kept for ever after, whatever is run again, interrupted, or run twice at once.
  - Where the pool does not suffice, volumes are prepared first, which takes about ten seconds.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports which databases would be new. Their records have no password.
  diff_mode:
    support: partial
    description: Shows the names of new databases.
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
    description: The extensions that the image of each major version has. Where nothing is said of a version, any may be asked for.
    type: dict
    default: {}
  pool_job:
    description: The job that prepares volumes, in HCL.
    type: str
    required: true
  keep:
    description:
      - Keep what is asked for an existing database in its record.
      - Without it, the answer has it and the record does not, until a second call when it is known to work.
    type: bool
    default: true
  renew:
    description: Let the databases' C(ttl) count from now.
    type: bool
    default: false
  existing:
    description:
      - Fail where a database was destroyed or erased, rather than bring it back or make it.
      - Their versions need no image in O(images) then.
    type: bool
    default: false
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Give the databases their records
  infinite.databases.database_claim:
    nomad_namespace: databases
    databases: "{{ checked.databases }}"
    images: {"17": "postgres:17.6"}
    pool_job: "{{ lookup('ansible.builtin.file', 'pool.nomad.hcl') }}"
  register: claimed
  no_log: true
"""

RETURN = r"""
databases:
  description: A record for each database, in the order asked for. They contain passwords.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The database's name.
      type: str
    user:
      description: The role that owns it.
      type: str
    password:
      description: The role's password.
      type: str
    version:
      description: The major version of PostgreSQL.
      type: str
    volume:
      description: The name of its dynamic host volume.
      type: str
    spec:
      description: What was asked for, now or before.
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
  description: The names of the databases whose record lacks something of what was asked for, because O(keep) is not set.
  returned: success
  type: list
  elements: str
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

from ansible_collections.infinite.databases.plugins.module_utils.database_claim import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
