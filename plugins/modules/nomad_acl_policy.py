# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_acl_policy
short_description: Manage Nomad ACL policies
version_added: 0.1.0
description:
  - Creates, changes and removes ACL policies. A policy is for tokens or, with O(policies[].job_acl), for a job's workload identity.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports what would change, and changes nothing.
  diff_mode:
    support: full
    description: Shows what changes.
  idempotent:
    support: full
    description: Changes nothing if everything is already as asked for.
options:
  policies:
    description: The policies.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The policy's name.
        type: str
        required: true
      description:
        description: What the policy is for.
        type: str
        default: ""
      rules:
        description: The rules, as HCL. Comments and white space are not compared. Needed with O(policies[].state=present).
        type: str
      job_acl:
        description: Give the policy to the workload identity of a job (or one of its groups or tasks).
        type: dict
        suboptions:
          namespace:
            description: The job's namespace.
            type: str
            required: true
          job_id:
            description: The job's id.
            type: str
            required: true
          group:
            description: The group's name. Without it, the policy is for all groups.
            type: str
          task:
            description: The task's name. Without it, the policy is for all tasks of the group.
            type: str
      state:
        description: Whether the policy should exist.
        type: str
        choices: [present, absent]
        default: present
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Let Traefik see the databases' services
  infinite.databases.nomad_acl_policy:
    policies:
      - name: traefik
        rules: |
          namespace "databases" {
            capabilities = ["read-job"]
          }
        job_acl:
          namespace: platform
          job_id: traefik
"""

RETURN = r"""
policies:
  description: What was done to each policy, in the order of the parameters; also in a failed result.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    changed:
      description: Whether it was changed.
      type: bool
    action:
      description: V(unchanged), V(created), V(updated) or V(removed).
      type: str
    msg:
      description: Why it failed.
      type: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._nomad.acl_policy import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
