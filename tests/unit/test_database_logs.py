# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Nomad's stream of JSON objects as lines, however the network cuts it."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.infinite.databases.plugins.module_utils.database_logs import SPEC, Lines, pieces


def stream(texts: list[str]) -> bytes:
    """As Nomad sends it: the last field of an object with data varies, one without says that the connection stands."""
    objects = [{"Data": base64.b64encode(text.encode()).decode(), "File": "log.0", "Offset": 7} if text else {} for text in texts]
    return "".join(json.dumps(one) for one in objects).encode()


@given(st.lists(st.text()), st.integers(1, 50))
def test_pieces(texts: list[str], size: int) -> None:
    sent = stream(texts)
    chunks = (sent[start : start + size] for start in range(0, len(sent), size))
    assert list(pieces(chunks)) == [text.encode() for text in texts]


@pytest.mark.parametrize(
    ("count", "expected"), [(0, ["4", "5"]), (1, ["3", "4", "5"]), (2, ["2", "3", "4", "5"]), (9, ["1", "2", "3", "4", "5"])]
)
def test_the_last_lines_and_then_all(count: int, expected: list[str]) -> None:
    shown: list[str] = []
    lines = Lines(count, shown.append)
    lines.add(b"1\n2\n3\n4")
    assert shown == []
    lines.go_live()
    lines.add(b"\n5\nunfinis")
    assert shown == expected


@pytest.mark.parametrize(
    ("option", "message"),
    [({"lines": -1}, "lines: -1 is less than nothing"), ({"seconds": -1}, "seconds: -1"), ({"follow": True}, "give seconds, too")],
)
def test_refused_before_anything_is_asked(option: dict[str, int], message: str) -> None:
    params = {"name": "a", "lines": 1, "seconds": 0, "follow": False, "nomad_address": "no address"}
    assert message in SPEC.execute(params | option, False)["msg"]
