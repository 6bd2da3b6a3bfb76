# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: environment_inputs
short_description: Refuse inventories and variables that a playbook would ignore
version_added: 0.2.0
description:
  - This module is for the first task of this collection's playbooks. Without an inventory, a playbook works on the environment
    V(local). An inventory that does not exist, or that names no host and sets no variable, is therefore refused.
  - Ansible ignores misspelt extra variables. This module refuses an extra variable if no playbook and no role takes it and the
    inventory does not set it. Names that begin with V(ansible_), V(awx_) or V(tower_) are accepted.
  - If a playbook of yours imports a playbook of this collection, an extra variable may belong to your playbook. In a job of AWX, it
    may belong to another job of the same workflow. In both cases none is refused.
options: {}
attributes:
  action:
    support: full
    description: Only an action plugin knows the inventory and the extra variables.
  check_mode:
    support: full
    description: Reads only.
  diff_mode:
    support: none
    description: Changes nothing.
  idempotent:
    support: full
    description: Reads only.
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Check the inventory and the extra variables
  infinite.databases.environment_inputs:
"""

RETURN = r""" # """
