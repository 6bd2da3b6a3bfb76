# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_acl_token
short_description: Manage a Nomad ACL token
version_added: 0.1.0
description:
  - Makes, changes or removes the token of a name.
  - Nomad makes a token's secret and tells it only once. It is written to a file on the machine that runs this module,
    readable by its owner only. If that file is lost, or its secret no longer works, the token is made again and its old one
    deleted.
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
    description: Changes nothing where everything already is as asked for.
options:
  name:
    description: The token's name. It should be unique; all tokens of this name but the one that is kept are deleted.
    type: str
    required: true
  type:
    description: A management token may do everything and has no policies.
    type: str
    choices: [client, management]
    default: client
  policies:
    description: The names of the policies that tell what the token may do.
    type: list
    elements: str
    default: []
  global:
    description: Whether the token is valid in all regions.
    type: bool
    default: false
  secret_file:
    description: The file for the secret. Without it, a new token's secret is returned, once; then use C(no_log) for the task.
    type: path
  state:
    description: Whether the token shall exist. With V(absent), O(secret_file) is removed, too.
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
  description: The token's accessor; empty if there is none.
  returned: success
  type: str
secret_id:
  description: The secret of a token that was just made.
  returned: if it was made and O(secret_file) is not given
  type: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils.nomad_acl_token import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
