# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every entry point of a role specifies the role's variables that its tasks read, all of them and no others."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment, nodes

COLLECTION = "infinite.databases"
JINJA = Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])  # noqa: S701 (nothing is rendered)
# What a task says in these is an expression without braces.
EXPRESSIONS = {"changed_when", "failed_when", "that", "until", "when"}
FILE = re.compile(r"[\w{}. -]+\.(yml|j2)")
NONE: frozenset[str] = frozenset()
# Of the backslashes in regular expressions.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")


def load(path: Path) -> Any:
    return (yaml.safe_load(path.read_text()) if path.exists() else None) or {}


def said(value: Any, key: str) -> Iterator[Any]:
    """All values of a key, by its short name, in a list of tasks."""
    if isinstance(value, dict):
        yield from (inner for name, inner in value.items() if name.rpartition(".")[2] == key)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from said(inner, key)


def lookup_variables(call: nodes.Call) -> set[str]:
    """The variables that one of the collection's lookups reads by itself, for the options that it is not given."""
    name = call.args[0].value if call.args and isinstance(call.args[0], nodes.Const) else ""
    if not str(name).startswith(f"{COLLECTION}."):
        return set()
    plugin = importlib.import_module(f"ansible_collections.{COLLECTION}.plugins.lookup.{name.rpartition('.')[2]}")
    options = yaml.safe_load(plugin.DOCUMENTATION)["options"]
    missing = set(options) - {one.key for one in call.kwargs}
    return {variable["name"] for option in missing for variable in options[option].get("vars", [])}


class Role:
    """What a role's tasks read, the templates and the role's own variables that they use included."""

    def __init__(self, path: Path) -> None:
        self.path, self.prefix = path, f"{path.name}_"
        self.specs: dict[str, Any] = load(path / "meta" / "argument_specs.yml").get("argument_specs", {})
        self.needs = {one["role"].rpartition(".")[2] for one in load(path / "meta" / "main.yml").get("dependencies", [])}
        files = [*path.glob("defaults/**/*.yml"), *path.glob("vars/**/*.yml")]
        self.values = {name: value for file in files for name, value in load(file).items()}
        tasks = [load(file) for file in path.glob("tasks/*.yml")]
        self.file = cache(self.read)
        self.results = {name for one in said(tasks, "set_fact") for name in one} | set(said(tasks, "register"))

    def read(self, name: str, given: frozenset[str] = NONE) -> frozenset[str]:
        """Of the task files or templates of that name, of which a part may be a template and so be anything."""
        read = [self.value(load(path), given) for path in self.path.glob(f"tasks/{re.sub('{{.*?}}', '*', name)}")]
        return NONE.union(*read, *(self.template(path.read_text(), given) for path in self.path.glob(f"templates/{name}")))

    def value(self, value: Any, given: frozenset[str], key: str = "") -> frozenset[str]:
        """Of a task, a list of them, or a value in one; `vars` give the tasks below them what these do not read then."""
        if isinstance(value, dict):
            given |= set(value.get("vars") or {})
            return NONE.union(*(self.value(inner, given, name) for name, inner in value.items()))
        if isinstance(value, list):
            return NONE.union(*(self.value(inner, given, key) for inner in value))
        if not isinstance(value, str):
            return NONE
        named = self.file(value, given) if FILE.fullmatch(value) else NONE
        return named | self.template(f"{{{{ {value} }}}}" if key in EXPRESSIONS else value, given)

    def template(self, text: str, given: frozenset[str]) -> frozenset[str]:
        tree = JINJA.parse(text)
        names = {one.name for one in tree.find_all(nodes.Name) if one.ctx == "load"}
        optional: set[str] = set().union(*(lookup_variables(one) for one in tree.find_all(nodes.Call)))
        for one in tree.find_all((nodes.Filter, nodes.Test)):
            if one.name in ("default", "defined", "undefined") and one.node:
                optional |= {inner.name for inner in [one.node, *one.node.find_all(nodes.Name)] if isinstance(inner, nodes.Name)}
        read = {name for name in names | optional if name.startswith(self.prefix) or name not in optional} - given
        files = {str(one.value) for one in tree.find_all(nodes.Const) if FILE.fullmatch(str(one.value))}
        followed = [self.value(self.values[name], given) for name in (names | read) - given if name in self.values]
        return NONE.union(read, *followed, *(self.file(file, given) for file in files))

    def entry_point(self, name: str) -> frozenset[str]:
        handlers = self.value(load(self.path / "handlers" / "main.yml"), NONE) if name == "main" else NONE
        return self.file(f"{name}.yml") | handlers

    def inputs(self, read: frozenset[str]) -> set[str]:
        return {name for name in read if name.startswith(self.prefix)} - self.results


ROLES = {path.name: Role(path) for path in sorted((Path(__file__).parents[3] / "roles").iterdir())}


@pytest.mark.parametrize(("role", "name"), [(role, name) for role in ROLES for name in ROLES[role].specs])
def test_specified_is_what_is_read(role: str, name: str) -> None:
    one, others = ROLES[role], [other for other in ROLES.values() if role in other.needs]
    specified, read = set(one.specs[name]["options"]), one.inputs(one.entry_point(name))
    # A role that is needed by others is run for these by its main, and they read its variables.
    by_others = [one.inputs(other.entry_point(entry)) for other in others if name == "main" for entry in other.specs]
    assert (read - specified, specified - read.union(*by_others)) == (set(), set())


@pytest.mark.parametrize("role", ROLES)
def test_roles_whose_variables_are_read_are_dependencies(role: str) -> None:
    """A default such as `{{ environment_port | default(5432) }}` does without the other role, and so does a fact of its."""
    one = ROLES[role]
    read = NONE.union(*(one.entry_point(name) for name in one.specs))
    of_others = {other for other in ROLES if any(name.startswith(f"{other}_") for name in read - ROLES[other].results)}
    assert of_others - {role} == one.needs
