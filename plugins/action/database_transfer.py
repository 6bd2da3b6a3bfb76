# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from functools import partial
from typing import Any

from ansible.utils.display import Display

from ansible_collections.infinite.databases.plugins.module_utils.database_transfer import SPEC
from ansible_collections.infinite.databases.plugins.module_utils.transfer_watch import shown_by
from ansible_collections.infinite.databases.plugins.plugin_utils.in_process import InProcessAction


class ActionModule(InProcessAction):
    spec = SPEC

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        # Beside the output, which may be read by a program.
        with shown_by(partial(Display().display, stderr=True)):
            return super().run(tmp, task_vars)
