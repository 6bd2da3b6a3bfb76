# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The callback whose output is for people and shells."""

from __future__ import annotations

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
    ],
)
def test_output(method: str, result: Any, out: str, err: str, capsys: pytest.CaptureFixture[str]) -> None:
    getattr(CallbackModule(), method)(result)
    assert capsys.readouterr() == (out, err)
