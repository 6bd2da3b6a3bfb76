# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Nomad that cannot be used: one line that says which way and what to do, and nothing changed."""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.support.environments import HERE
from tests.support.user import User


@pytest.fixture
def trouble(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Extra variables that break the connection in the way the test names."""
    token, ca = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text(f"{uuid.uuid4()}\n")
    if request.param == "ca":
        new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=other"]
        subprocess.run([*new, "-keyout", str(tmp_path / "ca.key"), "-out", str(ca)], check=True, capture_output=True)
    ways: dict[str, dict[str, Any]] = {
        "address": {"nomad_address": "https://127.0.0.1:1", "database_images": {"17": "image"}},
        "token": {"nomad_token_file": str(token)},
        "token file": {"nomad_token_file": str(tmp_path / "nothing")},
        "ca": {"nomad_ca_cert": str(ca)},
        "ca file": {"nomad_ca_cert": str(tmp_path / "nothing")},
    }
    return ways[request.param]


UNREACHABLE = "Nomad at https://127.0.0.1:1 is unreachable (Connection refused); is Nomad running there"


@pytest.mark.parametrize(
    ("verb", "trouble", "message"),
    [
        ("provision", "address", UNREACHABLE),
        ("list", "address", UNREACHABLE),
        ("url", "address", UNREACHABLE),
        ("destroy", "address", UNREACHABLE),
        ("provision", "token", "does not know this token"),
        ("url", "token", "does not know this token"),
        ("destroy", "token", "does not know this token"),
        ("provision", "token file", "Cannot read the Nomad token from"),
        ("provision", "ca", "its certificate is not trusted"),
        ("list", "ca", "its certificate is not trusted"),
        ("provision", "ca file", "nomad_ca_cert: "),
    ],
    indirect=["trouble"],
)
def test_one_line(user: User, first: str, verb: str, trouble: dict[str, Any], message: str) -> None:
    done = user.changes_nothing(lambda: user.run(verb, plain=True, fails=True, db=first, **trouble))
    assert message in done.err
    assert len(done.problems) == 1, done.err
    assert done.out == ""


@pytest.mark.parametrize("verb", ["url", "destroy"])
def test_no_name(user: User, verb: str) -> None:
    assert "Which database? Add -e db=NAME" in user.run(verb, plain=True, fails=True).err


def test_no_environment(user: User, tmp_path: Path) -> None:
    done = user.run("provision", plain=True, fails=True, db="infinite-test-nowhere", environment_state_dir=str(tmp_path))
    assert f"Environment '{HERE.name}' is not set up: no {tmp_path}/connection.yml" in done.err
