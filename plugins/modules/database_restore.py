# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_restore
short_description: Restore a backup into a new database
version_added: 0.1.0
description:
  - Restores a backup of one database, and the changes since then up to a moment, into the volume of another one. The source and
    its server stay as they are.
  - There are two steps. V(begin) decides what is restored. M(infinite.databases.database_claim) then makes the record, with
    RV(restore). V(finish) restores the data into the record's volume, with new names for the database and its roles, without
    passwords, and with the jobs of pg_cron switched off. The database can then be run.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: V(begin) checks that there is something to restore. V(finish) does nothing.
  diff_mode:
    support: none
    description: A restore has no differences to show.
  idempotent:
    support: none
    description: V(finish) restores the data each time, until the record says that it is restored.
options:
  name:
    description: The new database.
    type: str
    required: true
  step:
    description: What to do, as described above.
    type: str
    choices: [begin, finish]
    required: true
  source:
    description:
      - For V(begin), the database whose backup is restored. If the environment has no such database, O(records_job) looks for it in
        the repository. There, the volume of an erased database can be named, too.
    type: str
    default: ""
  at:
    description:
      - For V(begin), the moment whose state is restored, such as V(2026-11-30 12:00), V(12:00) or V(10 minutes ago). Without a time
        zone, the moment is in UTC. Empty for the latest state.
    type: str
    default: ""
  restore:
    description: For V(finish), what V(begin) has returned. If the record has something else by now, another run restores it.
    type: dict
    default: {}
  images:
    description: The image of each major version.
    type: dict
    default: {}
  defaults:
    description: For V(finish), the values of keys that the description leaves out.
    type: dict
    default: {}
  domain:
    description: For V(finish), the domain of the databases' names.
    type: str
    default: ""
  recovery_job:
    description: For V(finish), the job that restores the data, as HCL.
    type: str
    default: ""
  records_job:
    description: For V(begin), the job that reads the records of databases from the repository, as HCL.
    type: str
    default: ""
  wait_timeout:
    description: For V(finish), the seconds within which the data must be restored.
    type: float
    default: 86400
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: See whether the latest state of a database can be restored
  infinite.databases.database_restore:
    nomad_namespace: databases
    step: begin
    name: mydb-again
    source: mydb
  check_mode: true
  register: latest
"""

RETURN = r"""
restore:
  description: For O(step=begin), what M(infinite.databases.database_claim) notes in the record.
  returned: success
  type: dict
description:
  description: For O(step=begin), the source's description, without C(ttl), C(protect) and C(labels).
  returned: success
  type: dict
at:
  description: For O(step=begin), the moment in words.
  returned: success
  type: str
note:
  description: For O(step=begin), what is missing in the restored state; empty if nothing is.
  returned: success
  type: str
until:
  description: For O(step=finish), the time of the last transaction that was restored, in the server's words.
  returned: success
  type: str
seconds:
  description: For O(step=finish), how long it took.
  returned: success
  type: float
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._backup.restore import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
