# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_acl_token_info
short_description: List Nomad's ACL tokens, without their secrets
version_added: 0.1.0
description:
  - Lists the ACL tokens, and when they expire. The module needs a management token.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: It only reads.
  idempotent:
    support: full
    description: It only reads.
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: List the tokens
  infinite.databases.nomad_acl_token_info:
  register: found

- name: Say which end soon
  ansible.builtin.debug:
    msg: "{{ found.tokens | selectattr('expires') | selectattr('ending_from', '<', now().timestamp()) | map(attribute='name') }}"
"""

RETURN = r"""
tokens:
  description:
    - The tokens, sorted by name. Each has C(accessor_id), C(name), C(type), C(policies), C(expires) (in seconds since 1970, or
      null) and C(ending_from), the time from which it should be replaced. This is the last quarter of the token's life, but at
      most its last 14 days.
  returned: success
  type: list
  elements: dict
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._nomad.acl_token_info import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
