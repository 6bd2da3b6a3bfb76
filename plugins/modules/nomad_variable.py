# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_variable
short_description: Manage Nomad Variables
version_added: 0.1.0
description:
  - Creates, changes and removes Nomad Variables, in which Nomad keeps small secrets.
  - Writes with check-and-set; a variable that somebody else changed meanwhile is an error, never overwritten.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports what would change, and changes nothing.
  diff_mode:
    support: full
    description: Shows which keys are added, changed or removed, never a value.
  idempotent:
    support: full
    description: Values are compared, and written only if they differ.
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
        description: The variable's namespace. Default O(nomad_namespace).
        type: str
      items:
        description: All its keys and values. Keys that are not named here are removed.
        type: dict
      overwrite:
        description:
          - V(never) leaves a variable that exists as it is, for secrets that are made once.
          - Two runs at once then agree on the values of the one that was first.
        type: str
        choices: [always, never]
        default: always
      state:
        description: Whether it shall exist.
        type: str
        choices: [present, absent]
        default: present
  return_items:
    description: Return all variables' items, as they are now. Use C(no_log) for the task then.
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
  description: What became of each variable, in the order of the parameters; also in a failed result.
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
      description: Its index, for check-and-set; 0 if it does not exist.
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

from ansible_collections.infinite.databases.plugins.module_utils.nomad_variable import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
