# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What launch.yml refuses, before it makes anything; and several hosts, in a subnet of one's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.aws import ec2_user
from tests.support.aws.ec2_user import ACCOUNT, REGION, Ec2User, Run, tags_of

if TYPE_CHECKING:
    from tests.support.aws.server import Aws

# Reading the inventory is one call, before launch.yml begins.
INVENTORY = ["ec2:DescribeInstances"]
GOOD = {
    "admin_cidrs": ["203.0.113.7/32"],
    "ec2_host_database_cidrs": ["198.51.100.0/24"],
    "traefik_certificate": "local_ca",
    "environment_dns": "none",
    "ec2_host_wait_seconds": 0,
}


@pytest.fixture
def user(aws_server: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ec2User]:
    ec2_user.pretend(monkeypatch)
    aws_server.reset()
    yield Ec2User(aws_server, tmp_path)
    aws_server.reset()


def launch(user: Ec2User, *args: str, code: int = 2, **variables: Any) -> Run:
    return user.play("launch", "-e", json.dumps(GOOD | variables), *args, code=code)


def made_nothing(user: Ec2User, run: Run) -> bool:
    return run.writes == [] and not any(user.everything().values()) and "Nothing was made" in run.out


def test_the_example_as_it_is_says_everything_that_is_missing(user: Ec2User) -> None:
    (user.home / ".ssh" / "id_ed25519.pub").unlink()
    run = user.play("launch", code=2)
    for said in (
        "admin_cidrs is empty, so nobody could reach SSH and Nomad: set it to the networks that may, such as [203.0.113.7/32]",
        "ec2_host_database_cidrs is empty, so nobody could reach the databases: set it",
        "environment_dns_zone is empty: set it",
        "environment_domain is '': set it",
        "traefik_acme_email is empty: set it",
        "there is no public key ~/.ssh/id_ed25519.pub or ~/.ssh/id_rsa.pub: make one with `ssh-keygen -t ed25519`",
    ):
        assert said in run.says
    assert run.calls == INVENTORY
    assert made_nothing(user, run)


GOOD_CIDRS = ["0.0.0.0/0", "203.0.113.7/32", "10.0.0.0/8", "::/0", "2001:db8::/32", "2001:DB8:1:2:3:4:5:6/128", "::1/128"]
BAD_CIDRS = ["10.0.0.0", "10.0.0.0/33", "10.0.0/24", "256.0.0.0/8", "01.2.3.4/32", "1.2.3.4./32", "office", ""]
BAD_CIDRS += ["2001:db8::/129", "1::2::3/64", ":::/0", "1:2:3/64", "1:2:3:4:5:6:7:8:9/64", "12345::/16", "g::/16"]


def test_networks_that_are_none_and_the_whole_internet_are_refused(user: Ec2User) -> None:
    run = launch(
        user,
        ec2_host_database_cidrs=GOOD_CIDRS + BAD_CIDRS,
        admin_cidrs=["0.0.0.0/0", "::/0", "203.0.113.7/32"],
        ec2_host_admin_from_anywhere="false",  # as `-e NAME=false` gives it
        ec2_host_instance_type="t2.large",
    )
    assert "ec2_host_instance_type is t2.large, which does not show EBS disks as NVMe" in run.says
    refused = [cidr for cidr in GOOD_CIDRS + BAD_CIDRS if f"ec2_host_database_cidrs has '{cidr}': write networks" in run.says]
    assert refused == BAD_CIDRS
    for cidr in ("0.0.0.0/0", "::/0"):
        assert f"admin_cidrs has {cidr}, the whole Internet" in run.says
    assert "set ec2_host_admin_from_anywhere: true" in run.says
    assert run.calls == INVENTORY
    assert made_nothing(user, run)


def test_names_regions_and_keys_that_do_not_fit_are_refused_all_at_once(user: Ec2User) -> None:
    run = launch(
        user,
        environment_name="other",
        ec2_host_region="eu-west-1",
        ec2_host_names=["a", "a", "B"],
        admin_cidrs="203.0.113.7/32",
        ec2_host_image="windows",
        ec2_host_instance_type="large",
        ec2_host_data_iops=100,
        ec2_host_public_key_file=str(user.home / ".ssh" / "id_ed25519"),
        environment_dns="wildcard",
        environment_domain="db.example.org",
        environment_dns_zone="example.com",
    )
    for said in (
        "infinite.aws_ec2.yml has regions 'eu-central-1' and the variables say 'eu-west-1': write the same in both",
        "infinite.aws_ec2.yml has tag:infinite_environment 'aws' and the variables say 'other'",
        'ec2_host_names is ["a", "a", "B"]',
        "admin_cidrs is no list",
        "ec2_host_image is 'windows': set it to debian, ubuntu, packer",
        "ec2_host_instance_type is 'large'",
        "ec2_host_data_iops is 100: set it to 3000 to 16000",
        "is no public key that EC2 takes",
        "environment_dns is wildcard, which leads to one host",
        "environment_domain is db.example.org, which is not in the zone example.com",
    ):
        assert said in run.says
    assert "PRIVATE KEY" not in run.out
    assert made_nothing(user, run)


def test_what_the_account_does_not_have_is_told_before_anything_is_made(user: Ec2User) -> None:
    for number in (1, 2):
        user.route53.create_hosted_zone(Name="example.com", CallerReference=str(number))
    names: dict[str, Any] = {
        "environment_domain": "db.example.com",
        "environment_dns": "wildcard",
        "environment_dns_zone": "example.com",
    }
    run = launch(user, ec2_host_subnet="databases", ec2_host_instance_type="t4g.large", **names)
    zones = sorted(zone["Id"].rpartition("/")[2] for zone in user.route53.list_hosted_zones()["HostedZones"])
    assert f"several hosted zones example.com: set environment_dns_zone to the id of one: {', '.join(zones)}" in run.says
    assert "there is no subnet databases: set ec2_host_subnet" in run.says
    assert "no image for arm64 is found by debian: set ec2_host_image_id" in run.says
    assert made_nothing(user, run)


@pytest.mark.parametrize(
    ("kind", "domain", "said"),
    [
        ("missing", "db.example.com", "this account has no hosted zone Z0123456789ABC: set environment_dns_zone"),
        ("public", "db.example.org", "environment_domain is db.example.org, which is not in the zone ZONE, example.com: set one"),
        ("private", "db.example.com", "the hosted zone ZONE is private, and traefik_certificate: acme needs a public one"),
    ],
)
def test_a_zone_by_its_id_has_to_fit_as_well(user: Ec2User, kind: str, domain: str, said: str) -> None:
    zone, more = "Z0123456789ABC", {}
    if kind == "private":
        vpc = user.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        more = {"VPC": {"VPCRegion": REGION, "VPCId": vpc}, "HostedZoneConfig": {"PrivateZone": True}}
    if kind != "missing":
        made = user.route53.create_hosted_zone(Name="example.com", CallerReference="1", **more)
        zone = made["HostedZone"]["Id"].rpartition("/")[2]
    names: dict[str, Any] = {"environment_domain": domain, "environment_dns": "wildcard", "environment_dns_zone": zone}
    run = launch(user, traefik_certificate="acme", traefik_acme_email="me@example.com", **names)
    assert said.replace("ZONE", zone) in run.says
    assert made_nothing(user, run)


@pytest.mark.slow
def test_several_hosts_in_a_named_subnet_from_the_packer_image(user: Ec2User) -> None:
    default = user.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    named = [{"ResourceType": "subnet", "Tags": [{"Key": "Name", "Value": "databases"}]}]
    place = {"VpcId": default, "CidrBlock": "172.31.200.0/24", "AvailabilityZone": f"{REGION}c"}
    subnet = user.ec2.create_subnet(**place, TagSpecifications=named)["Subnet"]["SubnetId"]
    hosts = [f"aws-{number}" for number in range(1, 5)]
    wanted: dict[str, Any] = {"ec2_host_names": hosts, "ec2_host_subnet": "databases", "ec2_host_image": "packer"}
    # A launch that ends in the middle, and the one that finishes it.
    user.aws.fail("ec2:AttachVolume", times=1, code="UnauthorizedOperation", status=403, message="not allowed")
    launch(user, **wanted)
    started = [instance["InstanceId"] for instance in user.instances()]
    launch(user, code=0, **wanted)

    instances = user.instances()
    assert [instance["InstanceId"] for instance in instances] == started
    assert [tags_of(instance)["Name"] for instance in instances] == hosts
    assert {instance["SubnetId"] for instance in instances} == {subnet}
    (image,) = {instance["ImageId"] for instance in instances}
    assert user.ec2.describe_images(ImageIds=[image])["Images"][0]["OwnerId"] == ACCOUNT
    assert "IamInstanceProfile" not in instances[0]
    assert user.everything()["roles"] == []
    (group,) = user.groups()
    members = {("tcp", 4646, 4648, group["GroupId"]), ("udp", 4648, 4648, group["GroupId"])}
    assert user.rules() == members | {
        ("tcp", 5432, 5432, "198.51.100.0/24"),
        ("tcp", 22, 22, "203.0.113.7/32"),
        ("tcp", 5443, 5443, "203.0.113.7/32"),
        ("tcp", 4646, 4646, "203.0.113.7/32"),
    }
    attached = {name: volume["Attachments"][0]["InstanceId"] for name, volume in user.volumes().items() if name.endswith("-data")}
    assert attached == {f"{tags_of(instance)['Name']}-data": instance["InstanceId"] for instance in instances}
    assert sorted(address["InstanceId"] for address in user.addresses()) == sorted(started)
    listing = user.command("ansible-inventory", "-i", str(user.inventory), "--list")
    found = json.loads(listing.out[listing.out.index("{") :])
    assert sorted(found["nomad_servers"]["hosts"]) == hosts[:3]
    assert sorted(found["nomad_clients"]["hosts"]) == hosts
