# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The job templates and surveys are as AWX wants them, and ask for all that a verb knows. Nothing is run. That verbs.yml is what
scripts/generate writes now, a unit test says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.plugin_utils.verbs import VERBS
from tests.awx.described import described

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = described("verbs.yml", "awx_verbs")
QUESTIONS = [(one["playbook"], question) for one in TEMPLATES for question in one.get("survey", {}).get("spec", [])]


def test_every_verb_has_its_template() -> None:
    """`connect` wants a terminal."""
    assert {Path(one["playbook"]).stem for one in TEMPLATES} == set(VERBS) - {"connect"}
    assert all((ROOT / one["playbook"]).is_file() for one in TEMPLATES)


def asked(questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All but the words."""
    return [{key: value for key, value in one.items() if key != "question_description"} for one in questions]


def test_the_workflows_questions_are_the_previews() -> None:
    """Written by hand, since it asks for a part of them."""
    (workflow,) = described("controller.yml", "controller_workflows")
    (preview,) = [one for one in TEMPLATES if one["playbook"] == "playbooks/preview.yml"]
    of_preview = asked(preview["survey"]["spec"])
    assert [one for one in asked(workflow["survey"]["spec"]) if one not in of_preview] == []


@pytest.mark.parametrize("playbook", ["launch", "site", "teardown"])
def test_what_is_no_verb_asks_for_its_variables(playbook: str) -> None:
    """Written by hand as well. A variable is what the playbook has a default for, such as `confirm` here:
    `ec2_host_confirm: "{{ confirm | default('') }}"`."""
    (template,) = [one for one in described("templates.yml", "awx_others") if Path(one["playbook"]).stem == playbook]
    text = (ROOT / "playbooks" / f"{playbook}.yml").read_text()
    variables = set(re.findall(r"\w+: \"\{\{ (\w+) \| default\((?!omit)", text))
    assert {one["variable"] for one in template.get("survey", {}).get("spec", [])} == variables


def test_every_variable_is_asked_or_has_its_reason() -> None:
    for template in TEMPLATES:
        options = VERBS[Path(template["playbook"]).stem].all_options
        asked = {question["variable"] for question in template.get("survey", {}).get("spec", [])}
        decided = set(template.get("extra_vars", {}))
        assert asked | decided == {name for name, option in options.items() if not option.not_asked}


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
