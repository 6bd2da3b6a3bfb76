# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the diff in Nomad's answer to /plan to the text that Ansible shows, without what is no difference."""

from __future__ import annotations

from typing import Any

Diff = dict[str, Any]
# Nomad reports these as changed though they are its own, or the same with another spelling.
EMPTY = ("", "0", "false", "<none>")


def _real_field(field: Diff) -> bool:
    old, new = str(field.get("Old") or ""), str(field.get("New") or "")
    return field.get("Type") != "None" and old != new and not (old in EMPTY and new in EMPTY)


def normalise(node: Diff) -> Diff | None:
    """The diff without unchanged context and phantoms; None if nothing is left of it."""
    fields = [field for field in node.get("Fields") or [] if _real_field(field)]
    children: dict[str, list[Diff]] = {}
    for key in ("Objects", "TaskGroups", "Tasks"):
        kept = [child for child in map(normalise, node.get(key) or []) if child]
        children[key] = _without_pairs(kept)
    # An added or deleted empty block (dns {}, update {}) is a phantom of canonicalisation, an added group or task is not.
    if fields or any(children.values()):
        return {"Type": node.get("Type"), "Name": node.get("Name") or node.get("ID") or "", "Fields": fields} | children
    return None


def _values(node: Diff, side: str) -> Any:
    """The contents of an added or deleted block, to compare one with the other."""
    fields = sorted((field["Name"], field.get(side) or "") for field in node["Fields"])
    return fields, [(child["Name"], _values(child, side)) for key in ("Objects", "Tasks") for child in node[key]]


def _without_pairs(nodes: list[Diff]) -> list[Diff]:
    """Sets are compared by hash: the same block may come as deleted and added."""
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
    """One side ("Old" or "New") of a normalised diff, as indented lines."""
    pad = "  " * indent
    missing = {"Old": "Added", "New": "Deleted"}[side]
    lines = [f"{pad}{field['Name']} = {field.get(side) or ''}" for field in node["Fields"] if field.get("Type") != missing]
    for key in ("Objects", "TaskGroups", "Tasks"):
        for child in node[key]:
            if child["Type"] == missing:
                continue
            inner = text(child, side, indent + 1)
            label = {"TaskGroups": "group ", "Tasks": "task "}.get(key, "")
            lines += [f"{pad}{label}{child['Name']} {{", *inner, f"{pad}}}"]
    return lines


def shown(name: str, node: Diff | None) -> dict[str, str]:
    """Ansible's diff of one job."""
    sides = ("\n".join(text(node, side)) + "\n" if node else "" for side in ("Old", "New"))
    before, after = sides
    return {"before": before, "after": after, "before_header": name, "after_header": name}
