# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Adds Route53's documented rules where moto is less strict. Without them, some tests could not fail.

moto accepts a CREATE of an existing record with other values, and a DELETE with values that the record no longer has. It lists
names as they were written, and leaves the dot out of the sort order. As in AWS, a batch that fails changes nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from moto.route53.exceptions import Route53ClientError
from moto.route53.models import FakeZone, RecordSet, Route53Backend

MAX_CHARACTERS = 32000
# Only the annotations of moto make this class abstract.
new_record: Callable[[dict[str, Any]], RecordSet] = RecordSet
CREATED = "Tried to create resource record set [name='{0}', type='{1}'] but it already exists"
MISSING = "Tried to delete resource record set [name='{0}', type='{1}'] but it was not found"
DIFFERENT = "Tried to delete resource record set [name='{0}', type='{1}'] but the values provided do not match the current values"
CONFLICT = "RRSet of type {1} with DNS name {0} is not permitted as it conflicts with other records with the same DNS name in zone"
UNQUOTED = "Invalid Resource Record: 'FATAL problem: InvalidCharacterString (Value should be enclosed in quotation marks)'"
DUPLICATE = "Duplicate Resource Record: '{0}'"


def stored(name: str) -> str:
    """Return a name as Route53 stores it: unusual characters become escapes, also if they were given as escapes."""
    text = re.sub(r"[^a-z0-9_.\\-]", lambda character: f"\\{ord(character[0]):03o}", name.lower())
    return text if text.endswith(".") else f"{text}."


def place(record: RecordSet) -> tuple[str, str, str]:
    labels = str(record.name).removesuffix(".").split(".")
    return ".".join(reversed(labels)) + ".", str(record.type), str(record.set_identifier or "")


def get_record_sets(zone: FakeZone, start_type: str, start_name: str) -> list[RecordSet]:
    records = sorted(zone.rrsets, key=place)
    if not start_name:
        return records
    start = ".".join(reversed(stored(start_name).removesuffix(".").split("."))) + "."
    return [record for record in records if place(record)[:2] >= (start, start_type or "")]


def key(record: RecordSet) -> tuple[str, str, str]:
    return str(record.name), str(record.type), str(record.set_identifier or "")


def content(record: RecordSet) -> tuple[Any, ...]:
    alias = {name: str(value).lower() for name, value in (record.alias_target or {}).items()}
    return str(record.ttl), sorted(record.records or []), alias, str(record.weight)


def refuse(messages: Iterable[str]) -> None:
    if found := list(messages):
        raise Route53ClientError("InvalidChangeBatch", f"[{', '.join(found)}]")


def problems(action: str, record: RecordSet, there: dict[tuple[str, str, str], RecordSet]) -> Iterable[str]:
    now = there.get(key(record))
    if action == "CREATE" and now:
        yield CREATED.format(record.name, record.type)
    if action == "DELETE" and not now:
        yield MISSING.format(record.name, record.type)
    if action == "DELETE" and now and content(now) != content(record):
        yield DIFFERENT.format(record.name, record.type)
    if action == "DELETE":
        return
    if len(record.records or []) != len(set(record.records or [])):
        yield DUPLICATE.format(record.name)
    if record.type == "TXT" and not all(re.fullmatch(r'("[^"\\]*(?:\\.[^"\\]*)*"\s*)+', value) for value in record.records):
        yield UNQUOTED
    types = {other.type for other in there.values() if other.name == record.name} - {record.type}
    if types and (record.type == "CNAME" or "CNAME" in types):
        yield CONFLICT.format(record.name, record.type)


def change_resource_record_sets(backend: Route53Backend, zoneid: str, change_list: list[dict[str, Any]]) -> None:
    zone = backend.get_hosted_zone(zoneid)
    there = {key(record): record for record in zone.rrsets}
    characters = 0
    for change in change_list:
        about = dict(change["ResourceRecordSet"])
        about["Name"] = stored(about["Name"])
        about["ResourceRecords"] = [item["Value"] for item in about.get("ResourceRecords") or []]
        characters += sum(map(len, about["ResourceRecords"])) * (2 if change["Action"] == "UPSERT" else 1)
        record = new_record(about)
        if not f".{record.name}".endswith(f".{zone.name}"):
            refuse([f"RRSet with DNS name {record.name} is not permitted in zone {zone.name}"])
        refuse(problems(change["Action"], record, there))
        if change["Action"] == "DELETE":
            del there[key(record)]
        else:
            there[key(record)] = record
    if characters > MAX_CHARACTERS:
        refuse([f"Number of characters limit of {MAX_CHARACTERS} exceeded."])
    zone.rrsets = list(there.values())


def be_strict() -> None:
    setattr(FakeZone, "get_record_sets", get_record_sets)  # noqa: B010
    setattr(Route53Backend, "change_resource_record_sets", change_resource_record_sets)  # noqa: B010
