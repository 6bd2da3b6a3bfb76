# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands that docs/troubleshooting.md says, run as they are but for the database's name and its log's number."""

from __future__ import annotations

import os
import re
import shlex
import subprocess

import pytest

from tests.support.user import ENVIRONMENT, ROOT, User

COMMANDS = re.findall(r"(?m)^    (scripts/nomad .*?)(?: +#.*)?$", (ROOT / "docs/troubleshooting.md").read_text())


def nomad(command: str, **more: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NOMAD_")}
    env = inherited | {"environment": ENVIRONMENT} | more
    return subprocess.run(shlex.split(command), cwd=ROOT, check=False, capture_output=True, text=True, env=env)


def test_the_documented_commands(user: User, first: str) -> None:
    listing = nomad(f"scripts/nomad alloc fs -namespace=databases -job {first} alloc/data").stdout
    newest = max(int(number) for number in re.findall(r"postgres[.]stderr[.](\d+)", listing))
    shown = []
    for command in COMMANDS:
        done = nomad(command.replace("mydb", first).replace("stderr.0", f"stderr.{newest}"))
        assert done.returncode == 0, (command, done.stderr)
        shown.append(done.stdout)
    jobs, files, log = shown
    assert first in jobs
    assert f"postgres.stderr.{newest}" in files
    assert "database system is ready to accept connections" in log


@pytest.mark.parametrize(("more", "message"), [({"environment": "nowhere"}, "environment nowhere is not set up here: no /")])
def test_what_is_missing_is_said(more: dict[str, str], message: str) -> None:
    done = nomad("scripts/nomad status", **more)
    assert done.returncode == 1
    assert message in done.stderr
