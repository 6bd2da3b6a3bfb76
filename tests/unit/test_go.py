# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which Go builds what tests need."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.support import go

NEEDED = go.number((go.ROLE / "files" / "build" / "go.mod").read_text())
INSTALLED = yaml.safe_load((go.ROLE / "defaults" / "main.yml").read_text())["nomad_go_version"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("go1.26.8\n", (1, 26, 8)),
        ("go1.27rc1\n", (1, 27)),
        ("// go 1\nmodule x\n\ngo 1.25.8\n\nrequire y v1.2.3\n", (1, 25, 8)),
        ("", ()),
    ],
)
def test_number(text: str, number: tuple[int, ...]) -> None:
    assert go.number(text) == number


@pytest.mark.parametrize(
    ("version", "taken"),
    [(None, False), ("", False), ("go1.19.8", False), (f"go{'.'.join(map(str, NEEDED))}", True), ("go1.99", True)],
)
def test_an_old_go_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None, taken: bool) -> None:
    had = tmp_path / "bin" / "go"
    had.parent.mkdir()
    if version is not None:
        had.write_text(f"#!/bin/sh\necho '{version}'\n")
        had.chmod(0o755)
    monkeypatch.setenv("PATH", str(had.parent))
    monkeypatch.setattr(go, "CACHE", tmp_path)
    cached = tmp_path / "go" / INSTALLED
    cached.mkdir(parents=True)
    assert go.toolchain() == str(had if taken else cached / "go" / "bin" / "go")
