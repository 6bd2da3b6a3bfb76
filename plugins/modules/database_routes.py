# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_routes
short_description: Remove routes that lead databases' names elsewhere
version_added: 0.1.0
description:
  - Compares the service registrations, from which Traefik makes its routes, with the existing databases.
  - If a job has a route but belongs to no database, the job is stopped, not purged, and its registrations are removed.
    Registrations of servers that were replaced are removed.
  - Databases that run without a registration are reported. M(infinite.databases.database_restart) restores the registration,
    because Nomad registers a service when its task starts.
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
    description: Changes nothing if each route leads to its database.
options:
  names:
    description: The databases that should run. Other databases that have a record are skipped.
    type: list
    elements: str
    required: true
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Remove routes that belong to no database, and find databases without a route
  infinite.databases.database_routes:
    nomad_namespace: databases
    names: [mydb, mydb-copy]
"""

RETURN = r"""
foreign:
  description: For each C(job) that was stopped, the C(hosts) that it had routes for.
  returned: success
  type: list
  elements: dict
stale:
  description: The databases whose former servers' registrations were removed.
  returned: success
  type: list
  elements: str
missing:
  description: The databases that run without a registration, so that nobody reaches them by their names.
  returned: success
  type: list
  elements: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._database.routes import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
