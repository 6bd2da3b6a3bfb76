# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the last bytes of a log are, Nomad's stream of JSON objects however the network cuts it, and where tasks may write."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.infinite.databases.plugins.module_utils._nomad.task_log import pieces, since

ROLES = Path(__file__).parents[2] / "roles"
# As tasks see it, by its name or by Nomad's variable.
COLLECTED = re.compile(r"(/alloc|ALLOC_DIR\W*)/logs\b")


@pytest.mark.parametrize(
    ("sizes", "count", "expected"),
    [
        ({}, 10, []),
        ({0: 100}, 10, [(0, 90)]),
        ({0: 100}, 200, [(0, 0)]),
        ({10: 5, 9: 100}, 10, [(9, 95), (10, 0)]),
        ({10: 10, 9: 100}, 10, [(10, 0)]),
        ({10: 5, 9: 100}, None, [(9, 0), (10, 0)]),
        ({10: 0}, 10, [(10, 0)]),
        ({10: 5, 9: 100}, 0, [(10, 5)]),
    ],
)
def test_since(sizes: dict[int, int], count: int | None, expected: list[tuple[int, int]]) -> None:
    assert since(sizes, count) == expected


def stream(texts: list[str]) -> bytes:
    """As Nomad sends it: the last field of an object with data varies, one without says that the connection stands."""
    objects = [{"Data": base64.b64encode(text.encode()).decode(), "File": "log.0", "Offset": 7} if text else {} for text in texts]
    return "".join(json.dumps(one) for one in objects).encode()


@given(st.lists(st.text()), st.integers(1, 50))
def test_pieces(texts: list[str], size: int) -> None:
    sent = stream(texts)
    chunks = (sent[start : start + size] for start in range(0, len(sent), size))
    assert list(pieces(chunks)) == [text.encode() for text in texts]


def test_no_job_writes_where_nomad_collects_logs() -> None:
    """Read-only for tasks from Nomad 2.0.1 on."""
    files = [path for path in ROLES.rglob("*") if path.parent.name in ("files", "templates") and path.is_file()]
    assert any(path.name == "postgres.nomad.hcl" for path in files)
    assert [str(path.relative_to(ROLES)) for path in files if COLLECTED.search(path.read_text())] == []
