# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbooks of docs/reuse.md, run as they are there by somebody who has nothing but the collection's tarball."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import requests
import yaml

from tests.support.environments import HERE

ROOT = Path(__file__).resolve().parents[2]

if TYPE_CHECKING:
    from tests.support.aws.server import Aws

PAGE = (ROOT / "docs" / "reuse.md").read_text()
BLOCKS = dict(re.findall(r"^## (.*?)\n.*?^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
NODE, ADDRESS, NODES = "infinite-reuse-1", "172.30.54.51", "nodes.yml"
NAMED = ("-e", f"environment_name={HERE.name}")
INVENTORY = {
    "all": {
        "vars": {
            "environment_name": "reuse",
            "local_node_network": "infinite-molecule",
            "local_node_subnet": "172.30.54.0/24",
            "local_node_port": "",
        },
        "children": {
            "infinite_hosts": {
                "hosts": {
                    NODE: {
                        "local_node_address": ADDRESS,
                        "ansible_connection": "community.docker.docker",
                        "ansible_python_interpreter": "/usr/bin/python3",
                        "ansible_become": False,
                    }
                }
            }
        },
    }
}


@dataclass
class Somebody:
    """A directory with an inventory, and the collection where ansible-galaxy has put it."""

    home: Path
    environment: dict[str, str]

    def run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.home, env=self.environment, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def play(self, block: str, *options: str) -> str:
        (self.home / "playbook.yml").write_text(BLOCKS[block])
        return self.run("ansible-playbook", "playbook.yml", *options)


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    from tests.support.aws.server import Aws

    with Aws() as server:
        yield server


@pytest.fixture(scope="module")
def somebody(tmp_path_factory: pytest.TempPathFactory, aws: Aws) -> Somebody:
    home = tmp_path_factory.mktemp("somebody")
    environment = {name: value for name, value in aws.environ(os.environ).items() if not name.startswith("ANSIBLE_")}
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(home / "collections")
    who = Somebody(home, environment)
    (home / NODES).write_text(yaml.safe_dump(INVENTORY))
    who.run("ansible-galaxy", "collection", "build", "--output-path", str(home), str(ROOT))
    (tarball,) = home.glob("infinite-databases-*.tar.gz")
    # Those that it depends on are in the package ansible.
    who.run("ansible-galaxy", "collection", "install", "--no-deps", "--offline", tarball.name)
    return who


@pytest.fixture(scope="module")
def node(somebody: Somebody) -> Iterator[Callable[..., str]]:
    """A bare Debian, and a way to run commands in it."""
    # One node installs Docker on a bare machine, and not two at once.
    HERE.make()
    somebody.run("ansible-playbook", "-i", NODES, "infinite.databases.local_up")
    yield lambda *command: somebody.run("docker", "exec", NODE, *command)
    somebody.run("ansible-playbook", "-i", NODES, "infinite.databases.local_down")


@pytest.fixture(scope="module")
def environment(somebody: Somebody) -> Iterator[dict[str, str]]:
    """The connection of the tests' environment, as Nomad's own command takes it."""
    HERE.make()
    connection: dict[str, str] = yaml.safe_load((HERE.state / "connection.yml").read_text())
    somebody.environment |= {
        "NOMAD_ADDR": connection["nomad_address"],
        "NOMAD_TOKEN": Path(connection["nomad_token_file"]).read_text().strip(),
        "NOMAD_CACERT": connection["nomad_ca_cert"],
    }
    yield connection
    somebody.run("ansible-playbook", "infinite.databases.purge", "-e", f"db=reuse-orders confirm={HERE.name}", *NAMED)


def test_docker(somebody: Somebody, node: Callable[..., str]) -> None:
    somebody.play("Docker on a host, configured for databases", "-i", NODES)
    assert json.loads(node("docker", "info", "--format", "{{json .LiveRestoreEnabled}}")) is True


def test_storage(somebody: Somebody, node: Callable[..., str]) -> None:
    somebody.play("A file system with copy-on-write clones, in a loop file or on a disk", "-i", NODES)
    node("sh", "-ec", "cd /srv/databases; echo kept > one; cp --reflink=always one two; grep kept two")


def test_hosts_file(somebody: Somebody, node: Callable[..., str]) -> None:
    somebody.play("Names in a host's hosts file, beside other lines", "-i", NODES)
    assert node("getent", "hosts", "orders.example.test").split() == ["203.0.113.10", "orders.example.test"]
    assert NODE in node("getent", "hosts", NODE)


def test_route53(somebody: Somebody, aws: Aws) -> None:
    import boto3

    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "eu-central-1"}
    client = boto3.client("route53", endpoint_url=aws.endpoint, **keys)
    zone = client.create_hosted_zone(Name="example.test", CallerReference="reuse")["HostedZone"]["Id"]
    somebody.play("Records in Route53, without touching those of others")
    records = client.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert [record["ResourceRecords"] for record in records if record["Type"] == "A"] == [[{"Value": "203.0.113.10"}]]


def test_nomad(somebody: Somebody, environment: dict[str, str]) -> None:
    url = f"{environment['nomad_address']}/v1/var/nomad/jobs/reuse?namespace=databases"
    header = {"X-Nomad-Token": somebody.environment["NOMAD_TOKEN"]}
    somebody.play("A Nomad variable that only one job may read")
    try:
        answer = requests.get(url, headers=header, verify=environment["nomad_ca_cert"], timeout=10)
        assert answer.json()["Items"] == {"color": "blue"}
    finally:
        requests.delete(url, headers=header, verify=environment["nomad_ca_cert"], timeout=10)


def test_database(somebody: Somebody, environment: dict[str, str]) -> None:
    somebody.play("A database, in an environment that is set up", *NAMED)
    somebody.play("A database's URL, for a task of yours", *NAMED)
    shown = somebody.run("ansible-playbook", "infinite.databases.url", "-e", "db=reuse-orders", *NAMED)
    (url,) = re.findall(r"postgres(?:ql)?://[^\s\"']+", shown)
    with psycopg.connect(url) as connection:
        assert connection.execute("select count(*) from reused").fetchone() == (0,)


def test_every_block_is_tested() -> None:
    assert BLOCKS
    assert len(BLOCKS) == PAGE.count("```yaml"), "each block has a heading of its own"
    assert [block for block in BLOCKS if f'"{block}"' not in Path(__file__).read_text()] == []


def test_it_is_the_tarball_that_ran(somebody: Somebody) -> None:
    listed = json.loads(somebody.run("ansible-galaxy", "collection", "list", "infinite.databases", "--format", "json"))
    assert next(path for path in listed if "infinite.databases" in listed[path]).startswith(str(somebody.home))
