# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from ansible_collections.infinite.databases.plugins.module_utils.database_routes import SPEC
from ansible_collections.infinite.databases.plugins.plugin_utils.in_process import InProcessAction


class ActionModule(InProcessAction):
    spec = SPEC
