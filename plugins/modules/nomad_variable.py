# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_variable
short_description: Manage Nomad Variables
version_added: 0.1.0
description:
  - Creates, changes and removes Nomad Variables, in which Nomad keeps small secrets.
  - Writes with check-and-set. If somebody else changed a variable meanwhile, the module fails and does not overwrite it.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports what would change, and changes nothing.
  diff_mode:
    support: full
    description: Shows which keys are added, changed or removed, but no values.
  idempotent:
    support: full
    description: Values are written only if they differ.
options:
  variables:
    description: The variables.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: The variable's path.
        type: str
        required: true
      namespace:
        description: The variable's namespace. The default is O(nomad_namespace).
        type: str
      items:
        description: All keys and values of the variable. Keys that are not named here are removed.
        type: dict
      overwrite:
        description:
          - With V(never), an existing variable stays as it is. This is for secrets that are made once.
          - If two runs make the variable at the same time, both get the values of the first.
        type: str
        choices: [always, never]
        default: always
      state:
        description: Whether the variable should exist.
        type: str
        choices: [present, absent]
        default: present
  return_items:
    description: Return the items of all variables as they are after the task. Use C(no_log) for the task then.
    type: bool
    default: false
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Make credentials that are kept for ever
  infinite.databases.nomad_variable:
    nomad_namespace: databases
    variables:
      - path: databases/orders
        overwrite: never
        items:
          user: orders
          password: "{{ lookup('ansible.builtin.password', '/dev/null', length=40) }}"
    return_items: true
  no_log: true
  register: credentials
"""

RETURN = r"""
variables:
  description: What was done to each variable, in the order of the parameters; also in a failed result.
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
    namespace:
      description: Its namespace.
      type: str
    modify_index:
      description: The variable's index, for check-and-set; 0 if the variable does not exist.
      type: int
    data:
      description: Its keys and values.
      returned: if O(return_items) is set
      type: dict
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._nomad.variable import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
