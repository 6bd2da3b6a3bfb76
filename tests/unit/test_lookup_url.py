# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the lookup says where it does not know whom to ask."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BOTH = "database_domain and nomad_address not set: the connection to environment"


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (
            [],
            f"{BOTH} 'local' was not loaded; first import role infinite.databases.environment with",
        ),
        (["environment_name=prod"], f"{BOTH} 'prod' was not loaded"),
        (["nomad_address=http://127.0.0.1:9"], "failed: database_domain not set: the connection"),
        (
            ["database_domain=x", "nomad_address=http://127.0.0.1:9,http://127.0.0.1:10"],
            "http://127.0.0.1:9 is unreachable (Connection refused); http://127.0.0.1:10 is unreachable",
        ),
    ],
)
def test_without_a_connection(known: list[str], said: str) -> None:
    variables = [argument for one in known for argument in ("-e", one)]
    command = ["ansible", "localhost", "-m", "debug", "-a", "msg={{ lookup('infinite.databases.url', 'x') }}", *variables]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
