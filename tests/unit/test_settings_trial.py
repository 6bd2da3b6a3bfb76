# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which settings are tried, and what the server's log says of those that it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database.settings_trial import Change, reasons, trials

DEFAULTS = {"memory": 64, "memory_max": 256}


@pytest.mark.parametrize(
    ("before", "after", "tried"),
    [
        ({}, {}, False),
        ({}, {"memory_max": 512}, False),
        ({}, {"settings": {"work_mem": "8MB"}}, True),
        ({"settings": {"work_mem": "8MB"}}, {"settings": {"work_mem": "8MB"}, "ttl": "1d"}, False),
        ({"settings": {"work_mem": "8MB"}}, {"settings": {"work_mem": "9MB"}}, True),
        ({"settings": {"work_mem": "8MB"}}, {"settings": {}}, False),
        ({}, {"connections": 3000}, True),
        # What was tried with more memory may need too much of less.
        ({"settings": {"wal_buffers": "90MB"}}, {"settings": {"wal_buffers": "90MB"}, "memory_max": 64}, True),
    ],
)
def test_what_is_tried(before: dict[str, Any], after: dict[str, Any], tried: bool) -> None:
    assert bool(trials([Change("a", "17", before, after)], DEFAULTS)) == tried


def test_the_same_settings_are_tried_once() -> None:
    changes = [Change(name, "17", {}, {"settings": {"work_mem": "8MB"}}) for name in ("a", "b")]
    tried = list(trials(changes, DEFAULTS).items())
    assert len(tried) == 1
    trial, names = tried[0]
    assert names == ["a", "b"]
    assert dict(trial.settings)["work_mem"] == "8MB"
    assert trial.memory_max == DEFAULTS["memory_max"]


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (
            "pg_resetwal: warning: pg_control exists but is broken or wrong version; ignoring it\n"
            '2026-11-30 22:00:16.872 GMT [6323] FATAL:  unrecognized configuration parameter "wrk_mem"\n',
            'unrecognized configuration parameter "wrk_mem"',
        ),
        (
            'x [1] FATAL:  invalid value for parameter "work_mem": "8XB"\n'
            'x [1] HINT:  Valid units for this parameter are "B", "kB".\n',
            'invalid value for parameter "work_mem": "8XB"; Valid units for this parameter are "B", "kB".',
        ),
        (
            "postgres: superuser_reserved_connections (3) must be less than max_connections (3)\n",
            "superuser_reserved_connections (3) must be less than max_connections (3)",
        ),
        (
            "FATAL:  they need 300 MiB of shared memory, and memory_max is 256\n",
            "they need 300 MiB of shared memory, and memory_max is 256",
        ),
        ("/bin/sh: pg_resetwal: not found\n", ""),
    ],
)
def test_the_servers_own_words(log: str, reason: str) -> None:
    assert reasons(log) == reason
