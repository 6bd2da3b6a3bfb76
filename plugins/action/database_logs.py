# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from ansible.utils.display import Display

from ansible_collections.infinite.databases.plugins.module_utils._database.logs import run
from ansible_collections.infinite.databases.plugins.plugin_utils.in_process import InProcessAction


class ActionModule(InProcessAction):
    def execute(self, params: dict[str, Any]) -> dict[str, Any]:
        if not params["follow"]:
            return super().execute(params)
        # Each line is shown as it comes. Ctrl-C, which the callback infinite.databases.plain passes on, ends the following.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        # The callback lets a closed pipe end the run. But a connection that Nomad closes has to be an error like any other.
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        try:
            with suppress(KeyboardInterrupt):
                return replace(self.spec, run=partial(run, show=Display().display)).execute(params, bool(self._task.check_mode))
            return {"changed": False, "lines": []}
        finally:
            signal.signal(signal.SIGINT, before)
