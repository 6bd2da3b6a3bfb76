# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""awx/configure.yml: all that awx/vars has arrives, a second run changes nothing, and no secret is shown."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.awx.comments import TOKEN as COMMENTS_TOKEN
from tests.awx.conftest import SETTINGS, Apply
from tests.awx.controller import Controller, Item
from tests.awx.described import described
from tests.support.environments import HERE

ROOT = Path(__file__).resolve().parents[2]

TEMPLATES = described("verbs.yml", "awx_verbs") + described("templates.yml", "awx_others")
LISTS = {
    "controller_credential_types": "credential_types",
    "controller_credentials": "credentials",
    "controller_notifications": "notification_templates",
    "controller_execution_environments": "execution_environments",
    "controller_projects": "projects",
    "controller_inventories": "inventories",
    "controller_inventory_sources": "inventory_sources",
    "controller_workflows": "workflow_job_templates",
    "controller_schedules": "schedules",
}


@pytest.fixture(autouse=True)
def _configured(configured: str) -> None:
    assert "failed=0" in configured


def names(items: list[Item]) -> set[str]:
    return {item["name"] for item in items}


@pytest.mark.parametrize(("variable", "kind"), LISTS.items())
def test_each_list_has_arrived(controller: Controller, variable: str, kind: str) -> None:
    wanted = described("controller.yml", variable)
    assert wanted
    assert names(wanted) <= names(controller.all(kind))


@pytest.mark.parametrize("wanted", TEMPLATES, ids=[one["name"] for one in TEMPLATES])
def test_each_template_has_arrived(controller: Controller, wanted: dict[str, Any]) -> None:
    found = controller.named("job_templates", wanted["name"])
    assert controller.surveys.get(found["id"], {}) == wanted.get("survey", {})
    assert found["survey_enabled"] is ("survey" in wanted)
    assert json.loads(found["extra_vars"]) == wanted.get("extra_vars", {})
    assert (ROOT / found["playbook"]).exists()
    assert controller.by_id(found["inventory"])["name"] == wanted["inventory"]
    credentials = names(controller.related(found, "credentials"))
    if isinstance(wanted["credentials"], list):
        assert credentials == set(wanted["credentials"])
    else:
        first = "hosts" if "hosts" in wanted["inventory"] else "environment"
        assert credentials == {f"Infinite Databases {first}", "Infinite Databases AWS"}
    told = names(controller.related(found, "notification_templates_error"))
    assert bool(told) is ("notification_templates_error" in wanted)


def test_the_workflow_leads_from_step_to_step(controller: Controller) -> None:
    (workflow,) = described("controller.yml", "controller_workflows")
    found = controller.named("workflow_job_templates", workflow["name"])
    assert controller.surveys[found["id"]] == workflow["survey"]
    steps = {step["identifier"]: step for step in controller.all("workflow_job_template_nodes")}
    for wanted in workflow["simplified_workflow_nodes"]:
        step = steps[wanted["identifier"]]
        assert controller.by_id(step["unified_job_template"])["name"] == wanted["unified_job_template"]
        assert [one["identifier"] for one in controller.related(step, "success_nodes")] == wanted.get("success_nodes", [])


def test_schedules_lead_to_their_templates(controller: Controller) -> None:
    for wanted in described("controller.yml", "controller_schedules"):
        found = controller.named("schedules", wanted["name"])
        assert controller.by_id(found["unified_job_template"])["name"] == wanted["unified_job_template"]
        assert found["rrule"] == wanted["rrule"]
        assert found.get("job_type") == wanted.get("job_type")
        assert found.get("extra_data") == wanted.get("extra_data")


def test_the_environment_is_what_connection_yml_says(controller: Controller) -> None:
    known = yaml.safe_load((HERE.state / "connection.yml").read_text())
    inputs = controller.named("credentials", "Infinite Databases environment")["inputs"]
    assert inputs["address"] == known["nomad_address"]
    assert inputs["token"] == Path(known["nomad_token_file"]).read_text().strip()
    assert inputs["ca"] == Path(known["nomad_ca_cert"]).read_text().strip()
    variables = json.loads(controller.named("inventories", "Infinite Databases")["variables"])
    in_a_job = {"database_ca_cert": "{{ lookup('ansible.builtin.env', 'NOMAD_CACERT') }}"}
    assert variables == {key: value for key, value in known.items() if not key.startswith("nomad_")} | in_a_job


def test_a_second_run_changes_nothing_and_shows_no_secret(
    controller: Controller, apply: Apply, configured: str, comments_url: str
) -> None:
    controller.writes.clear()
    again = apply(**SETTINGS, awx_comments_url=comments_url)
    assert "changed=0" in again
    assert controller.writes == []
    token = controller.named("credentials", "Infinite Databases environment")["inputs"]["token"]
    secrets = [token, COMMENTS_TOKEN, SETTINGS["awx_aws_secret_key"], SETTINGS["awx_hosts_ssh_key"]]
    assert [secret[:4] for secret in secrets if secret in configured + again] == []


def test_what_must_be_filled_in_is_told() -> None:
    done = subprocess.run(["ansible-playbook", "awx/configure.yml"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode != 0
    assert "Fill in awx_execution_environment" in done.stdout + done.stderr
