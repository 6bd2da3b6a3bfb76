# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What to change in a zone: pure, from the records that are there and those that are wanted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput
from ansible_collections.infinite.databases.plugins.module_utils.route53_names import (
    MARK,
    mark_name,
    marked_name,
    order,
    readable,
    within,
)
from ansible_collections.infinite.databases.plugins.module_utils.route53_records import Key, Record, quote, split, unquote

OWNED = re.compile(rb"type=([A-Z0-9]+) owner=(.*)", re.DOTALL)
MARK_TTL = 300
# Of one call: "A request cannot contain more than 1,000 ResourceRecord elements", and "the sum of the number of characters
# (including spaces) in all Value elements in a request cannot exceed 32,000 characters". UPSERT counts twice.
MAX_ELEMENTS = 1000
MAX_CHARACTERS = 32000
Write = tuple[str, Record]  # "CREATE" or "DELETE"


@dataclass(frozen=True)
class Rules:
    owner: str = ""
    present: bool = True
    force: bool = False
    # Below it, what is ours and not wanted is removed.
    exclusive: str | None = None


@dataclass(frozen=True)
class Change:
    """Of a record; or only of the mark beside it."""

    action: str
    name: str
    type: str

    @property
    def summary(self) -> dict[str, str]:
        return {"action": self.action, "name": readable(self.name), "type": self.type}


@dataclass
class Plan:
    changes: list[Change] = field(default_factory=list)
    # What belongs together, such as a record and its mark: all writes of one name. DELETE comes before CREATE.
    units: list[list[Write]] = field(default_factory=list)

    def lines(self, action: str) -> str:
        """The records that are deleted (the state before) or created (the state after)."""
        return "".join(
            sorted(f"{line}\n" for unit in self.units for verb, record in unit if verb == action for line in record.lines())
        )


@dataclass
class Mark:
    """Whose the records of a name are: a TXT record with one string for each type."""

    record: Record | None
    owners: dict[str, str]
    # Whatever else somebody wrote there stays.
    rest: list[str]

    @classmethod
    def read(cls, record: Record | None) -> Mark:
        owners, rest = {}, []
        for value in record.values if record else ():
            match = OWNED.fullmatch(b"".join(unquote(value) or ()))
            if match:
                owners[match[1].decode()] = match[2].decode("utf-8", "replace")
            else:
                rest.append(value)
        return cls(record, owners, rest)

    def after(self, name: str, owners: dict[str, str]) -> Record | None:
        values = [*self.rest, *(quote(split(f"type={type_} owner={owner}")) for type_, owner in sorted(owners.items()))]
        return Record(mark_name(name), "TXT", MARK_TTL, tuple(values)) if values else None


class Planner:
    def __init__(self, current: Iterable[Record], rules: Rules) -> None:
        self.rules = rules
        self.simple: dict[Key, Record] = {}
        # Records with a routing policy are somebody's careful work, and are left alone.
        self.routed: dict[Key, Record] = {}
        for record in current:
            (self.routed if record.routed else self.simple)[record.key] = record
        self.marks: dict[str, Mark] = {}
        self.owners: dict[str, dict[str, str]] = {}
        self.after: dict[Key, Record | None] = {}

    def mark(self, name: str) -> Mark:
        if name not in self.marks:
            self.marks[name] = Mark.read(self.simple.get((mark_name(name), "TXT")))
            self.owners[name] = dict(self.marks[name].owners)
        return self.marks[name]

    def set_owner(self, key: Key, owner: str | None) -> None:
        name, type_ = key
        if owner is None:
            self.owners[name].pop(type_, None)
        else:
            self.owners[name][type_] = owner

    def decide(self, wanted: Record) -> str | None:
        """Note what becomes of a wanted record and of its mark; or say whose it is, if it may not be touched."""
        rules, now = self.rules, self.simple.get(wanted.key)
        done = (now is not None and wanted.same(now)) if rules.present else now is None
        if not rules.owner:
            if not done:
                self.after[wanted.key] = wanted if rules.present else None
            return None
        owner = self.mark(wanted.name).owners.get(wanted.type)
        # A record that somebody removed by hand leaves our mark, which is enough to make the record again.
        free = owner == rules.owner or rules.force or (owner is None and now is None)
        if done and not free:
            return None
        if not free:
            return "no mark" if owner is None else f"the mark of {owner!r}"
        if not done:
            self.after[wanted.key] = wanted if rules.present else None
        self.set_owner(wanted.key, rules.owner if rules.present else None)
        return None

    def remove_others(self, wanted: set[Key], domain: str) -> None:
        """Below the domain, remove what is marked as ours and is not wanted (any more)."""
        for name, type_ in list(self.simple):
            if type_ != "TXT" or not name.startswith(MARK) or not within(marked_name(name), domain):
                continue
            marked = marked_name(name)
            for owned, owner in self.mark(marked).owners.items():
                key = marked, owned
                if owner != self.rules.owner or key in wanted or key in self.routed or owned in ("NS", "SOA"):
                    continue
                if key in self.simple:
                    self.after[key] = None
                self.set_owner(key, None)

    def check_cnames(self) -> None:
        """A CNAME is alone at its name. Route53 would say so too, but not in check mode."""
        types: dict[str, set[str]] = {}
        for name, type_ in [*self.simple, *self.routed]:
            if self.after.get((name, type_), True) is not None:
                types.setdefault(name, set()).add(type_)
        for (name, type_), record in self.after.items():
            if record is not None:
                types.setdefault(name, set()).add(type_)
        for name in {name for (name, _type), record in self.after.items() if record is not None}:
            if "CNAME" in types[name] and len(types[name]) > 1:
                others = ", ".join(sorted(types[name] - {"CNAME"}))
                raise InvalidInput(f"{readable(name)}: a CNAME cannot be beside other records ({others}); remove those, or it")

    def result(self) -> Plan:
        plan = Plan()
        units: dict[str, tuple[list[Record], list[Record]]] = {}
        for name, mark in self.marks.items():
            owners = self.owners[name]
            if owners == mark.owners:
                continue
            after = mark.after(name, owners)
            unit = units.setdefault(name, ([], []))
            unit[0].extend([mark.record] if mark.record else [])
            unit[1].extend([after] if after else [])
            for type_ in {*owners, *mark.owners}:
                if owners.get(type_) != mark.owners.get(type_) and (name, type_) not in self.after:
                    plan.changes.append(Change("marked" if type_ in owners else "unmarked", name, type_))
        for key, record in self.after.items():
            before, unit = self.simple.get(key), units.setdefault(key[0], ([], []))
            unit[0].extend([before] if before else [])
            unit[1].extend([record] if record else [])
            action = "removed" if record is None else "updated" if before else "created"
            plan.changes.append(Change(action, *key))
        plan.changes.sort(key=lambda change: (order(change.name), change.type))
        for _key, (deleted, created) in sorted(units.items(), key=lambda item: order(item[0])):
            # Not UPSERT, which would overwrite what somebody else has written since it was read: DELETE works only with the
            # values that are there, CREATE only if nothing is. A batch is one transaction, so no name is ever missing.
            plan.units.append([("DELETE", record) for record in deleted] + [("CREATE", record) for record in created])
        return plan


def several(labels: Sequence[str]) -> str:
    return ", ".join(labels[:5]) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")


def plan(current: Iterable[Record], wanted: Sequence[Record], rules: Rules) -> Plan:
    planner = Planner(current, rules)
    keys = {record.key for record in wanted}
    if rules.owner:
        keys |= {(mark_name(record.name), "TXT") for record in wanted}
    routed = [record.label for key, record in planner.routed.items() if key in keys]
    if routed:
        raise InvalidInput(
            f"{several(routed)}: the record has a routing policy (weighted, latency ...), which this module leaves alone"
        )
    refused: dict[str, list[str]] = {}
    for record in wanted:
        if reason := planner.decide(record):
            refused.setdefault(reason, []).append(record.label)
    if refused:
        what = "; ".join(f"{several(labels)} ({reason})" for reason, labels in refused.items())
        verb = "take over" if rules.present else "remove"
        raise InvalidInput(f"Not made by owner {rules.owner!r}: {what}; {verb} with force, or leave out")
    if rules.exclusive:
        planner.remove_others({record.key for record in wanted}, rules.exclusive)
    planner.check_cnames()
    return planner.result()


def batches(units: Iterable[Sequence[Write]]) -> list[list[Write]]:
    """As few calls as Route53's limits allow; a unit is never torn apart."""
    found: list[list[Write]] = []
    elements = characters = 0
    for unit in units:
        # An alias has no values, and is counted all the same.
        size = sum(max(1, len(record.values)) for _action, record in unit)
        length = sum(len(value) for _action, record in unit for value in record.values)
        if not found or elements + size > MAX_ELEMENTS or characters + length > MAX_CHARACTERS:
            found.append([])
            elements = characters = 0
        found[-1].extend(unit)
        elements, characters = elements + size, characters + length
    return found
