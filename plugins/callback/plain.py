# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: plain
type: stdout
short_description: Show only the messages of debug tasks, and differences
version_added: 0.1.0
description:
  - Writes the messages of M(ansible.builtin.debug) tasks to standard output as they are, and errors to standard error.
    With C(--diff), also writes the differences. This is for playbooks whose answer a person or a shell reads, such as C(list) and
    C(url).
  - If the program that reads the output ends, such as C(head), this is no error.
  - While a task waits, says from time to time for what. On a terminal this is one line, which is rewritten and erased in the end.
    Elsewhere each message is a line of its own.
  - While a log is followed, Ctrl-C ends the following, and nothing else. The end of the program that reads the log does the same.
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

from ansible_collections.infinite.databases.plugins.module_utils.waiting import Waiting

# The text that Ansible puts before a plugin's message, and before the problems of a role's arguments.
WRAPPING = re.compile(r"^Task failed: .*The \w+ plugin '[\w.]+' failed: |^Validation of arguments failed:\n", re.DOTALL)


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "infinite.databases.plain"
    # The usual handlers of signals, while a log is followed and other handlers are set.
    before: ClassVar[dict[int, Any]] = {}

    def v2_playbook_on_start(self, playbook: Any) -> None:
        # AWX keeps a job's output as text, but gives Ansible a terminal, and a subclass of the callback with a name of its own.
        for_a_person = self.CALLBACK_NAME == CallbackModule.CALLBACK_NAME and os.environ.get("TERM", "dumb") != "dumb"
        if for_a_person and sys.stderr.isatty():
            # The workers, which show the messages, have no terminal but inherit this. Some terminals do not say how wide they are.
            Waiting.columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        while self.before:
            signal.signal(*self.before.popitem())
        if task.action == "infinite.databases.database_logs":
            for number, handler in ((signal.SIGINT, self._interrupt_task), (signal.SIGPIPE, signal.SIG_DFL)):
                self.before[number] = signal.signal(number, handler)

    @staticmethod
    def _interrupt_task(number: int, _frame: Any) -> None:
        """Pass the signal on to the workers.

        Workers are sessions of their own, which Ctrl-C does not reach. Ansible's own handler would end the run with an error.
        """
        for worker in multiprocessing.active_children():
            if worker.pid:
                os.kill(worker.pid, number)

    def v2_runner_on_ok(self, result: Any) -> None:
        if result.task.action in ("ansible.builtin.debug", "debug"):
            message = result.result["msg"]
            self._say("\n".join(map(str, message)) if isinstance(message, list) else message)

    def v2_on_file_diff(self, result: Any) -> None:
        # A task with a loop has a result for each item.
        for one in result.result.get("results", [result.result]):
            if one.get("diff") and one.get("changed"):
                self._say(self._get_diff(one["diff"]).rstrip("\n"))

    @staticmethod
    def _say(text: Any) -> None:
        try:
            print(text, flush=True)
        except BrokenPipeError:
            # Python writes to standard output once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        # If no_log hides the result, a later task shows the error in words that may be seen.
        if "censored" not in result.result:
            print(WRAPPING.sub("", result.result.get("msg", "failed")).replace("\n", "; "), file=sys.stderr)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self.v2_runner_on_failed(result)
