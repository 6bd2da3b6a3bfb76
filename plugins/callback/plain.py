# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: plain
type: stdout
short_description: Only what debug tasks say
description:
  - Writes the messages of M(ansible.builtin.debug) tasks to standard output as they are, and errors to standard error.
    For playbooks whose answer is meant for a person or a shell, such as C(list) and C(url).
author:
  - Infinite Databases contributors (@infinite-databases)
"""

import re
import sys
from typing import Any

from ansible.plugins.callback import CallbackBase

# What Ansible puts before a plugin's own words.
WRAPPING = re.compile(r"^Task failed: .*The \w+ plugin '[\w.]+' failed: ", re.DOTALL)


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "infinite.databases.plain"

    def v2_runner_on_ok(self, result: Any) -> None:
        if result.task.action in ("ansible.builtin.debug", "debug"):
            message = result.result["msg"]
            print("\n".join(map(str, message)) if isinstance(message, list) else message)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        # What no_log hides is followed by a task that says it in words that may be seen.
        if "censored" not in result.result:
            print(WRAPPING.sub("", result.result.get("msg", "failed")), file=sys.stderr)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self.v2_runner_on_failed(result)
