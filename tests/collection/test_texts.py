# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Changelog, licences, documentation and workflows: what their own tools say."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.collection.repository import ROOT, tracked

Run = Callable[..., str]


def test_changelog_fragments(source: Path, tools: Path, run: Run) -> None:
    run(["antsibull-changelog", "lint"], source, tools)
    run(["antsibull-changelog", "lint-changelog-yaml", "changelogs/changelog.yaml"], source, tools)


def test_changelog_is_what_its_fragments_say(source: Path, tools: Path, run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "ansible_collections" / "infinite" / "databases"
    shutil.copytree(source, copy, symlinks=True)
    run(["make", "changelog"], copy, tools)
    assert (copy / "CHANGELOG.md").read_text() == (ROOT / "CHANGELOG.md").read_text(), "run `make changelog`"


def test_documentation(source: Path, tools: Path, run: Run) -> None:
    run(["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs", "self", "."], source, tools)


def test_licences(source: Path, tools: Path, run: Run) -> None:
    run(["reuse", "--root", source, "lint", "--lines"], source, tools)


def test_code_states_its_licence() -> None:
    code = [ROOT / name for name in tracked() if name.endswith((".py", ".yml", ".sh"))]
    heads = {path: path.read_text()[:400] for path in code if path.read_text().strip()}
    assert [
        path for path, head in heads.items() if "GNU General Public License" not in head and "GPL-3.0-or-later" not in head
    ] == []


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_workflows(tools: Path, run: Run) -> None:
    assert WORKFLOWS
    run(["check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS], ROOT, tools)
    if shutil.which("go"):
        run(["go", "run", "github.com/rhysd/actionlint/cmd/actionlint@v1.7.7", *WORKFLOWS])


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_targets_that_there_are(workflow: Path, run: Run) -> None:
    jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
    commands = [step["run"].rpartition("make ")[2] for job in jobs for step in job["steps"] if "make " in step.get("run", "")]
    assert commands
    for command in commands:
        run(["make", "--dry-run", *command.split()])
