# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every module's documentation says what its argument spec says, and its action plugin uses the same spec."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.infinite.databases.plugins.plugin_utils.in_process import InProcessAction

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
PACKAGE = "ansible_collections.infinite.databases.plugins"
# All but environment_inputs, which has no options and is no module anywhere but in its documentation.
NAMES = sorted({path.stem for path in (PLUGINS / "modules").glob("*.py")} - {"environment_inputs"})


def constants(path: Path) -> dict[str, Any]:
    """DOCUMENTATION, EXAMPLES and RETURN, without importing the module."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Constant):
            found[node.targets[0].id] = yaml.safe_load(str(node.value.value))
    return found


def fragment(name: str) -> dict[str, Any]:
    module = importlib.import_module(f"{PACKAGE}.doc_fragments.{name.rpartition('.')[2]}")
    return dict(yaml.safe_load(module.ModuleDocFragment.DOCUMENTATION)["options"])


def compare(spec: Mapping[str, Any], documented: Mapping[str, Any], where: str) -> None:
    assert set(spec) == set(documented), where
    for option, rules in spec.items():
        said, place = documented[option], f"{where}.{option}"
        assert said["type"] == rules.get("type", "str"), place
        assert said.get("default") == rules.get("default"), place
        assert said.get("required", False) == rules.get("required", False), place
        assert said.get("choices") == rules.get("choices"), place
        assert said.get("elements") == rules.get("elements"), place
        compare(rules.get("options") or {}, said.get("suboptions") or {}, place)


@pytest.mark.parametrize("name", NAMES)
def test_documentation_matches_the_argument_spec(name: str) -> None:
    texts = constants(PLUGINS / "modules" / f"{name}.py")
    documentation = texts["DOCUMENTATION"]
    options = dict(documentation.get("options") or {})
    for used in documentation.get("extends_documentation_fragment") or []:
        # As Ansible does: the module's own text of an option comes before the fragment's.
        options = fragment(used) | options
    spec = importlib.import_module(f"{PACKAGE}.modules.{name}").SPEC
    compare(spec.argument_spec, options, name)
    assert documentation["module"] == name
    assert {"check_mode", "diff_mode", "idempotent"} <= set(documentation["attributes"])
    assert texts["EXAMPLES"]
    assert texts["RETURN"]


@pytest.mark.parametrize("name", NAMES)
def test_every_module_runs_in_process(name: str) -> None:
    """Routed to the action plugin that serves all, or by one of its own."""
    routing = yaml.safe_load((PLUGINS.parent / "meta" / "runtime.yml").read_text())["plugin_routing"]["modules"]
    if (PLUGINS / "action" / f"{name}.py").exists():
        assert name not in routing
        assert issubclass(importlib.import_module(f"{PACKAGE}.action.{name}").ActionModule, InProcessAction)
    else:
        assert routing[name] == {"action_plugin": "infinite.databases.in_process"}


@pytest.mark.parametrize("group", ["aws", "nomad"])
def test_the_action_group_has_every_module_with_its_options(group: str) -> None:
    runtime = yaml.safe_load((PLUGINS.parent / "meta" / "runtime.yml").read_text())
    texts = {name: constants(PLUGINS / "modules" / f"{name}.py")["DOCUMENTATION"] for name in NAMES}
    fragment_name = f"infinite.databases.{group}"
    using = [name for name in NAMES if fragment_name in texts[name].get("extends_documentation_fragment", [])]
    assert sorted(runtime["action_groups"][group]) == using
