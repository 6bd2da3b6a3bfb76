# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_acl_bootstrap
short_description: Bootstrap Nomad's ACL system
version_added: 0.1.0
description:
  - Makes the first management token. The operator chooses its secret beforehand, so that an interrupted run can be repeated.
  - Waits for a server that was just started to answer and to elect a leader.
  - Needs no token; O(nomad_token) and O(nomad_token_file) are ignored.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports what would change, and changes nothing.
  diff_mode:
    support: none
    description: The only change is a secret.
  idempotent:
    support: full
    description: A second run with the same secret changes nothing; another secret is an error.
options:
  secret:
    description: The secret of the first token, a UUID. Store it in a safe place before this module is called.
    type: str
    required: true
  wait_timeout:
    description: Seconds to wait for a leader.
    type: float
    default: 60
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Make the bootstrap token
  infinite.databases.nomad_acl_bootstrap:
    secret: "{{ lookup('ansible.builtin.file', environment_state_dir ~ '/nomad-bootstrap.token') }}"
  no_log: true
"""

RETURN = r"""
accessor_id:
  description: The accessor of the bootstrap token; empty in check mode if the token does not exist yet.
  returned: success
  type: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._nomad.acl_bootstrap import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
