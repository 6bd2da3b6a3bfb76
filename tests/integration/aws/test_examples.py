# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The examples in the documentation of the modules for AWS work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.examples import examples, modules


@pytest.mark.parametrize("module", modules(aws=True))
def test_examples(zone: str, play: Callable[..., list[dict[str, Any]]], module: str) -> None:
    tasks = examples(module, {"Z0123456789ABCDEFGHIJ": zone})
    for result, task in zip(play(tasks), tasks, strict=True):
        assert not result.get("failed"), f"{task['name']}: {result}"
        assert not result.get("skipped") or not result["results"], task["name"]
