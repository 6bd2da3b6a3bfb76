# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_transfer
short_description: Copy a database into another, here or elsewhere
version_added: 0.1.0
description:
  - Copies a whole database into another in one transaction. A Nomad job runs C(pg_dump) and C(pg_restore) on the node of a
    database of this environment. None of the data passes through the controller. If a transfer fails or is interrupted, the
    target stays as it was.
  - The source, the target or both are databases of this environment. The job runs on the target's node, or else on the source's.
  - The target's user owns all copied objects. Privileges, publications, subscriptions and event triggers are not copied. The
    target has to have the extensions already.
  - Before anything is changed, the module checks that the target has the extensions and is empty, and that the versions fit.
extends_documentation_fragment:
  - infinite.databases.nomad
  - infinite.databases.place
attributes:
  check_mode:
    support: partial
    description: Reports what would be copied.
    details: The module does not connect to a database elsewhere.
  diff_mode:
    support: none
    description: The change is a whole database.
  idempotent:
    support: none
    description: Each run copies. Without O(replace), the second run fails, because the target is not empty.
options:
  source:
    description:
      - A database of this environment by its name, or the URL of one elsewhere. A URL with a password is refused.
      - Without O(source) and O(source_file), O(source_url) is used.
    type: str
  source_file:
    description: A file with the source's URL.
    type: path
  source_url:
    description:
      - The source's URL. Without C(sslmode) it is connected to with C(verify-full).
      - By default the environment variable E(SOURCE_URL).
    type: str
  target:
    description:
      - A database of this environment by its name, or the URL of one elsewhere. A URL with a password is refused.
      - Without O(target) and O(target_file), O(target_url) is used.
    type: str
  target_file:
    description: A file with the target's URL.
    type: path
  target_url:
    description:
      - The target's URL. Without C(sslmode) it is connected to with C(verify-full).
      - By default the environment variable E(TARGET_URL).
    type: str
  ca_file:
    description:
      - A file with the CA (PEM) that signed the certificate of the URL's server. By default the CAs that the controller trusts.
    type: path
  replace:
    description: >-
      Drop all that the target's user owns in the target, in the same transaction. If V(false), the target must be empty.
    type: bool
    default: false
  without_extensions:
    description: Extensions of the source that the target does not need.
    type: list
    elements: str
    default: []
  images:
    description: The image of each major version of PostgreSQL.
    type: dict
    required: true
  transfer_job:
    description: The job's specification, C(transfer.nomad.hcl) of the role C(database).
    type: str
    required: true
  domain:
    description: The environment's domain.
    type: str
    required: true
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Copy a database into a new one
  infinite.databases.database_transfer:
    nomad_namespace: databases
    source: mydb
    target: mydb-copy
    images: "{{ database_images }}"
    transfer_job: "{{ lookup('infinite.databases.nomad_job_file', 'transfer.nomad.hcl') }}"
    domain: "{{ database_domain }}"
"""

RETURN = r"""
source:
  description: The source, its name or host, port and database.
  returned: success
  type: str
target:
  description: The target, its name or host, port and database.
  returned: success
  type: str
tables:
  description: How many tables were copied.
  returned: success, not in check mode
  type: int
bytes:
  description: The target's size.
  returned: success, not in check mode
  type: int
source_bytes:
  description: The source's size.
  returned: success, not in check mode
  type: int
seconds:
  description: How long the copy took.
  returned: success, not in check mode
  type: float
progress:
  description: The lines of progress that were shown.
  returned: success, not in check mode
  type: list
  elements: str
found:
  description: Tables and bytes of the source and of the target, for each of them that is a database of this environment.
  returned: in check mode
  type: dict
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._transfer.transfer import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
