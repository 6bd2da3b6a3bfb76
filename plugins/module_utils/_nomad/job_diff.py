# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turns the diff in Nomad's answer to /plan into the text that Ansible shows, without entries that are no differences."""

from __future__ import annotations

import json
from typing import Any

Diff = dict[str, Any]
# The beginning of a tag with a job's digest. It is not shown, because it means nothing to a person.
DIGEST_TAG = "infinite_digest="
# Nomad reports a change from one of these values to another, although they all mean "not set".
EMPTY = ("", "0", "false", "<none>")


def _real_field(field: Diff) -> bool:
    old, new = str(field.get("Old") or ""), str(field.get("New") or "")
    return field.get("Type") != "None" and old != new and not (old in EMPTY and new in EMPTY)


def normalise(node: Diff) -> Diff | None:
    """Return the diff without unchanged context and without phantoms; None if nothing is left."""
    fields = [field for field in node.get("Fields") or [] if _real_field(field)]
    children: dict[str, list[Diff]] = {}
    for key in ("Objects", "TaskGroups", "Tasks"):
        kept = [child for child in map(normalise, node.get(key) or []) if child]
        children[key] = _without_pairs(kept)
    # An added or deleted empty block (dns {}, update {}) is a phantom, which comes from canonicalisation.
    if fields or any(children.values()):
        return {"Type": node.get("Type"), "Name": node.get("Name") or node.get("ID") or "", "Fields": fields} | children
    return None


def _values(node: Diff, side: str) -> Any:
    """Return the contents of an added or deleted block, for comparison."""
    fields = sorted((field["Name"], field.get(side) or "") for field in node["Fields"])
    return fields, [(child["Name"], _values(child, side)) for key in ("Objects", "Tasks") for child in node[key]]


def _without_pairs(nodes: list[Diff]) -> list[Diff]:
    """Remove pairs of the same block, once deleted and once added. Nomad reports them because it compares sets by hash."""
    added = [node for node in nodes if node["Type"] == "Added"]
    kept = []
    for node in nodes:
        if node["Type"] == "Deleted":
            twin = next((a for a in added if a["Name"] == node["Name"] and _values(a, "New") == _values(node, "Old")), None)
            if twin:
                added.remove(twin)
                continue
        if node["Type"] != "Added":
            kept.append(node)
    return kept + added


def text(node: Diff, side: str, indent: int = 0) -> list[str]:
    """Return one side ("Old" or "New") of a normalised diff, as indented lines."""
    pad = "  " * indent
    missing = {"Old": "Added", "New": "Deleted"}[side]
    fields = [field for field in node["Fields"] if field.get("Type") != missing and DIGEST_TAG not in (field.get(side) or "")]
    lines = [f"{pad}{field['Name']} = {field.get(side) or ''}" for field in fields]
    for key in ("Objects", "TaskGroups", "Tasks"):
        for child in node[key]:
            if child["Type"] == missing:
                continue
            inner = text(child, side, indent + 1)
            label = {"TaskGroups": "group ", "Tasks": "task "}.get(key, "")
            lines += [f"{pad}{label}{child['Name']} {{", *inner, f"{pad}}}"]
    return lines


def flat(name: str, value: Any) -> list[str]:
    """Return a line for a value; for a mapping, a line for each of its keys."""
    if isinstance(value, dict):
        return [line for key in sorted(value) for line in flat(f"{name}.{key}", value[key])]
    return [f"{name} = {json.dumps(value)}"]


def of_variables(name: str, before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    """Return Ansible's diff of the variables before and after."""
    sides = ["".join(f"{line}\n" for key in sorted(side) for line in flat(key, side[key])) for side in (before, after)]
    return {"before": sides[0], "after": sides[1], "before_header": name, "after_header": name}


def shown(name: str, node: Diff | None) -> dict[str, str]:
    """Return Ansible's diff of one job."""
    sides = ("\n".join(text(node, side)) + "\n" if node else "" for side in ("Old", "New"))
    before, after = sides
    return {"before": before, "after": after, "before_header": name, "after_header": name}
