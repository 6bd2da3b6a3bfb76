# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What role ec2_host was asked for, compared with what AWS has."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.filter.ec2 import (
    ec2_hosts,
    ec2_mistagged,
    ec2_open,
    ec2_outdated,
    ec2_plan,
    ec2_problems,
    ec2_rules,
)
from ansible_collections.infinite.databases.plugins.module_utils._ec2.hosts import DEVICE
from ansible_collections.infinite.databases.plugins.module_utils._ec2.problems import in_zone, is_network, whole

IMAGES = ["debian", "ubuntu", "packer"]
COMMON = {"infinite_environment": "mine"}


@pytest.fixture
def wanted(tmp_path: Path) -> dict[str, Any]:
    """Nothing is wrong with it."""
    key = tmp_path / "key.pub"
    key.write_text("ssh-ed25519 AAAAC3Nza+/= me@example.com\n")
    return {
        "environment": "mine",
        "region": "eu-central-1",
        "names": ["mine-1"],
        "servers": ["mine-1"],
        "port": 5432,
        "web_port": 5443,
        "database_cidrs": ["198.51.100.0/24"],
        "admin_cidrs": ["203.0.113.7/32", "2001:DB8::/48"],
        "admin_from_anywhere": False,
        "instance_type": "t3.large",
        "architecture": "x86_64",
        "image": "debian",
        "images": IMAGES,
        "image_id": "",
        "subnet": "",
        "availability_zone": "",
        "public_key_file": str(key),
        "root_size": 20,
        "data_size": 50,
        "data_iops": 3000,
        "data_throughput": 125,
        "domain": "db.example.com",
        "dns": "wildcard",
        "dns_zone": "example.com",
        "zone_is_id": False,
        "acme": True,
        "certificate": "acme",
        "acme_email": "me@example.com",
        "acme_zone_id": "Z0123456789ABC",
        "inventories": {},
    }


def test_nothing_is_wrong_with_what_is_right(wanted: dict[str, Any]) -> None:
    assert ec2_problems(wanted) == []


@pytest.mark.parametrize(
    ("value", "good"),
    [
        *((one, True) for one in ("0.0.0.0/0", "203.0.113.7/32", "10.0.0.0/8", "203.0.113.7/24", "::/0", "::1/128")),
        *((one, True) for one in ("2001:db8::/32", "2001:DB8:1:2:3:4:5:6/128")),
        *(
            (one, False)
            for one in ("", "office", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0/24", "256.0.0.0/8")
        ),
        *((one, False) for one in ("01.2.3.4/32", "1.2.3.4./32", "10.0.0.0/255.0.0.0", "10.0.0.0/0.0.0.255", "10.0.0.0/8/8")),
        *((one, False) for one in ("2001:db8::/129", "1::2::3/64", ":::/0", "1:2:3/64", "1:2:3:4:5:6:7:8:9/64", "12345::/16")),
        *((one, False) for one in ("g::/16", "::ffff:10.0.0.0/104", "fe80::1%eth0/64", "::/٤", 10, None)),
    ],
)
def test_what_a_network_is(value: Any, good: bool) -> None:
    assert is_network(value) is good


@pytest.mark.parametrize(("value", "number"), [("50", 50), (50, 50), ("50.5", 50), ("many", 0), (None, 0), ("", 0), ("inf", 0)])
def test_whole(value: Any, number: int) -> None:
    assert whole(value) == number


@pytest.mark.parametrize(
    ("domain", "zone", "within"),
    [
        ("db.example.com", "example.com", True),
        ("example.com", "example.com.", True),
        ("badexample.com", "example.com", False),
        ("example.com", "db.example.com", False),
    ],
)
def test_in_zone(domain: str, zone: str, within: bool) -> None:
    assert in_zone(domain, zone) is within


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"environment": "local"}, "environment_name is 'local': choose a name of at most 31"),
        ({"environment": "Mine"}, "environment_name is 'Mine': choose"),
        ({"environment": "a" * 32}, "environment_name is 'aaaa"),
        ({"environment": ""}, "environment_name is '': choose"),
        ({"region": ""}, "ec2_host_region is '': set it to a region such as eu-central-1"),
        ({"names": ["a", "a", "B"], "servers": ["a"], "dns": "record"}, 'ec2_host_names is ["a", "a", "B"]: list'),
        ({"names": ["a-"], "servers": ["a-"]}, 'ec2_host_names is ["a-"]: list'),
        ({"servers": ["other"]}, 'ec2_host_servers is ["other"]: list one, three or five of ec2_host_names'),
        ({"names": ["a", "b"], "servers": ["a", "b"], "dns": "record"}, 'ec2_host_servers is ["a", "b"]: list'),
        ({"database_cidrs": []}, "ec2_host_database_cidrs is empty, so nobody could reach the databases: set it to"),
        ({"database_cidrs": ["x"]}, "ec2_host_database_cidrs has 'x': write networks, as 203.0.113.0/24"),
        ({"admin_cidrs": "203.0.113.7/32"}, "admin_cidrs is no list: write [203.0.113.7/32], even for one network"),
        ({"admin_cidrs": []}, "admin_cidrs is empty, so nobody could reach SSH and Nomad: set it"),
        ({"admin_cidrs": ["::/0"]}, "admin_cidrs has ::/0, the whole Internet: name the networks that SSH and Nomad are for"),
        ({"instance_type": "large"}, "ec2_host_instance_type is 'large': set it to a type such as t3.large"),
        ({"instance_type": "t2.large"}, "ec2_host_instance_type is t2.large, which does not show EBS disks as NVMe"),
        ({"image_id": "debian"}, "ec2_host_image_id is 'debian': set it to an image such as ami-"),
        ({"image": "windows"}, "ec2_host_image is 'windows': set it to debian, ubuntu, packer"),
        ({"data_iops": "100"}, "ec2_host_data_iops is 100: set it to 3000 to 16000"),
        ({"root_size": "big"}, "ec2_host_root_size is big: set it to 8 to 16384"),
        ({"public_key_file": ""}, "there is no public key ~/.ssh/id_ed25519.pub or ~/.ssh/id_rsa.pub: make one with `ssh-keygen"),
        ({"public_key_file": "/nowhere.pub"}, "there is no public key /nowhere.pub: make one"),
        ({"public_key_file": __file__}, "is no public key that EC2 takes: set ec2_host_public_key_file to one of type"),
        ({"dns": "cname"}, "environment_dns is 'cname': set it to none, wildcard or record"),
        ({"names": ["a", "b"], "servers": ["a"]}, "environment_dns is wildcard, which leads to one host: set it to record"),
        ({"dns_zone": ""}, "environment_dns_zone is empty: set it to the hosted zone for traefik_certificate: acme"),
        (
            {"dns_zone": "", "certificate": "local_ca"},
            "environment_dns_zone is empty: set it to the hosted zone for environment_dns: ",
        ),
        ({"domain": ""}, "environment_domain is '': set it to a domain of yours, such as db.example.com, for"),
        ({"domain": "db.example.org"}, "environment_domain is db.example.org, which is not in the zone example.com: set"),
        ({"acme_email": ""}, "traefik_acme_email is empty: set it to an address"),
        (
            {"inventories": {"x.yml": {"regions": ["us-east-1"], "filters": {"tag:infinite_environment": "mine"}}}},
            "x.yml has regions",
        ),
        ({"inventories": {"x.yml": {"regions": ["eu-central-1"]}}}, "x.yml has tag:infinite_environment '' and the variables say"),
    ],
)
def test_each_problem_is_told_by_itself(wanted: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    found = ec2_problems(wanted | changes)
    assert [one for one in found if said not in one] == []
    assert len(found) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"admin_cidrs": ["0.0.0.0/0"], "admin_from_anywhere": True},
        {"image_id": "ami-0123456789abcdef0"},
        {"dns": "none", "certificate": "local_ca", "dns_zone": "", "domain": "", "acme_email": ""},
        {"dns_zone": "Example.COM."},
        # It is not known before AWS is asked which zone that is.
        {"dns_zone": "Z0123456789ABC", "zone_is_id": True, "domain": "db.example.org"},
        {"inventories": {"x.yml": {"regions": ["{{ a }}"], "filters": {"tag:infinite_environment": "{{ b }}"}}}},
        {"instance_type": "c7gn.xlarge"},
    ],
)
def test_what_else_is_right(wanted: dict[str, Any], changes: dict[str, Any]) -> None:
    assert ec2_problems(wanted | changes) == []


def test_all_problems_are_told_at_once(wanted: dict[str, Any]) -> None:
    found = ec2_problems(wanted | {"names": [], "database_cidrs": ["x", "y"], "data_size": 0, "inventories": {"x.yml": None}})
    assert [one.split()[0] for one in found] == [
        "ec2_host_names",
        "ec2_host_servers",
        "ec2_host_database_cidrs",
        "ec2_host_database_cidrs",
        "ec2_host_data_size",
        "x.yml",
        "x.yml",
    ]


def disk(volume: str, device: str = DEVICE, **more: Any) -> dict[str, Any]:
    return {"device_name": device, "ebs": {"volume_id": volume, "delete_on_termination": False} | more}


INSTANCE: dict[str, Any] = {
    "instance_id": "i-1",
    "tags": {"Name": "mine-1", "infinite_role": "node", "infinite_nomad": "server client", **COMMON},
    "root_device_name": "/dev/xvda",
    "block_device_mappings": [disk("vol-root", "/dev/xvda"), disk("vol-data")],
    "architecture": "x86_64",
    "placement": {"availability_zone": "eu-central-1a"},
}
ROOT: dict[str, Any] = {
    "id": "vol-root",
    "tags": {"Name": "mine-1-root", "infinite_role": "root", **COMMON},
    "attachment_set": [{"instance_id": "i-1"}],
}
DATA: dict[str, Any] = {
    "id": "vol-data",
    "tags": {"Name": "mine-1-data", "infinite_role": "data", **COMMON},
    "size": 50,
    "zone": "eu-central-1a",
    "attachment_set": [{"instance_id": "i-1"}],
}
ADDRESS: dict[str, Any] = {
    "allocation_id": "eipalloc-1",
    "public_ip": "192.0.2.1",
    "instance_id": "i-1",
    "tags": {"Name": "mine-1", "infinite_role": "address", **COMMON},
}
NOTHING: dict[str, list[Any]] = {"instances": [], "volumes": [], "addresses": []}
ALL: dict[str, list[Any]] = {"instances": [INSTANCE], "volumes": [ROOT, DATA], "addresses": [ADDRESS]}
SUBNETS = [{"subnet_id": f"subnet-{zone}", "availability_zone": f"eu-central-1{zone}"} for zone in "ab"]
ZONE = {"Id": "/hostedzone/Z1", "Name": "example.com.", "Config": {"PrivateZone": False}}
IMAGE = {"image_id": "ami-1"}


def without_tags(thing: dict[str, Any]) -> dict[str, Any]:
    return thing | {"tags": {}}


@pytest.mark.parametrize(
    ("tagged", "untagged"),
    [
        (ALL, NOTHING),
        # Each is found by each other.
        (ALL | {"instances": []}, NOTHING | {"instances": [without_tags(INSTANCE)]}),
        (NOTHING | {"volumes": [DATA]}, ALL | {"volumes": [without_tags(ROOT)]}),
        (NOTHING | {"addresses": [ADDRESS]}, NOTHING | {"instances": [without_tags(INSTANCE)], "volumes": [ROOT, DATA]}),
        (NOTHING | {"instances": [INSTANCE]}, NOTHING | {"volumes": [ROOT, without_tags(DATA)], "addresses": [ADDRESS]}),
    ],
)
def test_instance_volume_and_address_lead_to_one_another(tagged: dict[str, Any], untagged: dict[str, Any]) -> None:
    (one,) = ec2_hosts(["mine-1"], tagged, untagged).values()
    assert one["instance"]["instance_id"] == "i-1"
    assert (one["root"]["id"], one["volume"]["id"], one["data"]) == ("vol-root", "vol-data", "vol-data")
    assert one["address"]["public_ip"] == "192.0.2.1"


def test_what_there_is_not() -> None:
    (one,) = ec2_hosts(["mine-1"], NOTHING, NOTHING).values()
    assert (one["instance"], one["volume"], one["address"], one["root"], one["data"]) == ({}, {}, {}, {}, "")
    loose = NOTHING | {"addresses": [{"public_ip": "192.0.2.2", "tags": {}}]}
    assert ec2_hosts(["mine-1"], loose, NOTHING)["mine-1"]["address"] == {}, "an address of nobody is not everybody's"


def hosts(*names: str, **changed: dict[str, Any]) -> dict[str, Any]:
    """What is found, with other values for some of it."""
    found = copy.deepcopy(ec2_hosts(["mine-1", *names], ALL, NOTHING))
    for key, values in changed.items():
        found["mine-1"][key] = found["mine-1"][key] | values
    return found


def test_nothing_is_said_of_tags_that_are_right() -> None:
    assert ec2_mistagged(hosts(), ["mine-1"], COMMON) == []


@pytest.mark.parametrize(
    ("key", "tags", "common", "servers", "wrong"),
    [
        (
            "instance",
            {},
            COMMON,
            ["mine-1"],
            {"i-1": {"Name": "mine-1", "infinite_role": "node", "infinite_nomad": "server client"}},
        ),
        (
            "instance",
            INSTANCE["tags"],
            COMMON,
            [],
            {"i-1": {"Name": "mine-1", "infinite_role": "node", "infinite_nomad": "client"}},
        ),
        ("root", None, COMMON, ["mine-1"], {"vol-root": {"Name": "mine-1-root", "infinite_role": "root"}}),
        ("volume", {"Name": "x"}, COMMON, ["mine-1"], {"vol-data": {"Name": "mine-1-data", "infinite_role": "data"}}),
        ("address", {}, COMMON, ["mine-1"], {"eipalloc-1": {"Name": "mine-1", "infinite_role": "address"}}),
        ("address", ADDRESS["tags"] | {"owner": "me"}, COMMON, ["mine-1"], {}),
    ],
)
def test_mistagged(key: str, tags: Any, common: dict[str, str], servers: list[str], wrong: dict[str, Any]) -> None:
    found = ec2_mistagged(hosts(**{key: {"tags": tags}}), servers, common)
    assert {one["id"]: one["tags"] for one in found} == {name: common | own for name, own in wrong.items()}


SHOWN = {"aws_instance_id": "i-1", "aws_block_device_mappings": [disk("vol-data")], "aws_public_ip_address": "192.0.2.1"}


@pytest.mark.parametrize(
    ("shown", "readdressed", "names"),
    [
        (SHOWN, False, []),
        (SHOWN, True, []),
        (SHOWN | {"aws_instance_id": "i-0"}, False, ["mine-1"]),
        (SHOWN | {"aws_block_device_mappings": []}, False, ["mine-1"]),
        ({"aws_instance_id": "i-1"}, False, ["mine-1"]),
        (SHOWN | {"aws_public_ip_address": "192.0.2.2"}, True, ["mine-1"]),
        (SHOWN | {"aws_public_ip_address": "192.0.2.2"}, False, []),
        ({"ec2_instance_id": "i-0"}, True, []),
    ],
)
def test_outdated(shown: dict[str, Any], readdressed: bool, names: list[str]) -> None:
    assert ec2_outdated(list(hosts().values()), {"mine-1": shown}, readdressed) == names


def test_everything_fits(wanted: dict[str, Any]) -> None:
    plan = ec2_plan(hosts(), wanted, SUBNETS, [ZONE], {})
    assert plan == {"places": {}, "zone_id": "Z1", "misfits": []}


@pytest.mark.parametrize(
    ("zone", "volume", "place"),
    [
        ("", {}, {"zone": "", "subnet": "subnet-a"}),
        ("eu-central-1b", {}, {"zone": "eu-central-1b", "subnet": "subnet-b"}),
        ("eu-central-1b", DATA, {"zone": "eu-central-1a", "subnet": "subnet-a"}),
        ("eu-central-1c", {}, {"zone": "eu-central-1c", "subnet": ""}),
    ],
)
def test_a_new_host_goes_where_its_disk_is(wanted: dict[str, Any], zone: str, volume: Any, place: dict[str, str]) -> None:
    found = hosts("mine-2")
    found["mine-2"]["volume"] = volume
    assert ec2_plan(found, wanted | {"availability_zone": zone}, SUBNETS, [ZONE], IMAGE)["places"] == {"mine-2": place}


@pytest.mark.parametrize(
    ("changes", "zones", "said"),
    [
        ({}, [], "this account has no public hosted zone example.com: set environment_dns_zone to one of its zones"),
        ({}, [ZONE | {"Config": {"PrivateZone": True}}], "this account has no public hosted zone example.com"),
        ({}, [ZONE | {"Name": "example.com.org."}], "this account has no public hosted zone example.com"),
        (
            {},
            [ZONE | {"Id": "/hostedzone/Z2"}, ZONE],
            "several hosted zones example.com: set environment_dns_zone to the id of one: Z1, Z2",
        ),
        (
            {"acme_zone_id": ""},
            [ZONE],
            "traefik_certificate: acme needs the id of the zone example.com: set environment_dns_zone to Z1",
        ),
        ({"dns_zone": "Z1", "zone_is_id": True}, [], "this account has no hosted zone Z1: set"),
        (
            {"dns_zone": "Z1", "zone_is_id": True, "domain": "db.example.org"},
            [ZONE],
            "environment_domain is db.example.org, which is not in the zone Z1, example.com: set one of them to fit the other",
        ),
        (
            {"dns_zone": "Z1", "zone_is_id": True},
            [ZONE | {"Config": {"PrivateZone": True}}],
            "the hosted zone Z1 is private, and traefik_certificate: acme needs a public one: set environment_dns_zone to its id",
        ),
    ],
)
def test_zones_that_do_not_fit(wanted: dict[str, Any], changes: dict[str, Any], zones: list[Any], said: str) -> None:
    (found,) = ec2_plan(hosts(), wanted | changes, SUBNETS, zones, {})["misfits"]
    assert said in found


@pytest.mark.parametrize(
    ("changes", "subnets", "image", "said"),
    [
        ({}, [], IMAGE, "region eu-central-1 has no default subnet: make one, or set ec2_host_subnet to another"),
        ({"subnet": "x"}, [], IMAGE, "there is no subnet x: set ec2_host_subnet to the id or the Name tag of one in eu-central-1"),
        (
            {"subnet": "x"},
            SUBNETS,
            IMAGE,
            "several subnets have the name x: set ec2_host_subnet to the id of one: subnet-a, subnet-b",
        ),
        (
            {},
            SUBNETS[1:],
            IMAGE,
            "mine-1 has to be in eu-central-1a, where its data volume vol-data is, and there is no subnet for it: set",
        ),
        ({}, SUBNETS, {}, "no image for x86_64 is found by debian: set ec2_host_image_id to one in eu-central-1"),
        (
            {"image": "packer"},
            SUBNETS,
            {},
            "no image for x86_64 is found by packer: build one (docs/packer.md), or set ec2_host_image",
        ),
        ({"image_id": "ami-0"}, SUBNETS, {}, "no image for x86_64 is found by ami-0: set ec2_host_image_id to one in eu-central-1"),
    ],
)
def test_a_new_host_for_which_there_is_no_place(
    wanted: dict[str, Any], changes: dict[str, Any], subnets: list[Any], image: dict[str, str], said: str
) -> None:
    found = ec2_hosts(["mine-1"], NOTHING | {"volumes": [DATA]}, NOTHING)
    (misfit,) = ec2_plan(found, wanted | changes, subnets, [ZONE], image)["misfits"]
    assert said in misfit


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"several": {"addresses": ["a", "b"]}}, "several addresses are of mine-1: remove, or tag otherwise, all but one of a, b"),
        (
            {"volume": {"id": "vol-2"}},
            "mine-1 (i-1) has vol-data as its data volume (/dev/sdf), and by the tags it is vol-2: tag the right one mine-1-data,",
        ),
        (
            {"instance": {"architecture": "arm64"}},
            "mine-1 (i-1) is arm64, and ec2_host_instance_type t3.large is x86_64: choose a type for arm64, or replace",
        ),
        ({"volume": {"size": 60}}, "volume vol-data of mine-1 has 60 GiB and cannot shrink: set ec2_host_data_size to 60 or more"),
        (
            {"instance": {"placement": {"availability_zone": "eu-central-1b"}}},
            "mine-1 (i-1) is not in eu-central-1a, where its data volume vol-data is: terminate that instance, or move the volume",
        ),
        (
            {"instance": {"block_device_mappings": [disk("vol-data", delete_on_termination=True)]}},
            "the data volume vol-data would be erased together with i-1, which somebody has set: turn DeleteOnTermination off",
        ),
    ],
)
def test_hosts_that_do_not_fit(wanted: dict[str, Any], changed: dict[str, Any], said: str) -> None:
    (misfit,) = ec2_plan(hosts(**changed), wanted, SUBNETS, [ZONE], {})["misfits"]
    assert said in misfit


def test_who_gets_in(wanted: dict[str, Any]) -> None:
    assert [one["port"] for one in ec2_open(wanted)] == [5432, 22, 4646, 5443]
    assert [one["port"] for one in ec2_open(wanted | {"web_port": "0"})] == [5432, 22, 4646]
    found = ec2_rules(wanted, "infinite-mine")
    assert [rule["ports"] for rule in found] == [["5432"], ["22"], ["4646"], ["5443"]]
    assert (found[1]["cidr_ip"], found[1]["cidr_ipv6"]) == (["203.0.113.7/32"], ["2001:db8::/48"])


def test_only_several_hosts_talk_to_each_other(wanted: dict[str, Any]) -> None:
    found = ec2_rules(wanted | {"names": ["a", "b"]}, "infinite-mine")[4:]
    assert [(rule["proto"], rule["ports"], rule["group_name"]) for rule in found] == [
        ("tcp", ["4646-4648"], ["infinite-mine"]),
        ("udp", ["4648"], ["infinite-mine"]),
    ]
