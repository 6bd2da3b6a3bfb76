# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_acl_token
short_description: Manage a Nomad ACL token
version_added: 0.1.0
description:
  - Makes, changes or removes the token with a given name.
  - Nomad makes a token's secret and shows it only once. The module writes the secret to a file on the machine that runs the module;
    only the file's owner can read it. If the file is lost, or its secret no longer works, the module makes a new token and deletes
    the old one.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports what would change, and changes nothing.
  diff_mode:
    support: full
    description: Shows the token without its secret.
  idempotent:
    support: full
    description: Changes nothing if everything is already as asked for.
options:
  name:
    description: The token's name. If several tokens have this name, all but one are deleted.
    type: str
    required: true
  type:
    description: A management token may do everything and has no policies.
    type: str
    choices: [client, management]
    default: client
  policies:
    description: The names of the token's policies, which say what it may do.
    type: list
    elements: str
    default: []
  global:
    description: Whether the token is valid in all regions.
    type: bool
    default: false
  secret_file:
    description: The file for the secret. Without it, the secret of a new token is returned once; then use C(no_log) for the task.
    type: path
  state:
    description: Whether the token should exist. With V(absent), O(secret_file) is removed, too.
    type: str
    choices: [present, absent]
    default: present
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Make the token for provisioning
  infinite.databases.nomad_acl_token:
    name: provisioner
    policies: [provisioner]
    secret_file: "{{ environment_state_dir }}/nomad-provisioner.token"
"""

RETURN = r"""
accessor_id:
  description: The token's accessor; empty if there is no token.
  returned: success
  type: str
secret_id:
  description: The secret of a token that was just made.
  returned: if the token was made and O(secret_file) is not given
  type: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._nomad.acl_token import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
