# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_pool
short_description: Keep volumes ready for new databases
version_added: 0.1.0
description:
  - Makes dynamic host volumes and registers Nomad batch jobs that initialise a PostgreSQL cluster on each volume, until O(size)
    volumes wait for new databases.
  - Skips volumes on nodes where Nomad places no jobs, such as nodes that are down or drained. These volumes do not count.
  - Gives volumes back to the pool that an interrupted run claimed but never used, and removes finished jobs that are no longer
    needed.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports what would be created and returned.
  diff_mode:
    support: none
    description: There is nothing to compare.
  idempotent:
    support: full
    description: A pool of the right size stays as it is.
options:
  size:
    description: How many volumes shall wait, for each major version of PostgreSQL.
    type: dict
    required: true
  images:
    description: The image of each major version.
    type: dict
    required: true
  pool_job:
    description: The job that prepares volumes, in HCL.
    type: str
    required: true
  wait:
    description: Wait until the new volumes are ready, instead of leaving them to Nomad.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait.
    type: float
    default: 300
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Keep three volumes ready
  infinite.databases.database_pool:
    nomad_namespace: databases
    size: {"17": 3}
    images: {"17": "postgres:17.6"}
    pool_job: "{{ lookup('infinite.databases.nomad_job_file', 'pool.nomad.hcl') }}"
"""

RETURN = r"""
ready:
  description: How many volumes of each major version are ready and wait.
  returned: success
  type: dict
created:
  description: How many volumes of each major version were created.
  returned: success
  type: dict
returned:
  description: The volumes that were given back to the pool.
  returned: success
  type: list
  elements: str
prepared_again:
  description: The volumes whose preparation had failed or was forgotten.
  returned: success
  type: list
  elements: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._database.pool import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
