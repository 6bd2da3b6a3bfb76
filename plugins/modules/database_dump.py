# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_dump
short_description: Write a dump of a database to a file
version_added: 0.1.0
description:
  - Writes a dump in the custom format of C(pg_dump), by the C(pg_dump) of the server's own version. It runs in a container beside
    the database, and its output streams to the file on the controller. Nothing is stored on the node.
  - The file gets its name when the dump is complete.
extends_documentation_fragment:
  - infinite.databases.nomad
  - infinite.databases.place
attributes:
  check_mode:
    support: full
    description: Reports the database's size.
  diff_mode:
    support: none
    description: The file is a whole database.
  idempotent:
    support: none
    description: Each run writes a new dump.
options:
  name:
    description: The database.
    type: str
    required: true
  file:
    description:
      - The file to write.
      - C(/dev/fd/NUMBER) is a descriptor that Ansible's process has inherited. C(idb dump) gives its standard output in this way.
    type: path
    required: true
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
- name: Write a dump of a database to a file
  infinite.databases.database_dump:
    nomad_namespace: databases
    name: mydb
    file: "{{ playbook_dir }}/mydb.dump"
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
bytes:
  description: The dump's size.
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

from ansible_collections.infinite.databases.plugins.module_utils._transfer.dump import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
