# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_volume
short_description: Manage Nomad dynamic host volumes
version_added: 0.1.0
description:
  - Creates, changes and removes dynamic host volumes.
  - Nomad allows several volumes with the same name. This module makes names unique in a namespace (on a node, if
    O(volumes[].node_id) is given), and fails if it finds two volumes with one name.
  - Nomad's scheduler sees a new volume only some seconds after its creation. A job that needs the volume waits by
    itself, but first ends what it replaces; O(wait_timeout) waits here instead.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports what would change, and changes nothing.
  diff_mode:
    support: full
    description: Shows the volume before and after.
  idempotent:
    support: full
    description: An existing volume is changed only if its parameters or capabilities differ.
options:
  wait_timeout:
    description:
      - For how many seconds to wait until the nodes have reported the volumes that were made or changed. V(0) does not wait.
    type: int
    default: 0
  volumes:
    description: The volumes.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The volume's name, by which a job asks for it.
        type: str
        required: true
      namespace:
        description: The volume's namespace. The default is O(nomad_namespace).
        type: str
      node_id:
        description: The volume's node. Without it, Nomad chooses a node.
        type: str
      node_pool:
        description: The node pool that Nomad chooses from.
        type: str
      plugin_id:
        description: The plugin that makes the volume on the node.
        type: str
        default: mkdir
      capacity_min:
        description: The least size in bytes. The plugin V(mkdir) does not enforce sizes.
        type: int
      capacity_max:
        description: The greatest size in bytes.
        type: int
      parameters:
        description: The plugin's parameters. The plugin V(mkdir) has C(uid), C(gid) and C(mode).
        type: dict
      access_mode:
        description: Who may write at the same time.
        type: str
        choices: [single-node-reader-only, single-node-writer, single-node-single-writer, single-node-multi-writer]
        default: single-node-single-writer
      attachment_mode:
        description: How a task sees the volume.
        type: str
        choices: [file-system, block-device]
        default: file-system
      state:
        description: Whether the volume should exist. V(absent) erases its data, and fails if the volume is in use.
        type: str
        choices: [present, absent]
        default: present
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Make a volume for PostgreSQL
  infinite.databases.nomad_volume:
    nomad_namespace: databases
    volumes:
      - name: v-7f3a
        parameters:
          uid: "999"
          gid: "999"
          mode: "0700"
"""

RETURN = r"""
volumes:
  description: What was done to each volume, in the order of the parameters; also in a failed result.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    changed:
      description: Whether it was changed.
      type: bool
    action:
      description: V(unchanged), V(created), V(updated) or V(removed).
      type: str
    msg:
      description: Why it failed.
      type: str
    id:
      description: The volume's id; empty if the volume does not exist.
      type: str
    node_id:
      description: The volume's node.
      type: str
    host_path:
      description: The volume's directory on the node, if the volume was just made.
      type: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._nomad.volume import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
