# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make the clone importable as ansible_collections.infinite.databases, as `make setup` does for Ansible, and say which tests may
run side by side.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
COLLECTIONS = REPOSITORY / ".ansible" / "collections"

link = COLLECTIONS / "ansible_collections" / "infinite" / "databases"
if not link.exists():
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(Path("..", "..", "..", ".."))
sys.path.insert(0, str(COLLECTIONS))
# The package ansible also contains a package of this name, which would hide ours.
package = importlib.import_module("ansible_collections")
package.__path__ = [str(COLLECTIONS / "ansible_collections"), *package.__path__]

# What takes longest begins first. What has the same nodes runs one after the other, as one group. Elsewhere each file is a group,
# and runs in the environment of the worker that takes it (tests/support/environments.py).
SLOWEST = (
    "molecule",
    "collection",
    "integration/databases/test_backup",
    "awx",
    "integration/aws",
    "integration",
    "clients",
    "lint",
)
TOGETHER = (
    *("tests/molecule", "tests/integration/aws", "tests/integration/databases/test_backup"),
    *("tests/awx", "tests/clients", "tests/faults"),
)


def rank(path: str) -> int:
    return next((place for place, begin in enumerate(SLOWEST) if path.startswith(f"tests/{begin}")), len(SLOWEST))


def group(path: str, name: str) -> str:
    if path.startswith(("tests/collection/test_ansible_test.py", "tests/lint")):
        return f"{path}::{name}"
    return next((begin for begin in TOGETHER if path.startswith(begin)), path)


# Before xdist, which reads the marks in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """https://pytest-xdist.readthedocs.io/en/stable/distribution.html: --dist loadgroup"""
    paths = {item: item.path.relative_to(REPOSITORY).as_posix() for item in items}
    items.sort(key=lambda item: rank(paths[item]))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(paths[item], item.name)))
