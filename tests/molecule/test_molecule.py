# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Molecule's scenarios, as tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.environments import HERE

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
# The scenario that `make test` has: a whole environment on two hosts.
QUICK = ("cluster",)
# Variables that would hide a missing CA setting of ours.
FOREIGN = ("AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


def sequence(scenario: str) -> list[str]:
    common = yaml.safe_load((ROOT / ".config/molecule/config.yml").read_text())
    own = yaml.safe_load((ROOT / "molecule" / scenario / "molecule.yml").read_text()) or {}
    found: list[str] = own.get("scenario", {}).get("test_sequence") or common["scenario"]["test_sequence"]
    return found


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_a_scenario_does(scenario: str) -> None:
    steps = sequence(scenario)
    first, *others = [steps.index(step) for step in ("check", "converge", "idempotence", "verify")]
    assert [first, *others] == sorted([first, *others])
    assert steps[-1] == "destroy"


@pytest.mark.parametrize("scenario", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in SCENARIOS])
def test_scenario(scenario: str) -> None:
    # The controller's cache is filled for the tests' environment, and not twice at once.
    HERE.make()
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    command = ["molecule", "test", "-s", scenario]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}", pytrace=False)
