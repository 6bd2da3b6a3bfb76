# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Molecule's scenarios, as tests. Their output is shown while they run: they take minutes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
ROLES = [name for name in SCENARIOS if (ROOT / "roles" / name).is_dir()]
# Variables that would hide a missing CA setting of ours.
FOREIGN = ("AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


@pytest.mark.parametrize("scenario", [pytest.param(name, marks=pytest.mark.role if name in ROLES else ()) for name in SCENARIOS])
def test_scenario(scenario: str, capfd: pytest.CaptureFixture[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    with capfd.disabled():
        done = subprocess.run(["molecule", "test", "-s", scenario], cwd=ROOT, env=environment, check=False)
    assert done.returncode == 0
