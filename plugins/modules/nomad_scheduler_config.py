# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_scheduler_config
short_description: Configure Nomad's scheduler
version_added: 0.1.0
description:
  - Sets cluster-wide settings of Nomad's scheduler. Settings that are not given stay as they are.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports what would change, and changes nothing.
  diff_mode:
    support: full
    description: Shows the configuration before and after.
  idempotent:
    support: full
    description: Changes nothing if the configuration is already as asked for.
options:
  memory_oversubscription:
    description: Let a task use more memory than it reserves, up to its C(memory_max). If not set, C(memory_max) has no effect.
    type: bool
  scheduler_algorithm:
    description: Fill up one node after the other, or spread allocations over all of them.
    type: str
    choices: [binpack, spread]
  reject_job_registration:
    description: Let only management tokens register jobs.
    type: bool
  pause_eval_broker:
    description: Pause all evaluations, so that nothing is scheduled.
    type: bool
  preemption:
    description: Which schedulers may evict allocations of lower priority.
    type: dict
    suboptions:
      system:
        description: The scheduler of system jobs.
        type: bool
      sysbatch:
        description: The scheduler of sysbatch jobs.
        type: bool
      batch:
        description: The scheduler of batch jobs.
        type: bool
      service:
        description: The scheduler of service jobs.
        type: bool
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Let memory_max have an effect
  infinite.databases.nomad_scheduler_config:
    memory_oversubscription: true
"""

RETURN = r"""
configuration:
  description: The scheduler's configuration after the task (in check mode, as it would be), with Nomad's own names.
  returned: success
  type: dict
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._nomad.scheduler_config import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
