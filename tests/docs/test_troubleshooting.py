# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The messages that docs/troubleshooting.md says are ours are in the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "troubleshooting.md").read_text()
OURS = TEXT.partition("## What PostgreSQL")[0]
DOTS = "..."


def messages(part: str) -> list[str]:
    rows = [line.split(" | ")[0] for line in part.splitlines() if line.startswith("| `")]
    return [message for row in rows for message in re.findall(r"`([^`]+)`", row)]


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield re.sub(r"\{\{.*?\}\}|\{%.*?%\}", DOTS, value, flags=re.DOTALL)
        yield value  # what an expression itself has in quotes
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


def constants(node: ast.AST) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else DOTS for part in one.values)
        elif isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def sources() -> Iterator[str]:
    for path in ROOT.glob("plugins/**/*.py"):
        yield from constants(ast.parse(path.read_text()))
    for path in [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("roles/*/vars/**/*.yml"), *ROOT.glob("playbooks/*.yml")]:
        yield from strings(yaml.safe_load(path.read_text()))
    for path in [*ROOT.glob("roles/*/files/*.hcl"), *ROOT.glob("roles/*/files/*.sh")]:
        yield from re.sub(r"\$\w+", DOTS, path.read_text()).splitlines()


SAID = [" ".join(source.split()) for source in sources()]


def is_said(message: str) -> bool:
    """Whether one text has all that is between the dots, in this order."""
    pattern = re.compile(".*".join(re.escape(part.strip()) for part in message.split(DOTS)))
    return any(pattern.search(text) for text in SAID)


@pytest.mark.parametrize("message", messages(OURS))
def test_it_is_a_message_of_ours(message: str) -> None:
    assert is_said(message)


def test_what_nobody_says_is_found() -> None:
    assert len(messages(OURS)) > 50
    assert not is_said("this database ... has gone to sea")
