# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds what is wrong with the variables of role ec2_host, and says what to do. This needs no call of AWS."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

ENVIRONMENT = re.compile(r"[a-z][a-z0-9-]{0,30}")
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
HOST = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]+")
INSTANCE_TYPE = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+")
# https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-nitro-instances.html
WITHOUT_NVME = re.compile(r"([tm][12]|m[34]|c[134]|r[34]|i2|d2)\.")
IMAGE_ID = re.compile(r"ami-[0-9a-f]+")
PUBLIC_KEY = re.compile(r"ssh-(ed25519|rsa) [A-Za-z0-9+/=]+")
# The bounds of gp3, in GiB, operations per second and MiB per second.
SIZES = {"root_size": (8, 16384), "data_size": (1, 16384), "data_iops": (3000, 16000), "data_throughput": (125, 1000)}
DNS = ("none", "wildcard", "record")


def whole(value: Any) -> int:
    """Return what Jinja's filter `int` returns: 0 for anything that is not a number."""
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return 0


def is_network(value: Any) -> bool:
    """Return whether this is an address, a slash and a number of bits (no mask). Other bits may be set, as in 203.0.113.7/24."""
    address, _slash, bits = str(value).partition("/")
    if not re.fullmatch(r"0|[1-9][0-9]{0,2}", bits) or "%" in address or (":" in address and "." in address):
        return False
    try:
        ipaddress.ip_network(f"{address}/{bits}", strict=False)
    except ValueError:
        return False
    return True


def in_zone(domain: str, zone: str) -> bool:
    """Return whether the domain is the zone's own name or below it. A zone's name may end with a dot."""
    return f".{domain}".endswith(f".{zone.removesuffix('.')}")


def not_in_zone(domain: str, zone: str) -> str:
    return f"environment_domain is {domain}, which is not in the zone {zone}: set one of them to fit the other"


def names(wanted: Mapping[str, Any]) -> Iterator[str]:
    environment, region = str(wanted["environment"]), str(wanted["region"])
    hosts, servers = wanted["names"], wanted["servers"]
    if not ENVIRONMENT.fullmatch(environment) or environment == "local":
        yield (
            f"environment_name is '{environment}': choose a name of at most 31 lower-case letters, digits and hyphens, other than "
            "local, which is the environment in containers"
        )
    if not REGION.fullmatch(region):
        yield f"ec2_host_region is '{region}': set it to a region such as eu-central-1"
    if not hosts or len(set(hosts)) < len(hosts) or not all(HOST.fullmatch(str(name)) for name in hosts):
        yield f"ec2_host_names is {json.dumps(hosts)}: list different host names of lower-case letters, digits and hyphens"
    if set(servers) - set(hosts) or len(servers) not in (1, 3, 5):
        yield f"ec2_host_servers is {json.dumps(servers)}: list one, three or five of ec2_host_names"


def networks(wanted: Mapping[str, Any]) -> Iterator[str]:
    for variable, cidrs, who in (
        ("ec2_host_database_cidrs", wanted["database_cidrs"], "reach the databases"),
        ("admin_cidrs", wanted["admin_cidrs"], "reach SSH and Nomad"),
    ):
        if not isinstance(cidrs, list):
            yield f"{variable} is no list: write [203.0.113.7/32], even for one network"
        elif not cidrs:
            yield f"{variable} is empty, so nobody could {who}: set it to the networks that may, such as [203.0.113.7/32]"
        else:
            for cidr in cidrs:
                if not is_network(cidr):
                    yield f"{variable} has '{cidr}': write networks, as 203.0.113.0/24, 203.0.113.7/32 or 2001:db8::/48"
    if isinstance(wanted["admin_cidrs"], list) and not wanted["admin_from_anywhere"]:
        for cidr in wanted["admin_cidrs"]:
            if str(cidr).endswith("/0"):
                yield (
                    f"admin_cidrs has {cidr}, the whole Internet: name the networks that SSH and Nomad are for, or set "
                    "ec2_host_admin_from_anywhere: true"
                )


def machines(wanted: Mapping[str, Any]) -> Iterator[str]:
    kind, image, image_id = wanted["instance_type"], wanted["image"], wanted["image_id"]
    if not INSTANCE_TYPE.fullmatch(kind):
        yield f"ec2_host_instance_type is '{kind}': set it to a type such as t3.large"
    elif WITHOUT_NVME.match(kind):
        yield f"ec2_host_instance_type is {kind}, which does not show EBS disks as NVMe: set it to a type such as t3.large"
    if image_id and not IMAGE_ID.fullmatch(image_id):
        yield f"ec2_host_image_id is '{image_id}': set it to an image such as ami-0123456789abcdef0, or to nothing"
    if image not in wanted["images"]:
        yield f"ec2_host_image is '{image}': set it to {', '.join(wanted['images'])}"
    for name, (least, most) in SIZES.items():
        if not least <= whole(wanted[name]) <= most:
            yield f"ec2_host_{name} is {wanted[name]}: set it to {least} to {most}"


def public_key(wanted: Mapping[str, Any]) -> Iterator[str]:
    path = os.path.expanduser(wanted["public_key_file"])
    if not os.path.isfile(path):
        yield (
            f"there is no public key {path or '~/.ssh/id_ed25519.pub or ~/.ssh/id_rsa.pub'}: make one with "
            "`ssh-keygen -t ed25519`, or set ec2_host_public_key_file"
        )
        return
    # The file may be a private key by mistake, so no message shows its content.
    with open(path, encoding="utf-8", errors="replace") as file:
        if not PUBLIC_KEY.match(file.read()):
            yield f"{path} is no public key that EC2 takes: set ec2_host_public_key_file to one of type ed25519 or rsa (.pub)"


def domain(wanted: Mapping[str, Any]) -> Iterator[str]:
    dns, name, zone = wanted["dns"], wanted["domain"], wanted["dns_zone"]
    acme = wanted["certificate"] == "acme"
    if dns not in DNS:
        yield f"environment_dns is '{dns}': set it to none, wildcard or record"
    elif dns == "wildcard" and len(wanted["names"]) > 1:
        yield "environment_dns is wildcard, which leads to one host: set it to record for several"
    if dns != "none" or acme:
        why = "traefik_certificate: acme" if acme else f"environment_dns: {dns}"
        if not zone:
            yield f"environment_dns_zone is empty: set it to the hosted zone for {why}"
        if not DOMAIN.fullmatch(name):
            yield f"environment_domain is '{name}': set it to a domain of yours, such as db.example.com, for {why}"
        elif zone and not wanted["zone_is_id"] and not in_zone(name, zone.lower()):
            yield not_in_zone(name, zone)
    if acme and not wanted["acme_email"]:
        yield "traefik_acme_email is empty: set it to an address that the ACME server may write to"


def inventories(wanted: Mapping[str, Any]) -> Iterator[str]:
    """Compare the inventory plugin's files, which have to say the same. Templates in them are not compared."""
    for file, content in wanted["inventories"].items():
        options = content or {}
        regions, filters = options.get("regions") or [""], options.get("filters") or {}
        for text, there, here in (
            ("regions", str(regions[0]), wanted["region"]),
            ("tag:infinite_environment", str(filters.get("tag:infinite_environment", "")), wanted["environment"]),
        ):
            if there != here and "{" not in there:
                yield f"{file} has {text} '{there}' and the variables say '{here}': write the same in both"


def problems(wanted: Mapping[str, Any]) -> list[str]:
    return [said for check in (names, networks, machines, public_key, domain, inventories) for said in check(wanted)]
