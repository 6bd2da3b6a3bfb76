# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from ansible.utils.display import Display

from ansible_collections.infinite.databases.plugins.module_utils.database_logs import SPEC, run
from ansible_collections.infinite.databases.plugins.plugin_utils.in_process import InProcessAction


class ActionModule(InProcessAction):
    spec = SPEC

    def execute(self, params: dict[str, Any]) -> dict[str, Any]:
        if not params["follow"]:
            return super().execute(params)
        # Each line as it comes. Ctrl-C is how it ends: the callback infinite.databases.plain passes it on.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        # A connection that Nomad closes is an error like any other, though the callback lets a closed pipe end the run.
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        try:
            with suppress(KeyboardInterrupt):
                return replace(self.spec, run=partial(run, show=Display().display)).execute(params, bool(self._task.check_mode))
            return {"changed": False, "lines": []}
        finally:
            signal.signal(signal.SIGINT, before)
