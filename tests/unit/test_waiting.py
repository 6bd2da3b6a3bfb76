# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whoever waits is told for what, and is not told more than needed."""

from __future__ import annotations

import time
from threading import Event

import pytest

from ansible_collections.infinite.databases.plugins.module_utils import waiting


@pytest.mark.parametrize(
    ("names", "said"),
    [([], ""), (["b", "a"], "a, b"), (list("gfedcba"), "a, b, c, d, e and 2 more"), (["h-10", "h-2"], "h-2, h-10")],
)
def test_some(names: list[str], said: str) -> None:
    assert waiting.some(names) == said


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, str]]:
    heard: list[tuple[float, str]] = []
    start = time.monotonic()
    monkeypatch.setattr(waiting.Waiting, "say", staticmethod(lambda text: heard.append((time.monotonic() - start, text))))
    monkeypatch.setattr(waiting, "FIRST_SECONDS", 0.1)
    return heard


def test_said_at_growing_intervals(said: list[tuple[float, str]]) -> None:
    left, third = ["a", "b"], Event()

    def what() -> str:
        if len(said) == 2:
            third.set()
        return f"{len(left)}: {waiting.some(left)}"

    with waiting.waiting(what):
        while not said:
            time.sleep(0.01)
        left.remove("a")
        assert third.wait(10)
    assert [text for _when, text in said[:2]] == ["waiting for 2: a, b", "waiting for 1: b"]
    assert said[0][0] >= 0.1
    assert said[1][0] - said[0][0] >= 0.2


@pytest.mark.parametrize("columns", [0, 80])
def test_a_short_wait_is_silent(columns: int, said: list[tuple[float, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting.Waiting, "columns", columns)
    with waiting.waiting(lambda: "nothing"):
        pass
    time.sleep(0.2)
    assert said == []
