# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_job_revive
short_description: Run system jobs again on nodes where they have failed for good
version_added: 0.1.0
description:
  - If a system job's allocation has failed, Nomad does not try again until something evaluates the job. This module evaluates jobs
    that have ended on a ready node although they should run there, and waits until they run.
  - Jobs that do not exist are skipped.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports which jobs would be evaluated.
  diff_mode:
    support: none
    description: The jobs themselves stay as they are.
  idempotent:
    support: full
    description: Does nothing if the jobs run.
options:
  jobs:
    description: The jobs.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: The job's id.
        type: str
        required: true
      namespace:
        description: The job's namespace. The default is O(nomad_namespace).
        type: str
  wait_timeout:
    description: How long a job may take to run again, in seconds.
    type: int
    default: 60
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Have Traefik run on each node
  infinite.databases.nomad_job_revive:
    jobs:
      - id: traefik
        namespace: platform
"""

RETURN = r"""
revived:
  description: The jobs that had failed for good, each with its nodes.
  returned: success
  type: list
  elements: dict
  sample: [{"id": traefik, "nodes": [db1]}]
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_revive import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
