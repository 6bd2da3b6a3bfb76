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


def options(kind: str) -> set[str]:
    """The options of all roles that are of a type."""
    specs = [spec for role in ROLES for spec in load(role, "meta/argument_specs.yml")["argument_specs"].values()]
    return {name for spec in specs for name, option in spec["options"].items() if option["type"] == kind}


def texts(role: Path) -> list[tuple[str, str]]:
    files = [
        path
        for part in ("defaults", "handlers", "tasks", "templates", "vars")
        for path in (role / part).rglob("*")
        if path.is_file()
    ]
    return [(f"{path.relative_to(role)}: {line.strip()}", line) for path in files for line in path.read_text().splitlines()]


# Where a string decides: 'false' is true, and '0' is not to be compared with a number. A module converts what it is given.
DECIDING = {
    "bool": r"(\b(if|elif|not|and|or)|when:) \(*({names})\b(?! \| bool)",
    "int": r"\b({names}) [<>]=? |[<>]=? ({names})\b(?! \| int)",
}


@pytest.mark.parametrize("kind", DECIDING)
def test_a_deciding_line_is_recognised(kind: str) -> None:
    pattern = re.compile(DECIDING[kind].replace("{names}", "x_cache"))
    lines = {
        "bool": ["when: x_cache", "- not x_cache or y", "{% if x_cache %}", "{{ a if y and x_cache else b }}"],
        "int": ["when: x_cache > 0", "{% if 3 <= x_cache %}"],
    }[kind]
    assert [line for line in lines if not pattern.search(line)] == []
    assert [line for line in lines if pattern.search(line.replace("x_cache", f"x_cache | {kind}"))] == []


# Whoever gives a variable as `-e NAME=false` gives a string.
@pytest.mark.parametrize("kind", DECIDING)
@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_what_decides_is_converted(role: Path, kind: str) -> None:
    pattern = re.compile(DECIDING[kind].replace("{names}", "|".join(sorted(options(kind)))))
    assert [where for where, line in texts(role) if pattern.search(line) and not line.lstrip().startswith("#")] == []


def test_the_databases_defaults_are_those_that_are_documented() -> None:
    role = Path(__file__).parents[3] / "roles" / "database"
    option = load(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]["database_defaults"]
    documented = {key: one["default"] for key, one in option["options"].items()}
    assert documented == load(role, "vars/main.yml")["__database_own_defaults"]
