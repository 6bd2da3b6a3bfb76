# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the modules' EXAMPLES, so that tests can run them unchanged except for the names in them."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

MODULES = Path(__file__).resolve().parents[2] / "plugins" / "modules"


def texts(module: str) -> dict[str, str]:
    """Return DOCUMENTATION, EXAMPLES and RETURN, without importing the module."""
    found = {}
    for node in ast.parse((MODULES / f"{module}.py").read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Constant):
            found[node.targets[0].id] = str(node.value.value)
    return found


def modules(aws: bool) -> list[str]:
    """Return all modules that talk to AWS, or all others."""
    names = sorted(path.stem for path in MODULES.glob("*.py"))
    return [name for name in names if aws == ("infinite.databases.aws" in texts(name)["DOCUMENTATION"])]


def examples(module: str, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the tasks with other names in them. Whole words are replaced, longer names first, but no part of a dotted name."""
    words = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    text = re.sub(rf"(?<![\w/.])({words})(?!\w)", lambda found: names[found[0]], texts(module)["EXAMPLES"])
    tasks: list[dict[str, Any]] = yaml.safe_load(text)
    assert any(f"infinite.databases.{module}" in task for task in tasks)
    return tasks
