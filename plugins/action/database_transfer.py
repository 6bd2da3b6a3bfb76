# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from functools import partial
from typing import Any

from ansible.utils.display import Display

from ansible_collections.infinite.databases.plugins.module_utils._transfer.watch import shown_by
from ansible_collections.infinite.databases.plugins.plugin_utils.in_process import InProcessAction


class ActionModule(InProcessAction):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        # Progress goes to standard error, because a program may read standard output.
        with shown_by(partial(Display().display, stderr=True)):
            return super().run(tmp, task_vars)
