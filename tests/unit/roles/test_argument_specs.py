# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a role documents is what it does: argument_specs and defaults name the same variables and values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = sorted((Path(__file__).parents[3] / "roles").iterdir())


def load(role: Path, name: str) -> dict[str, Any]:
    path = role / name
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def is_template(value: object) -> bool:
    return "{{" in str(value) or "{%" in str(value)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_defaults_are_specified(role: Path) -> None:
    specs = load(role, "meta/argument_specs.yml")["argument_specs"]
    options = {name: option for spec in specs.values() for name, option in spec["options"].items()}
    defaults = load(role, "defaults/main.yml")
    required = {name for spec in specs.values() for name, option in spec["options"].items() if option.get("required")}

    assert set(options) - required == set(defaults)
    stated = {name: option["default"] for name, option in options.items() if "default" in option}
    assert stated == {name: defaults[name] for name in stated}
    unstated = {name for name in set(defaults) - set(stated) if not is_template(defaults[name])}
    assert {name for name in unstated if not isinstance(defaults[name], list | dict)} == set()


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_variables_carry_the_roles_prefix(role: Path) -> None:
    assert [name for name in load(role, "defaults/main.yml") if not name.startswith(f"{role.name}_")] == []
    assert [name for name in load(role, "vars/main.yml") if not name.startswith((f"__{role.name}_", f"{role.name}_"))] == []


@pytest.mark.parametrize("name", ["database", "disk_guard", "reaper", "status"])
def test_booleans_may_be_given_as_text(name: str) -> None:
    """`-e name=false` is text, which is no condition in a task, and true in a template."""
    role = ROLES[0].parent / name
    specs = load(role, "meta/argument_specs.yml")["argument_specs"]
    booleans = {name for spec in specs.values() for name, option in spec["options"].items() if option.get("type") == "bool"}
    condition = re.compile(rf"(?:when:|\b(?:if|and|or|not)) \(?(?:{'|'.join(booleans)})\b(?! \| bool)")
    files = [path for part in ("tasks", "handlers", "templates", "vars") for path in (role / part).rglob("*") if path.is_file()]
    found = [f"{path.relative_to(role)}: {text}" for path in files for text in condition.findall(path.read_text())]
    assert booleans
    assert found == []


def test_the_databases_defaults_are_those_that_are_documented() -> None:
    role = Path(__file__).parents[3] / "roles" / "database"
    option = load(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]["database_defaults"]
    documented = {key: one["default"] for key, one in option["options"].items()}
    assert documented == load(role, "vars/main.yml")["__database_own_defaults"]
