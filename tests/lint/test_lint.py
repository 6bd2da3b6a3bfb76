# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The linters, as tests: `make test` has one runner and one summary."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINTERS = {
    "ruff": "ruff check .",
    "format": "ruff format --check .",
    "mypy-plugins": "mypy -p ansible_collections.infinite.databases.plugins",
    "mypy-tests": "mypy tests benchmarks",
    "ansible-lint": "ansible-lint --offline",
}


@pytest.mark.parametrize("command", LINTERS.values(), ids=LINTERS.keys())
def test_lint(command: str) -> None:
    done = subprocess.run(command.split(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{command}\n{done.stdout}", pytrace=False)
