# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What `list` shows, by Ansible's own templating."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.details import notice

ROOT = Path(__file__).resolve().parents[3]
TEMPLATE = ROOT / "roles" / "database" / "templates" / "list.txt.j2"
NOW, MIB = 1_800_000_000, 1024 * 1024
SHOW = "msg={{ lookup('ansible.builtin.template', template) | split('\n') }}"


def shown(*databases: dict[str, Any]) -> list[str]:
    usual = {"name": "a", "state": "running", "reason": "", "version": "17", "description": {}, "created": NOW - 7199}
    usual |= {"notice": "", "expires": None, "destroyed": None}
    full = [usual | one for one in databases]
    variables = {
        "template": str(TEMPLATE),
        "__database_info": {"databases": full, "missing": [], "pool": {"17": {"ready": 3, "preparing": 0}}},
        "__database_defaults": {"memory": 64, "memory_max": 256},
        "__now": NOW,
    }
    command = ["ansible", "-i", "localhost,", "-c", "local", "all", "-m", "ansible.builtin.debug", "-a", SHOW]
    command += ["-e", json.dumps(variables)]
    environ = os.environ | {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    lines: list[str] = json.loads(done.stdout.partition("=>")[2])["msg"]
    return [line for line in lines if line]


def test_a_row() -> None:
    full = {"size": 22 * MIB, "memory_used": 31.4 * MIB, "connections": 0, "expires": NOW + 7199}
    assert shown({"name": "orders", "description": {"memory": 512}} | full)[:2] == [
        "NAME    STATE      VERSION       SIZE           MEMORY, MiB   CONN   AGE  EXPIRES",
        "orders  running    17        22.00 MB         31 of 512-512      0    2h  2h",
    ]
    assert shown({})[1].split() == ["a", "running", "17", "-", "-", "of", "64-256", "-", "2h", "-"]


def test_broken_ones_come_first_with_their_reasons() -> None:
    failing = {"name": "x", "state": "failing", "reason": "unrecognized parameter wrk_mem"}
    lines = shown({"name": "h-2"}, {"name": "h-10", "state": "no room"}, failing)
    assert [line.split()[0] for line in lines] == ["NAME", "h-10", "x", "unrecognized", "h-2", "Pool:"]
    assert lines[3] == "  unrecognized parameter wrk_mem"


def test_a_notice_is_below_its_row() -> None:
    lines = shown({"notice": notice(3)}, {"name": "b", "notice": notice(0)})
    assert [line.split()[0] for line in lines] == ["NAME", "a", "out", "b", "Pool:"]
    assert lines[2] == "  out of memory 3 times since its start: provision it with more memory_max"
    assert (notice(1), notice(None)) == ("out of memory once since its start: provision it with more memory_max", "")


def test_it_fits_100_columns() -> None:
    memory = {"memory": 16384, "memory_max": 32768}
    most = {"size": 10**12, "memory_used": 32768 * MIB, "connections": 10000, "description": memory, "created": NOW - 999 * 86400}
    ends = {"destroyed": NOW, "expires": NOW, "erased_from": NOW + 99 * 86400}
    for states in (["destroyed"], ["destroyed", "failing"]):
        lines = shown(
            *[
                most | ends | {"name": name, "state": state, "reason": "x" * 120}
                for name in ("a", "n" * 24, "m" * 63)
                for state in states
            ]
        )
        assert max(map(len, lines)) <= 100
        assert "m" * 63 in lines, "one that can be copied"
