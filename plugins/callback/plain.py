# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: plain
type: stdout
short_description: Only what debug tasks say
version_added: 0.1.0
description:
  - Writes the messages of M(ansible.builtin.debug) tasks to standard output as they are, and errors to standard error.
    For playbooks whose answer is meant for a person or a shell, such as C(list) and C(url).
  - While a log is followed, Ctrl-C ends that, and nothing else; and so does the end of what reads it, such as C(head).
author:
  - Infinite Databases contributors (@infinite-databases)
"""

import multiprocessing
import os
import re
import signal
import sys
from typing import Any, ClassVar

from ansible.plugins.callback import CallbackBase

# What Ansible puts before a plugin's own words, and before what is wrong with a role's arguments.
WRAPPING = re.compile(r"^Task failed: .*The \w+ plugin '[\w.]+' failed: |^Validation of arguments failed:\n", re.DOTALL)


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "infinite.databases.plain"
    # What signals do otherwise, while they do something else.
    before: ClassVar[dict[int, Any]] = {}

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        while self.before:
            signal.signal(*self.before.popitem())
        if task.action == "infinite.databases.database_logs":
            for number, handler in ((signal.SIGINT, self._interrupt_task), (signal.SIGPIPE, signal.SIG_DFL)):
                self.before[number] = signal.signal(number, handler)

    @staticmethod
    def _interrupt_task(number: int, _frame: Any) -> None:
        """Ansible's own handler would end the run with an error. Workers are sessions of their own, which Ctrl-C does not reach."""
        for worker in multiprocessing.active_children():
            if worker.pid:
                os.kill(worker.pid, number)

    def v2_runner_on_ok(self, result: Any) -> None:
        if result.task.action in ("ansible.builtin.debug", "debug"):
            message = result.result["msg"]
            print("\n".join(map(str, message)) if isinstance(message, list) else message)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        # What no_log hides is followed by a task that says it in words that may be seen.
        if "censored" not in result.result:
            print(WRAPPING.sub("", result.result.get("msg", "failed")).replace("\n", "; "), file=sys.stderr)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self.v2_runner_on_failed(result)
