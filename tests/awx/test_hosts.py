# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The job templates that are for hosts, run as AWX runs them: launch and teardown against moto's server, site on the local nodes.

The inventory comes from the project, as AWX's inventory source has it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.awx.controller import Controller
from tests.awx.jobs import Awx, Job
from tests.support.aws import ec2_user
from tests.support.aws.ec2_user import Ec2User
from tests.support.aws.server import Aws
from tests.support.environments import HERE

HOSTS = "Infinite Databases hosts"
# As docs/awx.md says.
KEY = "{{ playbook_dir }}/../inventories/mine/key.pub"


@contextmanager
def hosts_from(controller: Controller, path: str, **variables: Any) -> Iterator[None]:
    """Another inventory of the project, and other variables of AWX's."""
    source, inventory = controller.named("inventory_sources", HOSTS), controller.named("inventories", HOSTS)
    before = source["source_path"], inventory["variables"]
    source["source_path"], inventory["variables"] = path, json.dumps(json.loads(inventory["variables"]) | variables)
    try:
        yield
    finally:
        source["source_path"], inventory["variables"] = before


def changed(job: Job) -> int:
    (stats,) = [event["event_data"]["changed"] for event in job.events if event["event"] == "playbook_on_stats"]
    return sum(stats.values())


@pytest.fixture
def user(awx: Awx, tmp_path: Path) -> Iterator[Ec2User]:
    """Whose inventory is in the project."""
    with Aws() as aws, pytest.MonkeyPatch.context() as patch:
        ec2_user.pretend(patch)
        aws.reset()
        zone = aws.boto("route53").create_hosted_zone(Name="infinite.test", CallerReference="test")["HostedZone"]["Id"]
        user = Ec2User(
            aws,
            tmp_path,
            environment_domain="db.infinite.test",
            environment_dns_zone=zone.rpartition("/")[2],
            traefik_acme_email="me@infinite.test",
            admin_cidrs="[203.0.113.7/32]",
            ec2_host_database_cidrs="[0.0.0.0/0]",
            ec2_host_data_size=f"50\nec2_host_wait_seconds: 0\nec2_host_public_key_file: {KEY!r}",
        )
        mine = awx.synchronised / "project" / "inventories" / "mine"
        shutil.copytree(user.inventory, mine)
        shutil.copy(tmp_path / ".ssh" / "id_ed25519.pub", mine / "key.pub")
        awx.extra_environment_variables = {name: value for name, value in aws.environment.items() if "KEY" not in name}
        yield user
        awx.extra_environment_variables = {}
        shutil.rmtree(mine)


@pytest.mark.slow
def test_launch_and_teardown(awx: Awx, controller: Controller, user: Ec2User, tmp_path: Path) -> None:
    with hosts_from(controller, "inventories/mine", environment_state_dir=str(tmp_path / "state")):
        job = awx.launch("launch")
        assert job.successful, job.output
        (instance,) = user.instances()
        assert instance["InstanceId"] in job.said
        again = awx.launch("launch")
        assert again.successful, again.output
        assert changed(again) == 0
        refused = awx.launch("teardown", confirm="another")
        assert not refused.successful
        assert user.instances() == [instance]
        job = awx.launch("teardown", confirm="aws", purge="true")
        assert job.successful, job.output
    assert user.instances() == user.addresses() == user.groups() == []


@pytest.mark.slow
def test_site(awx: Awx, controller: Controller) -> None:
    """On nodes that have everything, perhaps by an older version: one run from another home, and the next changes nothing."""
    with hosts_from(controller, HERE.inventory, environment_state_dir=str(HERE.state)):
        jobs = [awx.launch("site") for _time in range(2)]
    for job in jobs:
        assert job.successful, job.output
        assert HERE.node in job.output
    assert changed(jobs[1]) == 0
