# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares the inventory and the extra variables of a run with the variables that our playbooks take.

The playbooks' texts name them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import yaml
from jinja2 import Environment, nodes

from ansible_collections.infinite.databases.plugins.module_utils._database.keys import OPTIONS, SYNONYMS
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC

COLLECTION = "infinite.databases."
# The variable that gives role database a description. A playbook that uses it takes all keys of a description.
DESCRIPTION = "database_given"
# Prefixes of Ansible's own variables, and of AWX's variables about its job.
OTHERS = ("ansible_", "awx_", "tower_")
AWX_JOB = {"awx_job_id", "tower_job_id"}
# Prefixes of variables that inventories and connection.yml set. No message suggests them.
PLACE = ("nomad_", "environment_")
# Other words for variables, which the spelling does not suggest.
MEANT = SYNONYMS | {"database": "db", "name": "db"}
# The inventory that Ansible uses if none is given.
UNASKED = "/etc/ansible/hosts"


def inputs_of(playbook: str) -> list[str]:
    """Return the variables that a playbook's text uses with `{{ name | default(...) }}` or `mandatory`."""
    tree = Environment().parse(playbook)  # noqa: S701, nothing is rendered
    asked = [
        one.node.name
        for one in tree.find_all(nodes.Filter)
        if one.name.rpartition(".")[2] in ("default", "mandatory") and isinstance(one.node, nodes.Name)
    ]
    described = any(one.name == DESCRIPTION for one in tree.find_all(nodes.Name))
    return list(dict.fromkeys([*asked, *(OPTIONS if described else ())]))


def role_variables(roles: Path) -> set[str]:
    """Return the connection options, the variables in the roles' argument_specs and defaults, and those that defaults use."""
    found = set(CONNECTION_SPEC)
    for path in roles.glob("*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            found |= set(entry.get("options") or {})
    for path in roles.glob("*/defaults/**/*.yml"):
        text = path.read_text(encoding="utf-8")
        tree = Environment().parse(text)  # noqa: S701, nothing is rendered
        found |= set(re.findall(r"^(\w+):", text, re.MULTILINE)) | {one.name for one in tree.find_all(nodes.Name)}
        found |= {one.attr for one in tree.find_all(nodes.Getattr)}
    return found


def own_playbooks(given: Sequence[str], play: Path) -> list[Path]:
    """Return the playbooks of this collection that the run was started with.

    If another playbook is among them, return none: the variables may belong to that playbook.
    """
    found = []
    for one in given:
        path = play.parent / f"{one.removeprefix(COLLECTION)}.yml"
        if not one.startswith(COLLECTION):
            here = Path(one).resolve()
            path = play.parent / here.name if here.parent in (play.parent, play.parent.parent) else here / "not ours"
        if not path.is_file():
            return []
        found.append(path)
    return found


def extra_variables_problem(names: Iterable[str], inputs: Sequence[str], known: Collection[str], playbooks: str) -> str:
    """Return a message about extra variables that nothing takes; empty if all are known."""
    strange = sorted(name for name in names if name not in inputs and name not in known and not name.startswith(OTHERS))
    if not strange:
        return ""
    offered = [name for name in inputs if not name.startswith(PLACE)]
    said = []
    for name in strange:
        near = [MEANT[name]] if MEANT.get(name) in offered else []
        near = near or difflib.get_close_matches(name, offered, 1) or difflib.get_close_matches(name, [*inputs, *known], 1, 0.8)
        said.append(f"{name} (did you mean {near[0]}?)" if near else name)
    return (
        f"Nothing was done: nothing here knows the extra variable {', '.join(said)}. {playbooks} takes "
        f"{', '.join(offered) or 'none of its own'}. A variable of your own belongs in the inventory."
    )


def inventory_problem(sources: Sequence[str], hosts: Collection[str], variables: Collection[str]) -> str:
    """Return a message about an inventory that was given but has nothing in it; empty if there is no problem.

    Without an inventory, the playbooks would work on the local environment.
    """
    asked = [one for one in sources if one != UNASKED]
    missing = [one for one in asked if "," not in one and not Path(one).exists()]
    if missing:
        return f"Nothing was done: there is no inventory {', '.join(missing)}."
    if asked and not hosts and not variables:
        return (
            f"Nothing was done: the inventory {', '.join(asked)} names no host and sets no variable. "
            "Is it empty, or could Ansible not read it? See Ansible's warnings."
        )
    return ""
