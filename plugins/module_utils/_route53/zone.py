# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A hosted zone in Route53. It is found by name or id, read in pages, and written in batches."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._route53.aws import AwsClient, AwsError
from ansible_collections.infinite.databases.plugins.module_utils._route53.names import beyond, canonical, order, readable, within
from ansible_collections.infinite.databases.plugins.module_utils._route53.plan import Write
from ansible_collections.infinite.databases.plugins.module_utils._route53.record_values import Record, from_api
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

ZONE_SPEC: dict[str, dict[str, Any]] = {
    "zone": {"type": "str", "required": True},
    "private_zone": {"type": "bool", "default": False},
    "vpc_id": {"type": "str"},
}
ZONE_ID = re.compile(r"(?:/hostedzone/)?([A-Z0-9]{8,32})")
PAGE = 300  # "up to 300 resource record sets at a time"


@dataclass(frozen=True)
class Range:
    """A part of the zone's list that was read without a gap: from one name up to (but not including) another, or to the end."""

    start: str
    end: str | None

    def covers(self, name: str) -> bool:
        """Return whether this part would have the name, if the name existed. The order of unusual characters is not documented."""
        if "\\" in name:
            return False
        pairs = zip(order(self.start), order(name), order(self.end) if self.end else ("", ""), strict=True)
        return all(start <= place and (self.end is None or place < end) for start, place, end in pairs)


class Zone:
    def __init__(self, client: AwsClient, about: dict[str, Any]) -> None:
        self.client = client
        self.id = str(about["Id"]).rpartition("/")[2]
        self.name = canonical(about["Name"])
        self.private = bool((about.get("Config") or {}).get("PrivateZone"))
        self.written = 0
        # The ids of the changes that were not on all name servers yet when they were made.
        self.pending: list[str] = []

    @property
    def api_calls(self) -> dict[str, int]:
        calls = self.client.calls
        write, wait = calls["ChangeResourceRecordSets"], calls["GetChange"]
        return {"list": calls.total() - write - wait, "write": write, "wait": wait}

    @property
    def result(self) -> dict[str, Any]:
        return {"zone_id": self.id, "zone_name": readable(self.name), "api_calls": self.api_calls}

    # Reading

    def read(self, names: Iterable[str], domain: str | None = None) -> list[Record]:
        """Return all records of the names, and all records of the domain and below it. Other records may be among them.

        Each page has up to 300 names. So this takes at most one call for each name, and at most one call for each page of the
        part of the zone in which the names are.
        """
        found: dict[tuple[str, str, str], Record] = {}
        complete: set[str] = set()
        ranges: list[Range] = []

        def walk(start: str, ended: Callable[[str], bool]) -> None:
            position: dict[str, Any] = {"StartRecordName": start}
            while True:
                page = self.client.call("list_resource_record_sets", HostedZoneId=self.id, MaxItems=str(PAGE), **position)
                records = [from_api(raw) for raw in page["ResourceRecordSets"]]
                for record in records:
                    found[(*record.key, str((record.raw or {}).get("SetIdentifier", "")))] = record
                following = canonical(page["NextRecordName"]) if page["IsTruncated"] else None
                complete.update({start, *(record.name for record in records)} - {following})
                usual = [
                    name for name in (start, *(record.name for record in records), following or "") if name and "\\" not in name
                ]
                if usual:
                    ranges.append(Range(usual[0], usual[-1] if following else None))
                if following is None or ended(following):
                    return
                position = {
                    f"Start{key}": page[f"Next{key}"]
                    for key in ("RecordName", "RecordType", "RecordIdentifier")
                    if page.get(f"Next{key}")
                }

        if domain:
            walk(domain, lambda following: beyond(following, domain))
        for name in sorted(set(names), key=order):
            if domain and within(name, domain):
                continue
            if name not in complete and not any(part.covers(name) for part in ranges):
                walk(name, lambda following, name=name: following != name)  # type: ignore[misc]
        return list(found.values())

    # Writing

    def write(self, batch: Sequence[Write]) -> None:
        """Make all of the changes, or none."""
        changes = [{"Action": action, "ResourceRecordSet": record.api()} for action, record in batch]
        answer = self.client.call("change_resource_record_sets", HostedZoneId=self.id, ChangeBatch={"Changes": changes})
        self.written += 1
        if answer["ChangeInfo"]["Status"] != "INSYNC":
            self.pending.append(str(answer["ChangeInfo"]["Id"]))

    def wait(self, timeout: float) -> None:
        """Wait until all name servers have what was written. Earlier changes are in sync first, so later ones need few requests."""
        deadline, pause = time.monotonic() + timeout, 1.0
        for change_id in self.pending:
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AwsError(
                        f"Route53 zone {readable(self.name)} ({self.id}): the records are written, but not on all name servers "
                        f"after {timeout:g} s (change {change_id.rpartition('/')[2]}); raise wait_timeout, or set wait to false"
                    )
                time.sleep(min(pause, left))
                if self.client.call("get_change", Id=change_id)["ChangeInfo"]["Status"] == "INSYNC":
                    break
                pause = min(pause * 1.3, 5)


def vpcs(client: AwsClient, zone_id: str) -> set[str]:
    return {str(vpc.get("VPCId")) for vpc in client.call("get_hosted_zone", Id=zone_id).get("VPCs") or []}


def named(client: AwsClient, name: str) -> list[dict[str, Any]]:
    """Return all zones with the name."""
    found: list[dict[str, Any]] = []
    # "ListHostedZonesByName" begins at the name and goes on with the names after it.
    position = {"DNSName": name}
    while True:
        page = client.call("list_hosted_zones_by_name", MaxItems="100", **position)
        found += [zone for zone in page["HostedZones"] if canonical(zone["Name"]) == name]
        if not page.get("IsTruncated") or canonical(page["NextDNSName"]) != name:
            return found
        position = {"DNSName": page["NextDNSName"], "HostedZoneId": page["NextHostedZoneId"]}


def find(client: AwsClient, params: dict[str, Any]) -> Zone:
    """Return the zone that the parameters mean."""
    given, vpc_id = params["zone"].strip(), params.get("vpc_id") or None
    private = bool(params["private_zone"])
    if vpc_id and not private:
        raise InvalidInput("vpc_id is for private zones; set private_zone to true, too")
    if match := ZONE_ID.fullmatch(given):
        # An id is unambiguous, so private_zone is not needed. The request is made to learn the zone's name.
        about = client.call("get_hosted_zone", Id=match[1])
        if vpc_id and vpc_id not in {vpc.get("VPCId") for vpc in about.get("VPCs") or []}:
            raise InvalidInput(f"zone: {match[1]} is not attached to {vpc_id}")
        return Zone(client, about["HostedZone"])
    name = canonical(given)
    every = [Zone(client, about) for about in named(client, name)]
    zones = [zone for zone in every if zone.private == private]
    if vpc_id:
        zones = [zone for zone in zones if vpc_id in vpcs(client, zone.id)]
    kind = f"private zone{f' of {vpc_id}' if vpc_id else ''}" if private else "public zone"
    ids = ", ".join(sorted(zone.id for zone in zones or every))
    if not zones:
        others = f" (only {ids}; see private_zone and vpc_id)" if every else "; create it, or check the account's credentials"
        raise InvalidInput(f"zone: this AWS account has no {kind} called {readable(name)}{others}")
    if len(zones) > 1:
        advice = "give the id, or vpc_id" if private and not vpc_id else "give the id"
        raise InvalidInput(f"zone: this AWS account has {len(zones)} {kind}s called {readable(name)} ({ids}); {advice}")
    return zones[0]
