# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Records: the meaning of their values, how the values are written, and whether two records are the same."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._route53.names import canonical, readable
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

TYPES = ["A", "AAAA", "CNAME", "TXT", "CAA"]
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"\s*', re.DOTALL)
ESCAPED = re.compile(rb"\\(?:([0-3][0-7]{2})|(.))", re.DOTALL)
CAA = re.compile(r"\s*(\d{1,3})\s+([A-Za-z0-9]+)\s+(\S.*?)\s*", re.DOTALL)
MAX_TXT = 4000
Key = tuple[str, str]  # name, type


def unquote(text: str) -> tuple[bytes, ...] | None:
    """Return the strings of a value that consists of strings in quotes; otherwise None."""
    found, position, text = [], 0, text.strip()
    while position < len(text):
        match = STRING.match(text, position)
        if not match:
            return None
        # A byte is escaped with three octal digits (zone files have decimal digits), a quote or a backslash with a backslash.
        found.append(ESCAPED.sub(lambda e: bytes([int(e[1], 8)]) if e[1] else e[2], match[1].encode("utf-8", "surrogateescape")))
        position = match.end()
    return tuple(found) or None


def quote(strings: tuple[bytes, ...]) -> str:
    def character(byte: int) -> str:
        if byte == ord('"'):
            return '\\"'
        return chr(byte) if 32 <= byte < 127 and byte != ord("\\") else f"\\{byte:03o}"

    return " ".join(f'"{"".join(map(character, string))}"' for string in strings)


def split(text: str) -> tuple[bytes, ...]:
    """Split a text of any length into strings of at most 255 bytes."""
    data = text.encode("utf-8", "surrogateescape")
    return tuple(data[start : start + 255] for start in range(0, len(data), 255)) or (b"",)


def txt(value: str) -> tuple[bytes, ...]:
    """Return the strings of a text that a person gave, plain or as strings in quotes."""
    if not value.lstrip().startswith('"'):
        return split(value)
    strings = unquote(value)
    if strings is None or any(len(string) > 255 for string in strings):
        raise ValueError('begins with a quote but is not strings of up to 255 characters, as in "a" "b"')
    return strings


def caa(value: str) -> tuple[int, str, bytes]:
    match = CAA.fullmatch(value)
    if not match or int(match[1]) > 255:
        raise ValueError('is not FLAGS TAG "VALUE", such as 0 issue "letsencrypt.org"')
    strings = unquote(match[3]) if match[3].startswith('"') else (match[3].encode("utf-8", "surrogateescape"),)
    if strings is None or len(strings) != 1:
        raise ValueError("has a value that is not one string in quotes")
    return int(match[1]), match[2].lower(), strings[0]


def address(value: str, version: int) -> str:
    try:
        found = ipaddress.ip_address(value.strip())
    except ValueError:
        found = None
    if found is None or found.version != version or "%" in value:
        raise ValueError(f"is not an IPv{version} address")
    return str(found)


def meaning(type_: str, value: str) -> Hashable:
    """Return the meaning of a value, which does not depend on its spelling. Raises ValueError."""
    if type_ in ("A", "AAAA"):
        return address(value, 4 if type_ == "A" else 6)
    if type_ == "CNAME":
        return canonical(value.strip())
    if type_ == "TXT":
        return txt(value)
    return caa(value) if type_ == "CAA" else value


def written(type_: str, value: str) -> str:
    """Return the value in the form that is sent to Route53. Raises ValueError."""
    if type_ == "TXT":
        text = quote(txt(value))
        if len(text) > MAX_TXT:
            raise ValueError(f"is longer than Route53 allows ({MAX_TXT} characters, quotes included)")
        return text
    if type_ == "CAA":
        flags, tag, text_ = caa(value)
        return f"{flags} {tag} {quote((text_,))}"
    return str(meaning(type_, value))


def known(type_: str, value: str, joined: bool) -> Hashable:
    """Return the meaning of a value in the zone. Such a value may have any form, so this raises no error."""
    try:
        found = meaning(type_, value)
    except (ValueError, InvalidInput):
        return "unknown", value
    return b"".join(found) if joined and isinstance(found, tuple) and type_ == "TXT" else found


@dataclass(frozen=True)
class Alias:
    zone_id: str
    dns_name: str
    evaluate_target_health: bool


@dataclass(frozen=True)
class Record:
    """A resource record set."""

    name: str
    type: str
    ttl: int | None = None
    values: tuple[str, ...] = ()
    alias: Alias | None = None
    # The record as AWS returned it. To delete a record, exactly this must be sent.
    raw: Mapping[str, Any] | None = field(default=None, compare=False)
    # Whether this is a TXT record that was given without quotes. Two such records are the same even if they are split differently.
    plain: bool = False

    @property
    def key(self) -> Key:
        return self.name, self.type

    @property
    def routed(self) -> bool:
        """Whether the record has a routing policy (weighted, latency, failover ...) or was made by a traffic policy."""
        return self.raw is not None and ("SetIdentifier" in self.raw or "TrafficPolicyInstanceId" in self.raw)

    @property
    def label(self) -> str:
        return f"{readable(self.name)} {self.type}"

    def same(self, other: Record) -> bool:
        if self.alias or other.alias:
            return self.alias == other.alias
        ours, theirs = ({known(self.type, value, self.plain) for value in record.values} for record in (self, other))
        return self.ttl == other.ttl and ours == theirs

    def api(self) -> dict[str, Any]:
        if self.raw is not None:
            return {name: value for name, value in self.raw.items() if value != []}
        about: dict[str, Any] = {"Name": self.name, "Type": self.type}
        if self.alias:
            target = {"HostedZoneId": self.alias.zone_id, "DNSName": self.alias.dns_name}
            return about | {"AliasTarget": target | {"EvaluateTargetHealth": self.alias.evaluate_target_health}}
        return about | {"TTL": self.ttl, "ResourceRecords": [{"Value": value} for value in self.values]}

    def lines(self) -> list[str]:
        """Return the record as lines for a diff."""
        if self.alias:
            health = " if healthy" if self.alias.evaluate_target_health else ""
            return [f"{self.label} alias {readable(self.alias.dns_name)} in {self.alias.zone_id}{health}"]
        return [f"{self.label} {self.ttl} {value}" for value in sorted(self.values)]


def from_api(raw: Mapping[str, Any]) -> Record:
    target = raw.get("AliasTarget")
    alias = target and Alias(target["HostedZoneId"], canonical(target["DNSName"]), bool(target["EvaluateTargetHealth"]))
    values = tuple(item["Value"] for item in raw.get("ResourceRecords") or [])
    return Record(canonical(raw["Name"]), raw["Type"], raw.get("TTL"), values, alias or None, raw)


def from_params(given: Mapping[str, Any], ttl: int, needs_values: bool) -> Record:
    """Return a record from an entry in the module's list."""
    name, type_ = canonical(given["name"]), given["type"]
    where = f"{readable(name)} {type_}"
    if not needs_values:
        return Record(name, type_)
    if bool(given.get("values")) == bool(given.get("alias")):
        raise InvalidInput(f"{where}: give either values or alias")
    if target := given.get("alias"):
        return Record(
            name, type_, alias=Alias(target["hosted_zone_id"], canonical(target["dns_name"]), target["evaluate_target_health"])
        )
    values: dict[Hashable, str] = {}
    for value in given["values"]:
        try:
            # Equal values become one, because Route53 refuses a record with the same value twice.
            values[meaning(type_, value)] = written(type_, value)
        except ValueError as error:
            raise InvalidInput(f"{where}: the value {ascii(value)[:80]} {error}") from None
    if type_ == "CNAME" and len(values) > 1:
        raise InvalidInput(f"{where}: a CNAME has one value, not {len(values)}")
    chosen = ttl if given.get("ttl") is None else int(given["ttl"])
    if not 0 <= chosen < 2**31:
        raise InvalidInput(f"{where}: ttl {chosen} is not between 0 and {2**31 - 1}")
    plain = type_ == "TXT" and not any(value.lstrip().startswith('"') for value in given["values"])
    return Record(name, type_, chosen, tuple(values.values()), plain=plain)
