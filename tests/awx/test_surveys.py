# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""awx/vars/verbs.yml is what scripts/awx-templates writes now, and asks for all that a verb knows. Nothing is run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.awx.described import described
from tests.awx.jobs import synchronise_files

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = ROOT / "awx" / "vars" / "verbs.yml"
TEMPLATES = described("verbs.yml", "awx_verbs")
QUESTIONS = [(one["playbook"], question) for one in TEMPLATES for question in one.get("survey", {}).get("spec", [])]


def written_by(repository: Path, tmp_path: Path) -> str:
    subprocess.run([repository / "scripts" / "awx-templates", tmp_path / "verbs.yml"], check=True)
    return (tmp_path / "verbs.yml").read_text()


def test_templates_are_what_the_script_writes(tmp_path: Path) -> None:
    assert written_by(ROOT, tmp_path) == WRITTEN.read_text(), "run scripts/awx-templates"


@pytest.mark.parametrize(
    ("file", "before", "added"),
    [
        (
            "roles/database/meta/argument_specs.yml",
            '          - "C(memory): MiB reserved on the node."\n',
            '          - "C(colour): What it looks like."\n',
        ),
        ("playbooks/provision.yml", '        database_only: "', '        database_timeout: "{{ timeout | default(120, true) }}"\n'),
    ],
    ids=["key", "variable"],
)
def test_an_option_without_its_question_is_noticed(file: str, before: str, added: str, tmp_path: Path) -> None:
    """The test above fails then: a copy of the repository with one more option for provision."""
    synchronise_files(tmp_path / "copy")
    path = tmp_path / "copy" / file
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, added + before))
    with pytest.raises(AssertionError, match="run scripts/awx-templates"):
        assert written_by(tmp_path / "copy", tmp_path) == WRITTEN.read_text(), "run scripts/awx-templates"
    new = set(written_by(tmp_path / "copy", tmp_path).splitlines()) - set(WRITTEN.read_text().splitlines())
    assert {line.strip() for line in new} & {"variable: colour", "variable: timeout"}


def test_every_verb_has_its_template() -> None:
    """What is one is said by docs/verbs/, which another test compares with the playbooks; `connect` is none."""
    verbs = {path.stem for path in (ROOT / "docs" / "verbs").glob("*.md")} - {"README", "connect"}
    assert {Path(one["playbook"]).stem for one in TEMPLATES} == verbs


def asked(questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All but the words."""
    return [{key: value for key, value in one.items() if key != "question_description"} for one in questions]


def test_the_workflows_questions_are_the_previews() -> None:
    """Written by hand, since it asks for a part of them."""
    (workflow,) = described("controller.yml", "controller_workflows")
    (preview,) = [one for one in TEMPLATES if one["playbook"] == "preview.yml"]
    of_preview = asked(preview["survey"]["spec"])
    assert [one for one in asked(workflow["survey"]["spec"]) if one not in of_preview] == []


@pytest.mark.parametrize("playbook", ["launch", "site", "teardown"])
def test_what_is_no_verb_asks_for_its_variables(playbook: str) -> None:
    """Written by hand as well. A variable is what the playbook has a default for, such as `confirm` here:
    `ec2_host_confirm: "{{ confirm | default('') }}"`."""
    (template,) = [one for one in described("templates.yml", "awx_others") if one["playbook"] == f"{playbook}.yml"]
    text = (ROOT / "playbooks" / f"{playbook}.yml").read_text()
    variables = set(re.findall(r"\w+: \"\{\{ (\w+) \| default\((?!omit)", text))
    assert {one["variable"] for one in template.get("survey", {}).get("spec", [])} == variables


def test_every_variable_is_asked_or_has_its_reason() -> None:
    """By the pages of docs/verbs/, which say each variable in a row of a table."""
    reasons = (ROOT / "scripts" / "awx-templates").read_text()
    for template in TEMPLATES:
        page = (ROOT / "docs" / "verbs" / template["playbook"].replace(".yml", ".md")).read_text()
        told = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
        asked = {question["variable"] for question in template.get("survey", {}).get("spec", [])}
        decided = set(template.get("extra_vars", {}))
        assert asked | decided <= told
        assert [name for name in told - asked - decided if f'"{name}":' not in reasons] == [], template["playbook"]


@pytest.mark.parametrize(("playbook", "question"), QUESTIONS, ids=[f"{verb}-{one['variable']}" for verb, one in QUESTIONS])
def test_questions_are_as_awx_wants_them(playbook: str, question: dict[str, Any]) -> None:
    """AWX's own rules: awx/api/views, JobTemplateSurveySpec."""
    for key, kind in (("question_name", str), ("question_description", str), ("variable", str), ("required", bool), ("type", str)):
        assert isinstance(question[key], kind)
    assert question["question_description"]
    assert question["type"] in ("text", "textarea", "multiplechoice")
    assert isinstance(question.get("default", ""), str)
    if question["type"] == "multiplechoice":
        assert question["default"] in question["choices"]
    # Whoever leaves a question out, as a call of the API may, says the same as who leaves it empty.
    assert question["required"] != ("default" in question)
