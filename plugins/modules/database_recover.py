# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_recover
short_description: Restore the databases that an environment has lost
version_added: 0.1.0
description:
  - Reads the records of databases from the repository of backups. For each database that the environment does not have, it makes
    the record again, with the former passwords, and restores the latest state of the data into a new volume. The databases can
    then be run.
  - Databases that exist are left as they are, and so are databases that were erased on purpose.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Only reads the repository, and says which databases would be recovered.
  diff_mode:
    support: none
    description: A restore has no differences to show.
  idempotent:
    support: full
    description: What is there is not restored. An interrupted run is continued.
options:
  names:
    description: The databases, as one name, names with commas between them, or a list. Empty for all.
    type: raw
  images:
    description: The image of each major version.
    type: dict
    required: true
  defaults:
    description: The values of keys that a description leaves out.
    type: dict
    required: true
  domain:
    description: The domain of the databases' names.
    type: str
    required: true
  pool_job:
    description: The job that prepares a volume, as HCL.
    type: str
    required: true
  recovery_job:
    description: The job that restores the data, as HCL.
    type: str
    required: true
  records_job:
    description: The job that reads the records from the repository, as HCL.
    type: str
    required: true
  wait_timeout:
    description: The seconds within which the data of a database must be restored.
    type: float
    default: 86400
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Restore what this environment has lost
  infinite.databases.database_recover:
    nomad_namespace: databases
    images: {"17": "postgres:17.6"}
    defaults: {memory: 64, memory_max: 256, cpu: 5, allowed_cidrs: []}
    domain: db.example.com
    pool_job: "{{ lookup('infinite.databases.nomad_job_file', 'pool.nomad.hcl') }}"
    recovery_job: "{{ lookup('infinite.databases.nomad_job_file', 'recovery.nomad.hcl') }}"
    records_job: "{{ lookup('infinite.databases.nomad_job_file', 'records.nomad.hcl') }}"
"""

RETURN = r"""
names:
  description: The databases whose data is restored and that are to be run.
  returned: success
  type: list
  elements: str
lines:
  description: A line about each database that this run has restored.
  returned: success
  type: list
  elements: str
failed_lines:
  description: A line about each database that could not be recovered.
  returned: success
  type: list
  elements: str
records:
  description: How many databases the repository knows, of those that were asked for.
  returned: success
  type: int
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._backup.recover import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
