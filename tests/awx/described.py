# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What awx/vars/ says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]


class Loader(yaml.SafeLoader):
    """Which knows !unsafe."""


def text(loader: Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


Loader.add_constructor("!unsafe", text)


def described(file: str, variable: str) -> list[dict[str, Any]]:
    """As it is written, templates and all."""
    found: list[dict[str, Any]] = yaml.load((ROOT / "awx" / "vars" / file).read_text(), Loader)[variable]  # noqa: S506 a SafeLoader
    return found
