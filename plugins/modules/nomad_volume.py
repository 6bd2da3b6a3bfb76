# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_volume
short_description: Manage Nomad dynamic host volumes
version_added: 0.1.0
description:
  - Creates, changes and removes dynamic host volumes.
  - Nomad does not keep names unique; this module does, per namespace (and per node, if O(volumes[].node_id) is given), and
    two volumes of one name are an error.
  - Nomad's scheduler sees a new volume only some seconds after its creation; a job that needs it waits for that itself.
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
    description: A volume that exists is left alone unless its parameters or capabilities differ.
options:
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
        description: The volume's namespace. Default O(nomad_namespace).
        type: str
      node_id:
        description: The node that it is on. Without it, Nomad chooses one.
        type: str
      node_pool:
        description: The node pool that Nomad chooses from.
        type: str
      plugin_id:
        description: The plugin that makes the volume on the node.
        type: str
        default: mkdir
      capacity_min:
        description: The least size in bytes. The plugin V(mkdir) limits no size.
        type: int
      capacity_max:
        description: The greatest size in bytes.
        type: int
      parameters:
        description: The plugin's parameters; for V(mkdir) C(uid), C(gid) and C(mode).
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
        description: Whether it shall exist. V(absent) erases its data; a volume in use is not removed but an error.
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
  description: What became of each volume, in the order of the parameters; also in a failed result.
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
      description: The volume's id; empty if it does not exist.
      type: str
    node_id:
      description: The node that it is on.
      type: str
    host_path:
      description: Its directory on that node, if it was made just now.
      type: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: success
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils.nomad_volume import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
