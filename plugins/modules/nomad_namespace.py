# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_namespace
short_description: Manage Nomad namespaces
version_added: 0.1.0
description:
  - Creates, changes and removes namespaces. Properties of an existing namespace that are not given stay as they are.
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
  namespaces:
    description: The namespaces.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The namespace's name.
        type: str
        required: true
      description:
        description: What the namespace is for.
        type: str
      meta:
        description: Its metadata.
        type: dict
      enabled_task_drivers:
        description: The only task drivers that the namespace's jobs may use.
        type: list
        elements: str
      disabled_task_drivers:
        description: Task drivers that the namespace's jobs may not use.
        type: list
        elements: str
      state:
        description: Whether the namespace should exist.
        type: str
        choices: [present, absent]
        default: present
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Make the platform's namespaces
  infinite.databases.nomad_namespace:
    namespaces:
      - name: databases
        description: The databases' jobs, variables and volumes
        enabled_task_drivers: [docker]
      - name: platform
        description: What the databases need
"""

RETURN = r"""
namespaces:
  description: What was done to each namespace, in the order of the parameters; also in a failed result.
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

from ansible_collections.infinite.databases.plugins.module_utils._nomad.namespace import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
