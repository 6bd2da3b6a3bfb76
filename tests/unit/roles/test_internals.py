# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A variable that begins with `__` belongs to one role: no other role, no playbook and no plugin reads or sets it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
# What reads variables; scripts/ writes roles' own files, and tests look into roles.
PLACES = ("awx", "examples", "execution_environment", "inventories", "molecule", "packer", "playbooks", "plugins", "roles")
KINDS = {".j2", ".py", ".yml"}
INTERNAL = re.compile(r"(?<![\w.])__[a-z][a-z0-9_]*[a-z0-9]\b(?!__)")
# A variable's own line, in `vars` and the like; or the name that a task, a loop or a template gives to something.
GIVEN = re.compile(
    r"^\s*(?:- )?(__\w+):|\b(?:register|loop_var|index_var): (__\w+)|{%-? set (__\w+)|[{,] *['\"]?(__\w+)['\"]?:", re.MULTILINE
)


def owner(name: str) -> str:
    """The role that a name belongs to, or none: `__one` is the role's in which it is."""
    fitting = [role for role in ROLES if name.startswith(f"__{role}_")]
    return max(fitting, key=len, default="")


def files(root: Path, *places: str) -> Iterator[Path]:
    yield from root.glob("*.yml")
    for place in places:
        yield from (path for path in sorted((root / place).rglob("*")) if path.suffix in KINDS and path.is_file())


def strangers(text: str, role: str) -> set[str]:
    """The internal variables of other roles that a text of this role (or of none) names."""
    return {name for name in INTERNAL.findall(text) if owner(name) not in ("", role)}


@pytest.mark.parametrize(
    ("text", "role", "found"),
    [
        ('image: "{{ __reaper_image }}"', "reaper", set()),
        ('image: "{{ __reaper_image }}"', "status", {"__reaper_image"}),
        ("    __postgres_image_label: Python", "reaper", {"__postgres_image_label"}),
        ("when: __local_node_has_apt", "", {"__local_node_has_apt"}),
        ("loop_var: __one", "", set()),
        ("if __name__ == '__main__':", "", set()),
    ],
)
def test_strangers_are_recognised(text: str, role: str, found: set[str]) -> None:
    assert strangers(text, role) == found


def test_no_role_s_internals_are_used_elsewhere() -> None:
    found = {}
    for path in files(ROOT, *PLACES):
        place, *within = path.relative_to(ROOT).parts
        if names := strangers(path.read_text(encoding="utf-8"), within[0] if place == "roles" else ""):
            found[str(path.relative_to(ROOT))] = sorted(names)
    assert found == {}


@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_reads_it_has_given_a_name(role: str) -> None:
    """Also of names without the role's prefix: a role that is run for another finds that one's variables, too."""
    texts = [
        path.read_text(encoding="utf-8")
        for part in ("defaults", "handlers", "tasks", "templates", "vars")
        for path in files(ROOT / "roles" / role / part, "")
    ]
    read = {name for text in texts for name in INTERNAL.findall(text)}
    given = {name for text in texts for names in GIVEN.findall(text) for name in names if name}
    assert read - given == set()
