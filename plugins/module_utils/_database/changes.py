# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Describes in words what differs between two descriptions of a database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

# The words for keys that were never given. For all other keys the word is "none".
UNSAID = {"ttl": "never", "protect": "no", "allowed_cidrs": "anywhere"}


def words(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value))
    return UNSAID.get(key, "none") if value in (None, "") else str(value)


def differing(old: Mapping[str, Any], new: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield each key that differs, and its words before and after. The entries of a mapping, such as settings, come one by one.

    ``defaults`` has the values of keys that a description leaves out.
    """
    for key in dict.fromkeys([*old, *new]):
        sides = [side.get(key, defaults.get(key)) for side in (old, new)]
        pairs = [[words(key, side) for side in sides]]
        if any(isinstance(side, Mapping) for side in sides):
            entries = [side or {} for side in sides]
            pairs = [
                [f"{part}={words(key, side[part])}" if part in side else "none" for side in entries]
                for part in dict.fromkeys([*entries[0], *entries[1]])
            ]
        yield from ((key, was, now) for was, now in pairs if was != now)


def changes(found: Iterable[tuple[str, str, str]]) -> list[str]:
    """Return texts such as `memory 64 -> 128`."""
    return [f"{key} {was} -> {now}" for key, was, now in found]


def shown(name: str, found: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    """Return Ansible's diff of a description."""
    before, after = ("".join(f"{one[0]} {one[side]}\n" for one in found) for side in (1, 2))
    return {"before": before, "after": after, "before_header": name, "after_header": name}
