# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_job_info
short_description: List Nomad jobs and their state
version_added: 0.1.0
description:
  - Lists all jobs in one request. A second request can add the state of their allocations and deployments.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reads only.
  diff_mode:
    support: none
    description: Changes nothing.
  idempotent:
    support: full
    description: Reads only.
options:
  ids:
    description: Only these jobs. Jobs that do not exist are not in the result.
    type: list
    elements: str
  prefix:
    description: Only jobs whose id begins with this text.
    type: str
  namespace:
    description: The namespace; V(*) for all namespaces. The default is O(nomad_namespace).
    type: str
  filter:
    description: Only jobs for which this expression holds, in Nomad's own filter language, for example C(Status == "running").
    type: str
  meta:
    description: Include the jobs' meta.
    type: bool
    default: true
  status:
    description: Include the jobs' allocations and latest deployments.
    type: bool
    default: false
  specification:
    description: Include the jobs' full specifications, which takes one request for each job.
    type: bool
    default: false
  explain:
    description: Include each job's last events and the end of its log, which takes two requests for each job.
    type: bool
    default: false
  log_lines:
    description:
      - Include so many last lines of each job's log. The log is that of the newest allocation and of the task that is named like
        its group. This takes one request for each job.
    type: int
    default: 0
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: List the databases' jobs
  infinite.databases.nomad_job_info:
    namespace: databases
    status: true
  register: found
"""

RETURN = r"""
jobs:
  description: The jobs from Nomad's list, with Nomad's own names (C(ID), C(Namespace), C(Status), C(Stop), C(Meta) ...).
  returned: success
  type: list
  elements: dict
  contains:
    Allocs:
      description: The job's allocations (C(ID), C(ClientStatus), C(NodeID), C(DeploymentStatus), C(JobVersion) ...).
      returned: if O(status) is set
      type: list
      elements: dict
    LatestDeployment:
      description: The job's latest deployment.
      returned: if O(status) is set
      type: dict
    Reason:
      description: The job's state and its newest allocation's last events and log lines, in one line.
      returned: if O(explain) is set
      type: str
    Log:
      description: The last lines of the log.
      returned: if O(log_lines) is set
      type: str
    Specification:
      description: The job's specification.
      returned: if O(specification) is set
      type: dict
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_info import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
