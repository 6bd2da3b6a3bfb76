# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is left empty again in the settings is removed again. After the other tests of this directory, which need it."""

from __future__ import annotations

import pytest

from tests.awx.conftest import SETTINGS, Apply
from tests.awx.controller import Controller
from tests.awx.jobs import Awx


@pytest.mark.slow
def test_every_template_was_run(awx: Awx, controller: Controller) -> None:
    names = {one["name"].removeprefix("Infinite Databases: ") for one in controller.all("job_templates")}
    assert names - awx.launched == set()


def test_what_is_not_wanted_any_more_is_removed(controller: Controller, apply: Apply, configured: str) -> None:
    assert "failed=0" in configured
    apply(**{key: value for key, value in SETTINGS.items() if key in ("awx_environment", "awx_execution_environment")})
    left = {kind: {item.get("name") for item in items} for kind, items in controller.lists.items()}
    assert left["workflow_job_templates"] == left["notification_templates"] == set()
    assert left["inventories"] == {"Infinite Databases"}
    # The other one is a test's.
    assert left["credentials"] - {"elsewhere"} == {"Infinite Databases environment"}
    assert "Infinite Databases: provision" in left["job_templates"]
    assert not {f"Infinite Databases: {name}" for name in ("launch", "site", "teardown", "comment")} & left["job_templates"]
    template = controller.named("job_templates", "Infinite Databases: provision")
    assert [one["name"] for one in controller.related(template, "credentials")] == ["Infinite Databases environment"]
