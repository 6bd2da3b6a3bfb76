# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares what exists with what was asked for, and decides where new instances go, who may connect, and what does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._ec2.hosts import DEVICE, Thing, disks
from ansible_collections.infinite.databases.plugins.module_utils._ec2.problems import in_zone, not_in_zone, whole


def places(hosts: Mapping[str, Thing], subnets: Sequence[Thing], zone: str) -> dict[str, dict[str, str]]:
    """Return the zone and subnet of each new instance. If its disk exists already, that is the disk's zone."""
    found = {}
    for name, one in hosts.items():
        if one["instance"]:
            continue
        here = one["volume"].get("zone", zone)
        fitting = [subnet["subnet_id"] for subnet in subnets if not here or subnet["availability_zone"] == here]
        found[name] = {"zone": here, "subnet": fitting[0] if fitting else ""}
    return found


def fitting_zones(wanted: Mapping[str, Any], listed: Sequence[Thing]) -> list[Thing]:
    """Return the hosted zone with the wanted id, or all public zones with the wanted name."""
    if wanted["zone_is_id"]:
        return list(listed)
    name = f"{wanted['dns_zone'].lower().removesuffix('.')}."
    return [zone for zone in listed if zone["Name"] == name and not zone["Config"]["PrivateZone"]]


def zone_id(zone: Thing) -> str:
    return str(zone["Id"]).rpartition("/")[2]


def open_ports(wanted: Mapping[str, Any]) -> list[Thing]:
    """Return who may connect to which port from outside."""
    admins, web = wanted["admin_cidrs"], whole(wanted["web_port"])
    return [
        {"port": wanted["port"], "text": "PostgreSQL", "cidrs": wanted["database_cidrs"]},
        {"port": 22, "text": "SSH", "cidrs": admins},
        {"port": 4646, "text": "Nomad", "cidrs": admins},
        *([{"port": web, "text": "web pages", "cidrs": admins}] if web else []),
    ]


def rules(wanted: Mapping[str, Any], group: str) -> list[Thing]:
    """Return the rules of the security group. If there are several hosts, their Nomads talk to each other."""
    found: list[Thing] = [
        {
            "proto": "tcp",
            "ports": [str(one["port"])],
            "rule_desc": one["text"],
            "cidr_ip": [cidr for cidr in one["cidrs"] if ":" not in cidr],
            "cidr_ipv6": [cidr.lower() for cidr in one["cidrs"] if ":" in cidr],
        }
        for one in open_ports(wanted)
    ]
    if len(wanted["names"]) > 1:
        found.append({"proto": "tcp", "ports": ["4646-4648"], "rule_desc": "Nomad", "group_name": [group]})
        found.append({"proto": "udp", "ports": ["4648"], "rule_desc": "Nomad gossip", "group_name": [group]})
    return found


def zone_misfits(wanted: Mapping[str, Any], zones: Sequence[Thing]) -> Iterator[str]:
    given, is_id, acme = wanted["dns_zone"], wanted["zone_is_id"], wanted["acme"]
    if given and not zones:
        kind = "" if is_id else "public "
        yield f"this account has no {kind}hosted zone {given}: set environment_dns_zone to one of its zones"
    elif len(zones) > 1:
        ids = ", ".join(sorted(map(zone_id, zones)))
        yield f"this account has several hosted zones {given}: set environment_dns_zone to the id of one: {ids}"
    for zone in zones if is_id and (wanted["dns"] != "none" or acme) else []:
        if not in_zone(wanted["domain"], zone["Name"]):
            yield not_in_zone(wanted["domain"], f"{given}, {zone['Name'].removesuffix('.')}")
        if acme and zone["Config"]["PrivateZone"]:
            yield (
                f"the hosted zone {given} is private, and traefik_certificate: acme needs a public one: "
                "set environment_dns_zone to its id"
            )
    if acme and zones and not is_id and not wanted["acme_zone_id"]:
        yield f"traefik_certificate: acme needs the id of the zone {given}: set environment_dns_zone to {zone_id(zones[0])}"


def place_misfits(
    wanted: Mapping[str, Any], hosts: Mapping[str, Thing], subnets: Sequence[Thing], found: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    given, region = wanted["subnet"], wanted["region"]
    if not subnets and not given:
        yield f"region {region} has no default subnet: make one, or set ec2_host_subnet to another"
    elif not subnets:
        yield f"there is no subnet {given}: set ec2_host_subnet to the id or the Name tag of one in {region}"
    elif given and len(subnets) > 1:
        ids = ", ".join(subnet["subnet_id"] for subnet in subnets)
        yield f"several subnets have the name {given}: set ec2_host_subnet to the id of one: {ids}"
    else:
        for name, place in found.items():
            volume = hosts[name]["volume"]
            why = f", where its data volume {volume['id']} is" if volume else ""
            if not place["subnet"]:
                yield f"{name} has to be in {place['zone']}{why}, and there is no subnet for it: set ec2_host_subnet to one there"


def image_misfits(wanted: Mapping[str, Any]) -> Iterator[str]:
    image, image_id, region = wanted["image"], wanted["image_id"], wanted["region"]
    cure = "build one (docs/packer.md), or set ec2_host_image" if image == "packer" else f"set ec2_host_image_id to one in {region}"
    yield f"no image for {wanted['architecture']} is found by {image_id or image}: {cure}"


def host_misfits(wanted: Mapping[str, Any], one: Thing) -> Iterator[str]:
    name, instance, volume = one["name"], one["instance"], one["volume"]
    kind, architecture = wanted["instance_type"], wanted["architecture"]
    who = f"{name} ({instance.get('instance_id')})"
    for what, ids in one["several"].items():
        if len(ids) > 1:
            yield f"several {what} are of {name}: remove, or tag otherwise, all but one of {', '.join(ids)}"
    if volume and one["data"] not in ("", volume["id"]):
        yield (
            f"{who} has {one['data']} as its data volume ({DEVICE}), and by the tags it is {volume['id']}: "
            f"tag the right one {name}-data, and no other"
        )
    if instance and instance["architecture"] != architecture:
        yield (
            f"{who} is {instance['architecture']}, and ec2_host_instance_type {kind} is {architecture}: "
            f"choose a type for {instance['architecture']}, or replace the instance (docs/aws.md)"
        )
    if volume and volume["size"] > whole(wanted["data_size"]):
        yield (
            f"the data volume {volume['id']} of {name} has {volume['size']} GiB and cannot shrink: "
            f"set ec2_host_data_size to {volume['size']} or more"
        )
    if instance and volume and volume["zone"] != instance["placement"]["availability_zone"]:
        yield (
            f"{who} is not in {volume['zone']}, where its data volume {volume['id']} is: "
            "terminate that instance, or move the volume by a snapshot"
        )
    for disk in disks(instance, DEVICE):
        if disk["delete_on_termination"]:
            yield (
                f"the data volume {disk['volume_id']} would be erased together with {instance['instance_id']}, which somebody has "
                "set: turn DeleteOnTermination off there (aws ec2 modify-instance-attribute)"
            )


def plan(
    hosts: Mapping[str, Thing], wanted: Mapping[str, Any], subnets: Sequence[Thing], zones: Sequence[Thing], image: Thing
) -> dict[str, Any]:
    """Return what is decided before anything is made. ``misfits`` says what does not fit, and what to do about it."""
    chosen, where = fitting_zones(wanted, zones), places(hosts, subnets, wanted["availability_zone"])
    misfits = [*zone_misfits(wanted, chosen), *place_misfits(wanted, hosts, subnets, where)]
    if where and not image:
        misfits += image_misfits(wanted)
    misfits += [said for one in hosts.values() for said in host_misfits(wanted, one)]
    return {"places": where, "zone_id": zone_id(chosen[0]) if chosen else "", "misfits": misfits}
