# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What somebody else does while a run is at a certain task: the run waits there until that is done."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.support.user import ROOT

CALLBACK = '''
import os
import subprocess

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: meanwhile
type: aggregate
short_description: Does something once, before a task
description: Does something once, before a task.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "meanwhile"
    done = False

    def v2_playbook_on_task_start(self, task, is_conditional):
        if task.name == TASK and not self.done:
            self.done = True
            with open(SAID, "w") as said:
                # What is run has a task of that name, too, perhaps.
                environ = {name: value for name, value in os.environ.items() if name != "ANSIBLE_CALLBACK_PLUGINS"}
                code = subprocess.run(COMMAND, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=said, stderr=said).returncode
                said.write(f"exit status {code}")
'''


@dataclass
class Meanwhile:
    directory: Path
    task: str
    command: list[str]

    @property
    def environ(self) -> dict[str, str]:
        """For the run."""
        values = {"TASK": self.task, "COMMAND": self.command, "ROOT": str(ROOT), "SAID": str(self.directory / "said")}
        constants = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
        (self.directory / "meanwhile.py").write_text(constants + CALLBACK)
        return {"ANSIBLE_CALLBACK_PLUGINS": str(self.directory)}

    def check(self) -> None:
        """That the task came, and that what was to be done then was."""
        said = (self.directory / "said").read_text()
        assert said.endswith("exit status 0"), said
