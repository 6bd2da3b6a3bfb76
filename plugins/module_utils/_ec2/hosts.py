# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds each host's instance, data volume and address in what amazon.aws has listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# The device by which the databases' disk is attached. On the host, the disk has another name.
DEVICE = "/dev/sdf"

Thing = dict[str, Any]


def tag(thing: Mapping[str, Any], name: str) -> str:
    return str((thing.get("tags") or {}).get(name, ""))


def disks(instance: Mapping[str, Any], device: str) -> list[Thing]:
    """Return the disks that are attached as this device: one or none."""
    return [one["ebs"] for one in instance.get("block_device_mappings") or [] if one["device_name"] == device]


def first(things: Iterable[Thing]) -> Thing:
    return next(iter(things), {})


def host(name: str, tagged: Mapping[str, Sequence[Thing]], untagged: Mapping[str, Sequence[Thing]]) -> Thing:
    """Return the host's things. Tags decide. A thing that has lost its tags is found by what it is attached to."""
    volumes = [one for one in tagged["volumes"] if tag(one, "Name") == f"{name}-data"]
    addresses = [one for one in tagged["addresses"] if tag(one, "Name") == name]
    instances = [one for one in tagged["instances"] if tag(one, "Name") == name]
    volume, address = first(volumes), first(addresses)
    holders = {one["instance_id"] for one in volume.get("attachment_set") or []} | {address.get("instance_id")}
    attached = [one for one in [*tagged["instances"], *untagged["instances"]] if one["instance_id"] in holders]
    instance = first([*instances, *attached])
    all_volumes = {one["id"]: one for one in [*untagged["volumes"], *tagged["volumes"]]}
    data = first(disks(instance, DEVICE)).get("volume_id", "")
    root = first(disks(instance, instance.get("root_device_name") or "")).get("volume_id", "")
    all_addresses = [*tagged["addresses"], *untagged["addresses"]]
    at = [one for one in all_addresses if instance and one.get("instance_id") == instance["instance_id"]]
    return {
        "name": name,
        "instance": instance,
        "volume": volume or all_volumes.get(data, {}),
        "address": address or first(at),
        "root": all_volumes.get(root, {}),
        # The volume that is attached as the data volume, whatever the tags say.
        "data": data,
        # If there is more than one of a kind, host_misfits() in plan.py asks the user to decide.
        "several": {
            "instances": [one["instance_id"] for one in instances],
            "data volumes": [one["id"] for one in volumes],
            "addresses": [one["public_ip"] for one in addresses],
        },
    }


def find(names: Iterable[str], tagged: Mapping[str, Sequence[Thing]], untagged: Mapping[str, Sequence[Thing]]) -> dict[str, Thing]:
    """Return each host's instance, data volume and address, or {} if there is none.

    ``tagged`` has the instances, volumes and addresses with the environment's tag. ``untagged`` has those that lack the tag and are
    attached to one of these.
    """
    return {name: host(name, tagged, untagged) for name in names}


def mistagged(hosts: Iterable[Thing], servers: Sequence[str], common: Mapping[str, Any]) -> list[Thing]:
    """Return the things that lack one of our tags, and all of our tags for each. Other tags stay."""
    found = []
    for one in hosts:
        name = one["name"]
        nomad = "server client" if name in servers else "client"
        for thing, id_key, tags in (
            (one["instance"], "instance_id", {"Name": name, "infinite_role": "node", "infinite_nomad": nomad}),
            (one["root"], "id", {"Name": f"{name}-root", "infinite_role": "root"}),
            (one["volume"], "id", {"Name": f"{name}-data", "infinite_role": "data"}),
            (one["address"], "allocation_id", {"Name": name, "infinite_role": "address"}),
        ):
            wanted = {**common, **tags}
            if thing and {**(thing.get("tags") or {}), **wanted} != thing.get("tags"):
                found.append({"id": thing[id_key], "tags": wanted})
    return found


def outdated(hosts: Iterable[Thing], shown: Mapping[str, Mapping[str, Any]], readdressed: bool) -> list[str]:
    """Return the hosts of which the inventory shows an old instance, data volume or address.

    ``shown`` has the hosts' variables. They cannot be compared if the inventory gives them another prefix than `aws_`. Addresses
    are compared only if ``readdressed`` says that a host got another one.
    """
    found = []
    for one in hosts:
        seen = shown[one["name"]]
        if "aws_instance_id" not in seen:
            continue
        data = first(disks({"block_device_mappings": seen.get("aws_block_device_mappings")}, DEVICE)).get("volume_id", "")
        differs = seen["aws_instance_id"] != one["instance"].get("instance_id") or data != one["volume"].get("id")
        if differs or (readdressed and seen.get("aws_public_ip_address", "") != one["address"].get("public_ip")):
            found.append(one["name"])
    return found
