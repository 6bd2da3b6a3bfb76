# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans the changes of a zone from its current records and the wanted records, without any call to AWS."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ansible_collections.infinite.databases.plugins.module_utils._route53.names import (
    MARK,
    mark_name,
    marked_name,
    order,
    readable,
    within,
)
from ansible_collections.infinite.databases.plugins.module_utils._route53.record_values import Key, Record, quote, split, unquote
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

OWNED = re.compile(rb"type=([A-Z0-9]+) owner=(.*)", re.DOTALL)
MARK_TTL = 300
# The limits of one call: "A request cannot contain more than 1,000 ResourceRecord elements", and "the sum of the number of
# characters (including spaces) in all Value elements in a request cannot exceed 32,000 characters". UPSERT counts twice.
MAX_ELEMENTS = 1000
MAX_CHARACTERS = 32000
Write = tuple[str, Record]  # "CREATE" or "DELETE"


@dataclass(frozen=True)
class Rules:
    owner: str = ""
    present: bool = True
    force: bool = False
    # The domain in which records that have our mark and are not wanted are removed.
    exclusive: str | None = None


@dataclass(frozen=True)
class Change:
    """The change of a record, or of only the mark beside it."""

    action: str
    name: str
    type: str

    @property
    def summary(self) -> dict[str, str]:
        return {"action": self.action, "name": readable(self.name), "type": self.type}


@dataclass
class Plan:
    changes: list[Change] = field(default_factory=list)
    # Each unit has all writes for one name, such as those of a record and its mark. DELETE comes before CREATE.
    units: list[list[Write]] = field(default_factory=list)

    def lines(self, action: str) -> str:
        """Return the records that are deleted (the state before) or created (the state after), as lines of a diff."""
        return "".join(
            sorted(f"{line}\n" for unit in self.units for verb, record in unit if verb == action for line in record.lines())
        )


@dataclass
class Mark:
    """The mark of a name: a TXT record that has, for each type of record, a string with the owner."""

    record: Record | None
    owners: dict[str, str]
    # Other strings that somebody wrote into the TXT record. They stay.
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
        # Records with a routing policy are somebody's careful work. They are never changed.
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
        """Note what to do with a wanted record and its mark. If the record must not be changed, return the reason."""
        rules, now = self.rules, self.simple.get(wanted.key)
        done = (now is not None and wanted.same(now)) if rules.present else now is None
        if not rules.owner:
            if not done:
                self.after[wanted.key] = wanted if rules.present else None
            return None
        owner = self.mark(wanted.name).owners.get(wanted.type)
        # If somebody removed a record by hand, our mark is still there. The mark is enough to make the record again.
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
        """In the domain, remove records that have our mark and are not wanted (any more)."""
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
        """Check that a CNAME is the only record of its name. Route53 checks this, too, but not in check mode."""
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
                raise InvalidInput(
                    f"{readable(name)}: a CNAME cannot be beside other records ({others}); remove the others, or the CNAME"
                )

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
            # UPSERT would overwrite what somebody else has written since the zone was read. DELETE works only if the current values
            # are given, and CREATE only if there is no record. A batch is one transaction, so a name is never missing in between.
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
            f"{several(routed)}: the record has a routing policy (weighted, latency ...), which this module does not change"
        )
    refused: dict[str, list[str]] = {}
    for record in wanted:
        if reason := planner.decide(record):
            refused.setdefault(reason, []).append(record.label)
    if refused:
        what = "; ".join(f"{several(labels)} ({reason})" for reason, labels in refused.items())
        verb = "take them over" if rules.present else "remove them"
        raise InvalidInput(f"Not made by owner {rules.owner!r}: {what}; {verb} with force, or leave them out")
    if rules.exclusive:
        planner.remove_others({record.key for record in wanted}, rules.exclusive)
    planner.check_cnames()
    return planner.result()


def batches(units: Iterable[Sequence[Write]]) -> list[list[Write]]:
    """Distribute the units over as few calls as Route53's limits allow. A unit is never split."""
    found: list[list[Write]] = []
    elements = characters = 0
    for unit in units:
        # An alias has no values, but it counts as one.
        size = sum(max(1, len(record.values)) for _action, record in unit)
        length = sum(len(value) for _action, record in unit for value in record.values)
        if not found or elements + size > MAX_ELEMENTS or characters + length > MAX_CHARACTERS:
            found.append([])
            elements = characters = 0
        found[-1].extend(unit)
        elements, characters = elements + size, characters + length
    return found
