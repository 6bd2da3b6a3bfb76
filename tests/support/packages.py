# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs that tests need, from the distribution's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping

import pytest

LOCK_SECONDS = 600


def apt_get(*arguments: str, cwd: str | None = None) -> None:
    """Run apt-get. Another worker, which makes a node at the same time, may have apt's locks."""
    command = ["apt-get", "-qq", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", *arguments]
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd, env=env)
        if done.returncode == 0:
            return
        # apt-get does not wait for the lock of its lists.
        if "lock" not in done.stderr or time.monotonic() > deadline:
            pytest.fail(f"{' '.join(command)}: {done.stderr}")
        time.sleep(2)


def install(programs: Mapping[str, str]) -> None:
    """Install the packages of the programs that are missing, each as PROGRAM: PACKAGE."""
    missing = [package for program, package in programs.items() if not shutil.which(program)]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.fail(f"install {' '.join(missing)}")
    apt_get("update")
    apt_get("install", "-y", "--no-install-recommends", *missing)
