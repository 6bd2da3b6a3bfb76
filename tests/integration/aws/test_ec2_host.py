# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The life of an environment on EC2, in order: each test goes on where the one before it ended, as launches take their time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.aws import ec2_user
from tests.support.aws.ec2_user import REGION, Ec2User, Run, tags_of

if TYPE_CHECKING:
    from tests.support.aws.server import Aws

DOMAIN = "db.infinite.test"
NOTHING: dict[str, list[str]] = {
    "instances": [],
    "volumes": [],
    "addresses": [],
    "groups": [],
    "keys": [],
    "roles": [],
    "profiles": [],
}
PROFILE = f"infinite-aws-{REGION}"


@pytest.fixture(scope="module")
def user(aws_server: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ec2User]:
    with pytest.MonkeyPatch.context() as patch:
        ec2_user.pretend(patch)
        aws_server.reset()
        zone = aws_server.boto("route53").create_hosted_zone(Name="infinite.test", CallerReference="test")["HostedZone"]["Id"]
        yield Ec2User(
            aws_server,
            tmp_path_factory.mktemp("ec2"),
            environment_domain=DOMAIN,
            environment_dns_zone=zone.rpartition("/")[2],
            traefik_acme_email="me@infinite.test",
            admin_cidrs='[203.0.113.7/32, "2001:DB8:0:0::/48"]',
            ec2_host_database_cidrs="[0.0.0.0/0]",
            ec2_host_data_size="50\nec2_host_wait_seconds: 0\nec2_host_tags: {team: data}",
        )
        aws_server.reset()


@pytest.fixture(scope="module")
def launched(user: Ec2User) -> Run:
    # So it is while EC2 does not know the new profile. (amazon.aws itself tries again for another message, once.)
    user.aws.fail("ec2:RunInstances", code="InvalidParameterValue", message="Invalid IAM Instance Profile name")
    # Not the zone that would be chosen: a replacement has to come here all the same.
    return user.play("launch", "-e", f"ec2_host_availability_zone={REGION}b")


def test_check_mode_makes_nothing_and_says_what_would_be_made(user: Ec2User) -> None:
    run = user.play("launch", "--check")
    assert run.writes == []
    assert user.everything() == NOTHING
    assert f"aws-1: would be made: t3.large from debian-12-amd64-20250601-1 ({ec2_user.NEWEST_DEBIAN})" in run.says
    assert "address would be made, data volume would be made: 50 GiB" in run.says


def test_a_launch_says_what_it_made_and_what_comes_next(user: Ec2User, launched: Run) -> None:
    (instance,) = user.instances()
    (address,) = user.addresses()
    assert f"aws-1: {instance['InstanceId']}, t3.large in {REGION}b" in launched.says
    assert f"address {address['PublicIp']}, data volume {user.volumes()['aws-1-data']['VolumeId']}" in launched.says
    assert "Open: 5432 (PostgreSQL) to 0.0.0.0/0; 22 (SSH) to 203.0.113.7/32" in launched.says
    assert "site.yml" in launched.says


@pytest.mark.usefixtures("launched")
def test_the_instance_is_the_newest_official_image_and_hardened(user: Ec2User) -> None:
    (instance,) = user.instances()
    assert instance["ImageId"] == ec2_user.NEWEST_DEBIAN
    assert instance["Placement"]["AvailabilityZone"] == f"{REGION}b"
    options = instance["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1)
    protection = user.ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="disableApiTermination")
    assert protection["DisableApiTermination"]["Value"] is True
    assert [group["GroupName"] for group in instance["SecurityGroups"]] == ["infinite-aws"]
    assert instance["IamInstanceProfile"]["Arn"].endswith(f"/{PROFILE}")
    (key,) = user.ec2.describe_key_pairs()["KeyPairs"]
    assert instance["KeyName"] == key["KeyName"]


@pytest.mark.usefixtures("launched")
def test_disks_are_encrypted_and_the_data_outlives_the_instance(user: Ec2User) -> None:
    (instance,) = user.instances()
    disks = {disk["DeviceName"]: disk["Ebs"] for disk in instance["BlockDeviceMappings"]}
    assert {name: disk["DeleteOnTermination"] for name, disk in disks.items()} == {"/dev/xvda": True, "/dev/sdf": False}
    root, data = user.volumes()["aws-1-root"], user.volumes()["aws-1-data"]
    assert [disks[name]["VolumeId"] for name in ("/dev/xvda", "/dev/sdf")] == [root["VolumeId"], data["VolumeId"]]
    assert [(disk["VolumeType"], disk["Encrypted"]) for disk in (root, data)] == [("gp3", True)] * 2
    assert (root["Size"], data["Size"]) == (20, 50)
    assert (data["Iops"], data["Throughput"], data["AvailabilityZone"]) == (3000, 125, f"{REGION}b")


RULES = {("tcp", 5432, 5432, "0.0.0.0/0")} | {
    ("tcp", port, port, source) for port in (22, 4646, 5443) for source in ("203.0.113.7/32", "2001:db8::/48")
}


@pytest.mark.usefixtures("launched")
def test_the_firewall_lets_in_those_who_were_named(user: Ec2User) -> None:
    assert user.rules() == RULES


@pytest.mark.usefixtures("launched")
def test_the_profile_may_write_acmes_challenge_and_nothing_else(user: Ec2User) -> None:
    zone = user.route53.list_hosted_zones()["HostedZones"][0]["Id"].rpartition("/")[2]
    arn = f"arn:aws:route53:::hostedzone/{zone}"
    (profile,) = user.iam.list_instance_profiles()["InstanceProfiles"]
    assert [role["RoleName"] for role in profile["Roles"]] == [PROFILE]
    assert user.iam.list_attached_role_policies(RoleName=PROFILE)["AttachedPolicies"] == []
    assert user.iam.list_role_policies(RoleName=PROFILE)["PolicyNames"] == ["acme"]
    document = user.iam.get_role_policy(RoleName=PROFILE, PolicyName="acme")["PolicyDocument"]
    allowed = {one["Action"]: (one["Effect"], one["Resource"], one.get("Condition")) for one in document["Statement"]}
    only = {
        "ForAllValues:StringEquals": {
            "route53:ChangeResourceRecordSetsNormalizedRecordNames": [f"_acme-challenge.{DOMAIN}"],
            "route53:ChangeResourceRecordSetsRecordTypes": ["TXT"],
        }
    }
    assert allowed == {
        "route53:ChangeResourceRecordSets": ("Allow", arn, only),
        "route53:ListResourceRecordSets": ("Allow", arn, None),
        "route53:GetChange": ("Allow", "arn:aws:route53:::change/*", None),
    }
    trust = user.iam.get_role(RoleName=PROFILE)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert [one["Principal"] for one in trust] == [{"Service": "ec2.amazonaws.com"}]


def all_tags(user: Ec2User) -> dict[str, dict[str, str]]:
    (instance,), (address,), (group,) = user.instances(), user.addresses(), user.groups()
    (key,) = user.ec2.describe_key_pairs()["KeyPairs"]
    disks = {disk["DeviceName"]: disk["Ebs"]["VolumeId"] for disk in instance["BlockDeviceMappings"]}
    by_id = {volume["VolumeId"]: volume for volume in user.volumes().values()}
    return {
        "instance": tags_of(instance),
        "root": tags_of(by_id[disks["/dev/xvda"]]),
        "data": tags_of(by_id[disks["/dev/sdf"]]),
        "address": tags_of(address),
        "group": tags_of(group),
        "key": tags_of(key),
        "role": tags_of(user.iam.list_role_tags(RoleName=PROFILE)),
        "profile": tags_of(user.iam.get_instance_profile(InstanceProfileName=PROFILE)["InstanceProfile"]),
    }


@pytest.mark.usefixtures("launched")
def test_everything_is_tagged(user: Ec2User) -> None:
    found = all_tags(user)
    assert {(tags["infinite_environment"], tags["team"]) for tags in found.values()} == {("aws", "data")}
    assert {kind: (tags["infinite_role"], tags["Name"]) for kind, tags in found.items()} == {
        "instance": ("node", "aws-1"),
        "root": ("root", "aws-1-root"),
        "data": ("data", "aws-1-data"),
        "address": ("address", "aws-1"),
        "group": ("firewall", "infinite-aws"),
        "key": ("key", found["key"]["Name"]),
        "role": ("profile", PROFILE),
        "profile": ("profile", PROFILE),
    }


@pytest.mark.usefixtures("launched")
def test_the_inventory_and_the_beginning_of_provision_ask_aws_nothing(user: Ec2User) -> None:
    listing = user.command("ansible-inventory", "-i", str(user.inventory), "--list")
    assert listing.calls == []
    found = json.loads(listing.out[listing.out.index("{") :])
    assert found["nomad_servers"]["hosts"] == found["nomad_clients"]["hosts"] == ["aws-1"]
    assert sorted(found["infinite_hosts"]["children"]) == ["nomad_clients", "nomad_servers"]

    names = ["ansible_host", "environment_node_address", "nomad_api_host", "nomad_advertise_address", "storage_device"]
    show = "{{ " + " ~ ' ' ~ ".join([*names, "ansible_ssh_common_args"]) + " }}"
    run = user.command("ansible", "-i", str(user.inventory), "infinite_hosts", "-m", "debug", "-a", f"msg={show}")
    assert run.calls == []
    (instance,), (address,) = user.instances(), user.addresses()
    volume = user.volumes()["aws-1-data"]["VolumeId"].replace("-", "")
    device = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume}"
    expected = f"{address['PublicIp']} {address['PublicIp']} {address['PublicIp']} {instance['PrivateIpAddress']} {device}"
    assert expected in run.says
    assert f"HostKeyAlias={instance['InstanceId']}" in run.says
    assert f"{user.state}/known_hosts" in run.says

    # It fails for want of site.yml; up to there, it asks nobody.
    provision = user.play("provision", "-e", "db=x", code=2)
    assert "Environment 'aws' is not set up" in provision.says
    assert provision.calls == []

    cache = user.home / ".cache" / "infinite.databases" / "inventory"
    assert cache.stat().st_mode & 0o777 == 0o700
    assert user.state.stat().st_mode & 0o777 == 0o700
    flushed = user.command("ansible-inventory", "-i", str(user.inventory), "--graph", "--flush-cache")
    assert flushed.calls == ["ec2:DescribeInstances"]


@pytest.mark.usefixtures("launched")
def test_a_second_launch_changes_nothing_though_there_is_a_newer_image(user: Ec2User) -> None:
    ec2_user.publish(("ami-000000000000000ff", "debian-12-amd64-20260101-1", ec2_user.DEBIAN, "2026-01-01", {}))
    before = user.everything()
    run = user.play("launch")
    assert (run.changed, run.writes) == (0, [])
    assert user.everything() == before


@pytest.mark.usefixtures("launched")
def test_what_somebody_changed_is_put_right(user: Ec2User) -> None:
    before, tags = user.everything(), all_tags(user)
    (instance,), (group,), (address,) = user.instances(), user.groups(), user.addresses()
    instance_id = instance["InstanceId"]
    disks = [disk["Ebs"]["VolumeId"] for disk in instance["BlockDeviceMappings"]]
    # Those by which they are found: only the address still leads to the instance, and that to its disks.
    user.ec2.delete_tags(Resources=[instance_id, *disks], Tags=[{"Key": "infinite_environment"}])
    user.ec2.create_tags(Resources=[instance_id, disks[1]], Tags=[{"Key": "Name", "Value": "something else"}])
    user.ec2.delete_tags(Resources=[address["AllocationId"]], Tags=[{"Key": "infinite_role"}, {"Key": "team"}])
    user.ec2.create_tags(Resources=[group["GroupId"]], Tags=[{"Key": "infinite_role", "Value": "other"}])
    user.iam.untag_role(RoleName=PROFILE, TagKeys=["infinite_role"])
    anybody = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    user.ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[anybody])
    user.ec2.modify_instance_attribute(InstanceId=instance_id, DisableApiTermination={"Value": False})
    # moto forgets the options that are not given.
    rest = {"HttpEndpoint": "enabled", "HttpProtocolIpv6": "disabled", "InstanceMetadataTags": "disabled"}
    user.ec2.modify_instance_metadata_options(InstanceId=instance_id, HttpTokens="optional", HttpPutResponseHopLimit=2, **rest)
    user.ec2.stop_instances(InstanceIds=[instance_id])
    user.ec2.modify_instance_attribute(InstanceId=instance_id, InstanceType={"Value": "t3.nano"})
    wide = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    user.iam.put_role_policy(RoleName=PROFILE, PolicyName="acme", PolicyDocument=json.dumps(wide))

    run = user.play("launch")
    assert run.changed > 0
    assert user.everything() == before
    assert all_tags(user) == tags
    assert user.rules() == RULES
    assert [(one["InstanceType"], one["State"]["Name"]) for one in user.instances()] == [("t3.large", "running")]
    test_the_instance_is_the_newest_official_image_and_hardened(user)
    test_the_profile_may_write_acmes_challenge_and_nothing_else(user)


@pytest.mark.usefixtures("launched")
def test_a_replacement_gets_the_disk_the_address_and_the_zone(user: Ec2User) -> None:
    (old,), (address,), data = user.instances(), user.addresses(), user.volumes()["aws-1-data"]
    user.ec2.modify_instance_attribute(InstanceId=old["InstanceId"], DisableApiTermination={"Value": False})
    user.ec2.terminate_instances(InstanceIds=[old["InstanceId"]])

    user.play("launch", "-e", "ec2_host_data_size=60")
    (new,) = user.instances()
    assert new["InstanceId"] != old["InstanceId"]
    assert new["Placement"]["AvailabilityZone"] == data["AvailabilityZone"] == f"{REGION}b"
    # A new instance is what newer images are for.
    assert new["ImageId"] == "ami-000000000000000ff"
    kept = user.volumes()["aws-1-data"]
    assert (kept["VolumeId"], kept["Size"]) == (data["VolumeId"], 60)
    assert [(one["InstanceId"], one["Device"]) for one in kept["Attachments"]] == [(new["InstanceId"], "/dev/sdf")]
    assert [(one["PublicIp"], one["InstanceId"]) for one in user.addresses()] == [(address["PublicIp"], new["InstanceId"])]
    listing = user.command("ansible-inventory", "-i", str(user.inventory), "--host", "aws-1")
    assert new["InstanceId"] in listing.out
    assert listing.calls == []

    smaller = user.play("launch", code=2)
    assert "has 60 GiB and cannot shrink: set ec2_host_data_size to 60 or more" in smaller.says
    assert smaller.writes == []


@pytest.mark.usefixtures("launched")
def test_teardown_with_another_name_removes_nothing(user: Ec2User) -> None:
    before = user.everything()
    unasked = user.play("teardown", "-e", "confirm=production", code=2)
    assert "Nothing was removed: 'production' is not the environment's name" in unasked.says
    assert unasked.writes == []
    asked = user.tear_down("aws-1")
    assert asked.code == 2, asked.out
    assert "Nothing was removed: 'aws-1' is not the environment's name" in asked.says
    assert asked.writes == []
    assert user.everything() == before


@pytest.mark.usefixtures("launched")
def test_teardown_shows_what_it_removes_and_keeps_the_data(user: Ec2User) -> None:
    (instance,), (address,), (group,), data = user.instances(), user.addresses(), user.groups(), user.volumes()["aws-1-data"]
    user.record(f"*.{DOMAIN}", "aws")
    user.record(f"mine.{DOMAIN}", "")
    other: dict[str, Any] = {"Tags": [{"Key": "infinite_environment", "Value": "other"}], "ResourceType": "volume"}
    user.ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1, TagSpecifications=[other])

    # They are from a time when environment_dns was another.
    assert f"record *.{DOMAIN} A" in user.play("teardown", "--check", "-e", "environment_dns=none").says
    run = user.tear_down("aws")
    assert run.code == 0, run.out
    for shown in (instance["InstanceId"], address["PublicIp"], group["GroupId"], PROFILE, "*.", "key pair infinite-aws-"):
        assert shown in run.says.partition("Type the environment's name")[0]
    left = user.everything()
    assert left.pop("volumes") == sorted(volume["VolumeId"] for volume in user.volumes().values())
    assert left == {name: [] for name in NOTHING if name != "volumes"}
    assert len(user.volumes()) == 2
    kept = user.volumes()["aws-1-data"]
    assert (kept["VolumeId"], kept["State"]) == (data["VolumeId"], "available")
    assert f"Kept: data volume {data['VolumeId']} aws-1-data, 60 GiB" in run.says
    assert "-e purge=true" in run.says
    assert user.state.exists()
    assert user.records() == {f"mine.{DOMAIN}.": "A"}
    listing = user.command("ansible-inventory", "-i", str(user.inventory), "--graph")
    assert "aws-1" not in listing.out
    assert listing.calls == []


@pytest.mark.usefixtures("launched")
def test_teardown_again_says_that_nothing_is_left_but_the_data(user: Ec2User) -> None:
    run = user.play("teardown")
    assert (run.changed, run.writes) == (0, [])
    assert "Nothing to remove: the environment aws has nothing in eu-central-1 but its data" in run.says


@pytest.mark.usefixtures("launched")
def test_teardown_with_purge_erases_the_data_as_well(user: Ec2User) -> None:
    checked = user.play("teardown", "-e", "purge=true", "--check")
    assert "Would be removed" in checked.says
    assert checked.writes == []
    run = user.play("teardown", "-e", "purge=true", "-e", "confirm=aws")
    assert "DATA VOLUME" in run.says
    assert [tags_of(volume)["infinite_environment"] for volume in user.volumes().values()] == ["other"]
    assert not user.state.exists()
