# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What launch.yml and teardown.yml refuse of an environment that exists, and in which state they leave it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.aws import ec2_user
from tests.support.aws.ec2_user import REGION, Ec2User

if TYPE_CHECKING:
    from tests.support.aws.server import Aws

pytestmark = pytest.mark.slow
ENVIRONMENT = {"Key": "infinite_environment", "Value": "aws"}


@pytest.fixture(scope="module")
def user(aws_server: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ec2User]:
    """With one host."""
    with pytest.MonkeyPatch.context() as patch:
        ec2_user.pretend(patch)
        aws_server.reset()
        user = Ec2User(
            aws_server,
            tmp_path_factory.mktemp("ec2"),
            environment_dns="none",
            traefik_certificate="local_ca",
            admin_cidrs="[203.0.113.7/32]",
            ec2_host_database_cidrs="[0.0.0.0/0]",
            ec2_host_data_size="50\nec2_host_wait_seconds: 0",
        )
        user.play("launch")
        yield user
        aws_server.reset()


def test_a_type_that_ec2_refuses_leaves_the_instance_running(user: Ec2User) -> None:
    user.aws.fail("ec2:ModifyInstanceAttribute", code="InvalidParameterValue", message="Invalid value 't3.larg' for InstanceType")
    run = user.play("launch", "-e", "ec2_host_instance_type=t3.larg", code=2)
    assert "aws-1: Could not apply change" in run.says.partition("Say what went wrong")[2]
    assert "ec2:StopInstances" in run.calls
    assert [(one["InstanceType"], one["State"]["Name"]) for one in user.instances()] == [("t3.large", "running")]


def test_a_type_of_another_architecture_is_refused(user: Ec2User) -> None:
    (instance,) = user.instances()
    run = user.play("launch", "-e", "ec2_host_instance_type=t4g.large", code=2)
    assert f"aws-1 ({instance['InstanceId']}) is x86_64, and ec2_host_instance_type t4g.large is arm64: choose" in run.says
    assert run.writes == []


def test_of_two_volumes_or_addresses_none_is_chosen(user: Ec2User) -> None:
    data, first = user.volumes()["aws-1-data"]["VolumeId"], user.addresses()[0]["PublicIp"]
    tags = [ENVIRONMENT, {"Key": "Name", "Value": "aws-1-data"}]
    other = user.ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=50, VolumeType="gp3")["VolumeId"]
    address = user.ec2.allocate_address(Domain="vpc")
    user.ec2.create_tags(Resources=[other], Tags=tags)
    user.ec2.create_tags(Resources=[address["AllocationId"]], Tags=[ENVIRONMENT, {"Key": "Name", "Value": "aws-1"}])
    run = user.play("launch", code=2)
    for what, ids in (("data volumes", {data, other}), ("addresses", {first, address["PublicIp"]})):
        told = run.says.partition(f"several {what} are of aws-1: remove, or tag otherwise, all but one of ")[2]
        assert {told.split()[0].rstrip(","), told.split()[1].rstrip('",')} == ids
    assert run.writes == []

    user.ec2.delete_tags(Resources=[data], Tags=tags[1:])
    user.ec2.release_address(AllocationId=address["AllocationId"])
    run = user.play("launch", code=2)
    assert f"has {data} as its data volume (/dev/sdf), and by the tags it is {other}: tag the right one aws-1-data" in run.says
    assert run.writes == []
    user.ec2.delete_volume(VolumeId=other)
    user.ec2.create_tags(Resources=[data], Tags=tags)


def test_an_inventory_that_shows_something_old_is_told(user: Ec2User) -> None:
    """What EC2 says a moment too late is written into the inventory here."""
    old = "hostvars_prefix: aws_\ncompose: {aws_instance_id: \"'i-0'\"}"
    user.edit("infinite.aws_ec2.yml", "hostvars_prefix: aws_", old)
    run = user.play("launch", code=2)
    assert "shows another instance, address or data volume of aws-1 than there is: run playbooks/launch.yml again" in run.says
    assert run.says.count("TASK [infinite.databases.ec2_host : Wait a little]") == 5
    user.edit("infinite.aws_ec2.yml", r"hostvars_prefix: aws_\ncompose: .*", "hostvars_prefix: aws_")
    assert user.play("launch").changed == 0


def test_purge_where_nothing_is_found_keeps_the_ca_and_the_tokens(user: Ec2User) -> None:
    run = user.play("teardown", "-e", "purge=true", "-e", "confirm=aws", "-e", "ec2_host_region=us-east-1")
    assert f"Kept: {user.state}: no instance and no data volume is here" in run.says
    assert (run.changed, run.writes) == (0, [])
    assert user.state.exists()


def test_teardown_of_what_has_lost_its_tag_removes_nothing(user: Ec2User) -> None:
    before = user.everything()
    (instance,), data = user.instances(), user.volumes()["aws-1-data"]["VolumeId"]
    for lost in (instance["InstanceId"], data):
        user.ec2.delete_tags(Resources=[lost], Tags=[ENVIRONMENT])
        run = user.play("teardown", "-e", "purge=true", "-e", "confirm=aws", code=2)
        assert f"Nothing was removed: {lost}, attached to what the environment has, without its tag" in run.says
        assert run.writes == []
        user.ec2.create_tags(Resources=[lost], Tags=[ENVIRONMENT])
    assert user.everything() == before
    user.play("teardown", "-e", "purge=true", "-e", "confirm=aws")
    assert not user.state.exists()
    assert not any(user.everything().values())
