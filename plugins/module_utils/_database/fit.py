# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks whether descriptions fit the databases' records and the environment's images.

description.py has already checked each description by itself. Here, too, all problems are reported together, before anything is
changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.details import expiry
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput


@dataclass(frozen=True)
class Offer:
    """The environment's images by major version, and the extensions of each. A version without an entry accepts any extension."""

    default_version: str
    images: Mapping[str, str]
    extensions: Mapping[str, Sequence[str]]


def misfits(asked: Mapping[str, Any], record: Mapping[str, Any] | None, offer: Offer, existing: bool) -> Iterator[str]:
    version = record["version"] if record else asked.get("version") or offer.default_version
    if record and asked.get("version") not in (None, version):
        yield (
            f"is PostgreSQL {version} and cannot become {asked['version']} in place; "
            "leave its version out, or provision a new name and copy the data"
        )
    if version not in offer.images and not existing:
        yield f"there is no image of PostgreSQL {version} here; add the version to postgres_image_versions and run site.yml"
    if lacking := [name for name in asked.get("extensions", []) if name not in offer.extensions.get(version, [name])]:
        yield f"PostgreSQL {version} has no extension {', '.join(lacking)} here; it has {', '.join(offer.extensions[version])}"
    kept = record["spec"].get("memory", 0) if record else 0
    if "memory" not in asked and asked.get("memory_max", kept) < kept:
        yield f"memory_max {asked['memory_max']} is less than its memory, {kept}; give a smaller memory, too"


def ttl_problems(asked: Mapping[str, Any], record: Mapping[str, Any], now: float) -> Iterator[str]:
    """Refuse a new ttl that would already be over: whoever gives it probably expects that it begins now."""
    ttl = asked.get("ttl")
    if ttl and ttl != record["spec"].get("ttl"):
        ends = expiry({**record, "spec": {"ttl": ttl}})
        if ends is not None and ends <= now:
            age = int(now - (record.get("renewed") or record["created_at"])) // 60
            yield (
                f"a ttl of {ttl} counts from its creation {age} minutes ago and would already be over: "
                "give a longer one, or destroy it"
            )


def check_fit(
    databases: Sequence[Mapping[str, Any]],
    records: Mapping[str, Mapping[str, Any]],
    offer: Offer,
    renew: bool,
    now: float,
    existing: bool = False,
) -> None:
    """Raise InvalidInput with all problems.

    With ``renew``, and for a destroyed database that comes back, a ttl begins now, so it cannot be over.

    With ``existing``, no database is made or brought back, so no image is needed: databases may run with a version that has no
    image any more.
    """
    problems = []
    for one in databases:
        record = records.get(one["name"])
        found = [*misfits(one, record, offer, existing)]
        if record and not renew and not record.get("destroyed"):
            found += ttl_problems(one, record, now)
        problems += [f"{one['name']}: {problem}" for problem in found]
    if problems:
        raise InvalidInput(f"Nothing was changed: {'; '.join(problems)}")
