# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: die_after
type: notification
short_description: Kill the run after a task
description:
  - Adds each task that has ended on the only host of its play to a file, C(INFINITE_TASKS), one a line, unless it is in there.
  - With C(INFINITE_DIE) set, the run is killed, workers and all, after the first that was not in there.
  - With C(INFINITE_DIE=changed) tasks that change nothing do not count. One that is skipped never does.
author:
  - Infinite Databases contributors (@infinite-databases)
"""

import multiprocessing
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

ROOT = Path(__file__).resolve().parents[3]


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "die_after"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.file = Path(os.environ["INFINITE_TASKS"])
        self.known = set(self.file.read_text().splitlines()) if self.file.exists() else set()
        self.die = os.environ.get("INFINITE_DIE", "")
        self.times: Counter[str] = Counter()
        self.play = ""

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self.play = play.get_name()

    def v2_runner_on_ok(self, result: Any) -> None:
        path, _colon, line = str(result.task.get_path()).rpartition(":")
        place = Path(path).resolve()
        where = f"{place.relative_to(ROOT) if place.is_relative_to(ROOT) else place.name}:{line}"
        task = f"{self.play} / {result.task.get_name()} / {where}"
        self.times[task] += 1
        task += f" / {self.times[task]}"
        if task in self.known or (self.die == "changed" and not result.result.get("changed")):
            return
        self.known.add(task)
        with self.file.open("a") as file:
            file.write(f"{task}\n")
        if self.die:
            for worker in multiprocessing.active_children():
                worker.kill()
            os.kill(os.getpid(), signal.SIGKILL)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self.v2_runner_on_ok(result)
