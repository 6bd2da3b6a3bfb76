# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_routes
short_description: Keep databases' names from leading elsewhere
version_added: 0.1.0
description:
  - Compares the service registrations, which Traefik makes its routes of, with the databases that there are.
  - A job that is no database's and has a route is stopped, not purged, and its registrations are removed. Registrations of servers
    that were replaced are removed.
  - Databases that run without a registration are reported. M(infinite.databases.database_restart) brings it back, as
    Nomad registers a service when its task starts.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports what would be stopped and removed.
  diff_mode:
    support: none
    description: What differs is in the result.
  idempotent:
    support: full
    description: Changes nothing where each route leads to its database.
options:
  names:
    description: The databases that shall run. Others that have a record are let alone.
    type: list
    elements: str
    required: true
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Remove routes that are nobody's, and find databases without one
  infinite.databases.database_routes:
    nomad_namespace: databases
    names: [mydb, mydb-copy]
"""

RETURN = r"""
foreign:
  description: For each C(job) that was stopped the C(hosts) that it had routes for.
  returned: success
  type: list
  elements: dict
stale:
  description: The databases of which registrations of former servers were removed.
  returned: success
  type: list
  elements: str
missing:
  description: The databases that run and have no registration, so that no name leads to them.
  returned: success
  type: list
  elements: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils.database_routes import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
