# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_info
short_description: Tell which databases there are
description:
  - Lists the databases, and how many prepared volumes wait for new ones, in four requests however many there are.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
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
- name: List the databases
  infinite.databases.database_info:
    nomad_namespace: databases
  register: found
"""

RETURN = r"""
databases:
  description: The databases.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The database's name.
      type: str
    state:
      description: >-
        V(running), V(starting), V(failed), or V(stopped) where its data and credentials wait for it to be provisioned again.
      type: str
    host:
      description: Its host name. This and what follows is empty where Nomad has forgotten a stopped job.
      type: str
    version:
      description: The major version of PostgreSQL.
      type: str
    volume:
      description: The name of its dynamic host volume.
      type: str
    node:
      description: The name of the Nomad node that has the volume, and so runs the database.
      type: str
pool:
  description: For each major version, how many volumes are C(ready) and how many are C(preparing).
  returned: success
  type: dict
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils.database_info import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
