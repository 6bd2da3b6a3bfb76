# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: hosts_file
short_description: Manage host names in the hosts file
version_added: 0.1.0
description:
  - Adds names to a marked block of the hosts file, or removes names from it. If a name already resolves to its address, it is not
    added.
  - Several runs may change the block at the same time, each for its own names. M(ansible.builtin.blockinfile) cannot do that.
attributes:
  check_mode:
    support: full
    description: Reports what would change.
  diff_mode:
    support: full
    description: Shows the file before and after.
  idempotent:
    support: full
    description: Names that are already in the block stay as they are.
options:
  names:
    description: The host names.
    type: list
    elements: str
    default: []
  address:
    description: The address of the names. Needed for O(state=present).
    type: str
  addresses:
    description: For names with another address, the address by name.
    type: dict
    default: {}
  state:
    description: Whether the names should be in the block.
    type: str
    choices: [present, absent]
    default: present
  all:
    description:
      - Whether O(names) is complete. If so, O(state=present) removes all other names from the block, and O(state=absent) removes
        the whole block.
    type: bool
    default: false
  marker:
    description: A text that distinguishes this block from others, such as the environment's name.
    type: str
    required: true
  path:
    description: The hosts file.
    type: path
    default: /etc/hosts
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Let this machine find the databases
  infinite.databases.hosts_file:
    names: [mydb.db.localhost]
    address: 127.0.0.1
    marker: local
"""

RETURN = r"""
names:
  description: The entries that were added or removed, as pairs of name and address.
  returned: success
  type: list
  elements: list
"""

from ansible_collections.infinite.databases.plugins.module_utils._database.hosts_file import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
