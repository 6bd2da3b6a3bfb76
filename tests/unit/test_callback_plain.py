# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The callback whose output is for people and shells."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.callback.plain import CallbackModule


def outcome(action: str, **result: Any) -> Any:
    return SimpleNamespace(task=SimpleNamespace(action=action), result=result)


@pytest.mark.parametrize(
    ("method", "result", "out", "err"),
    [
        ("v2_runner_on_ok", outcome("ansible.builtin.debug", msg="postgresql://x"), "postgresql://x\n", ""),
        ("v2_runner_on_ok", outcome("debug", msg=["a", "b"]), "a\nb\n", ""),
        ("v2_runner_on_ok", outcome("infinite.databases.database_info", msg="not for a shell"), "", ""),
        ("v2_runner_on_failed", outcome("x", msg="what, where, what to do"), "", "what, where, what to do\n"),
        ("v2_runner_on_failed", outcome("x"), "", "failed\n"),
        ("v2_runner_on_failed", outcome("x", censored="no_log"), "", ""),
        ("v2_runner_on_unreachable", outcome("x", msg="gone"), "", "gone\n"),
        ("v2_on_file_diff", outcome("x", changed=True, diff={"prepared": "a\n- b\n+ c\n"}), "a\n- b\n+ c\n", ""),
        ("v2_on_file_diff", outcome("x", results=[{"changed": True, "diff": {"prepared": "- b\n"}}, {}]), "- b\n", ""),
        ("v2_on_file_diff", outcome("x", changed=False, diff={"prepared": "a\n"}), "", ""),
        ("v2_on_file_diff", outcome("x", changed=True), "", ""),
    ],
)
def test_output(method: str, result: Any, out: str, err: str, capsys: pytest.CaptureFixture[str]) -> None:
    getattr(CallbackModule(), method)(result)
    assert capsys.readouterr() == (out, err)


ROOT = Path(__file__).parents[2]
# A task that waits, in a worker process as the tasks of all modules do.
ACTION = """
import time
from ansible.plugins.action import ActionBase
from ansible_collections.infinite.databases.plugins.module_utils import waiting
from ansible_collections.infinite.databases.plugins.plugin_utils.in_process import say

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        waiting.FIRST_SECONDS = waiting.TERMINAL_SECONDS = 0.2
        waiting.Waiting.say = staticmethod(say)
        with waiting.waiting(lambda: 200 * "x"):
            time.sleep(0.9)
        return {}
"""
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - slow:
    - ansible.builtin.debug: {msg: the answer}
"""
MESSAGE = f"waiting for {200 * 'x'}"
ERASE = "\r\033[K"


def shown(path: Path, term: str = "xterm", **streams: Any) -> None:
    """Run the play with the callback."""
    (path / "action_plugins").mkdir()
    (path / "action_plugins" / "slow.py").write_text(ACTION)
    (path / "play.yml").write_text(PLAY)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    env = inherited | {"ANSIBLE_STDOUT_CALLBACK": "infinite.databases.plain", "TERM": term}
    command = ["ansible-playbook", "-i", "localhost,", "-c", "local", str(path / "play.yml")]
    subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, check=True, timeout=120, **streams)


def on_a_terminal(path: Path, term: str) -> str:
    """Return all that the run wrote to a terminal, as standard output and as standard error."""
    ours, theirs = pty.openpty()
    try:
        shown(path, term, stdout=theirs, stderr=theirs)
        return os.read(ours, 65536).decode().replace("\r\n", "\n")
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_terminal_has_one_line_of_what_is_waited_for(tmp_path: Path) -> None:
    begin, *messages, end = on_a_terminal(tmp_path, "xterm").split(ERASE)
    assert (begin, end) == ("", "the answer\n")
    assert len(messages) > 1
    assert set(messages) == {MESSAGE[:79]}, "cut, because this terminal has 80 columns"


def test_a_simple_terminal_has_a_line_for_each_message(tmp_path: Path) -> None:
    lines = on_a_terminal(tmp_path, "dumb").splitlines()
    assert (set(lines[:-1]), lines[-1]) == ({MESSAGE}, "the answer")


def test_elsewhere_each_message_is_a_line(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
        shown(tmp_path, stdout=out, stderr=err)
    assert (tmp_path / "out").read_text() == "the answer\n"
    assert (tmp_path / "err").read_text().splitlines() in ([MESSAGE], [MESSAGE, MESSAGE]), "at growing intervals"
