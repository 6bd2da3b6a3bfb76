# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: database_backup
short_description: Back databases up now
version_added: 0.1.0
description:
  - Orders a backup from the agent on each database's node, and waits until the repository has it. The agents also take backups by
    themselves, as their schedule says.
  - A node's agent takes one backup after the other.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Checks that the databases can be backed up, and orders nothing.
  diff_mode:
    support: none
    description: A backup has no differences to show.
  idempotent:
    support: none
    description: Each run makes a backup.
options:
  names:
    description: The databases. If one of them cannot be backed up, no backup is begun.
    type: list
    elements: str
    required: true
  kind:
    description:
      - V(full) is a backup of its own. V(diff) has what changed since the last full backup, V(incr) what changed since the last
        backup. V(wal) makes no backup, but waits until all that was committed is in the repository. V(test) makes no backup either,
        but restores the latest state into a directory that is erased afterwards, and checks all tables and B-tree indexes.
    type: str
    choices: [full, diff, incr, wal, test]
    default: incr
  wait_timeout:
    description: Seconds within which all backups must be done. A backup that takes longer goes on.
    type: float
    default: 3600
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Back a database up before a risky change
  infinite.databases.database_backup:
    nomad_namespace: databases
    names: [mydb]
"""

RETURN = r"""
databases:
  description: The databases whose backups are done.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The database.
      type: str
    backup:
      description: The newest backup; not in check mode.
      type: dict
      contains:
        label:
          description: pgBackRest's name of the backup.
          type: str
        kind:
          description: V(full), V(diff) or V(incr).
          type: str
        start:
          description: Seconds since 1970.
          type: int
        stop:
          description: Seconds since 1970.
          type: int
        size:
          description: Bytes of the database's files.
          type: int
        repository_size:
          description: Bytes that the backup takes in the repository.
          type: int
    test:
      description: The last test restore; not in check mode, and not where there are none.
      type: dict
      contains:
        since:
          description: When the agent first saw the database, in seconds since 1970.
          type: float
        tried:
          description: When the last test began, in seconds since 1970.
          type: float
        error:
          description: Why the last test failed; empty if it did not.
          type: str
        time:
          description: When the last successful test was done, in seconds since 1970.
          type: float
        seconds:
          description: How long it took.
          type: float
        relations:
          description: How many relations the restored database had.
          type: int
        until:
          description: The time of the last transaction that was replayed.
          type: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._backup.order import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
