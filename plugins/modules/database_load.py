# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_load
short_description: Load a dump into a database
version_added: 0.1.0
description:
  - Loads a dump in the custom format of C(pg_dump), by the C(pg_restore) of the server's own version. The file streams from the
    controller to a container beside the database. Nothing is stored on the node.
  - The load is one transaction. If it fails or is interrupted, the database stays as it was.
  - The database's user owns all that is loaded. Privileges, publications, subscriptions and event triggers are not loaded. The
    database has to have the extensions already.
extends_documentation_fragment:
  - infinite.databases.nomad
  - infinite.databases.place
attributes:
  check_mode:
    support: full
    description: Reports the database's size, and refuses what a run would refuse at once.
  diff_mode:
    support: none
    description: The change is a whole database.
  idempotent:
    support: none
    description: Each run loads. Without O(replace), the second run fails, because the database is not empty.
options:
  name:
    description: The database.
    type: str
    required: true
  file:
    description:
      - The file to read.
      - C(/dev/fd/NUMBER) is a descriptor that Ansible's process has inherited. C(idb load) gives its standard input in this way.
    type: path
    required: true
  replace:
    description: >-
      Drop all that the database's user owns in the database, in the same transaction. If V(false), the database must be empty.
    type: bool
    default: false
  without_extensions:
    description: Extensions of the dump that the database does not need.
    type: list
    elements: str
    default: []
  images:
    description: The image of each major version of PostgreSQL.
    type: dict
    required: true
  stream_job:
    description: The job's specification, C(stream.nomad.hcl) of the role C(database).
    type: str
    required: true
  stream_namespace:
    description: Nomad's namespace of the job, in which the token needs the rights C(submit-job) and C(alloc-exec).
    type: str
    default: dumps
  domain:
    description: The environment's domain.
    type: str
    required: true
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Load a dump into a database
  infinite.databases.database_load:
    nomad_namespace: databases
    name: mydb-copy
    file: "{{ playbook_dir }}/mydb.dump"
    replace: true
    images: "{{ database_images }}"
    stream_job: "{{ lookup('infinite.databases.nomad_job_file', 'stream.nomad.hcl') }}"
    domain: "{{ database_domain }}"
"""

RETURN = r"""
name:
  description: The database.
  returned: success
  type: str
file:
  description: The file.
  returned: success
  type: str
tables:
  description: How many tables were loaded.
  returned: success, not in check mode
  type: int
bytes:
  description: The database's size.
  returned: success, not in check mode
  type: int
seconds:
  description: How long it took.
  returned: success, not in check mode
  type: float
found:
  description: The database's tables and bytes.
  returned: in check mode
  type: dict
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._transfer.load import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
