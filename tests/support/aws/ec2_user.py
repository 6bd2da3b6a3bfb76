# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A user who has an AWS account (of moto), a hosted zone and a copy of inventories/aws, and nothing else."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.aws.server import Aws

ROOT = Path(__file__).resolve().parents[3]
REGION = "eu-central-1"
ACCOUNT = "123456789012"
DEBIAN, UBUNTU = "136693071363", "099720109477"
IMAGES = [
    ("ami-00000000000000001", "debian-12-amd64-20250101-1", DEBIAN, "2025-01-01", {}),
    ("ami-00000000000000002", "debian-12-amd64-20250601-1", DEBIAN, "2025-06-01", {}),
    ("ami-00000000000000003", "debian-12-amd64-20250301-1", DEBIAN, "2025-03-01", {}),
    ("ami-00000000000000004", "debian-12-backports-amd64-20250901-1", DEBIAN, "2025-09-01", {}),
    ("ami-00000000000000005", "debian-12-amd64-20251001-1", "999999999999", "2025-10-01", {}),
    ("ami-00000000000000006", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20250601", UBUNTU, "2025-06-01", {}),
    ("ami-00000000000000007", "mine", ACCOUNT, "2025-06-01", {"infinite_image": "infinite-databases"}),
]
NEWEST_DEBIAN = "ami-00000000000000002"


def describe(image: tuple[str, str, str, str, dict[str, str]]) -> dict[str, Any]:
    ami_id, name, owner, date, tags = image
    return {
        "ami_id": ami_id,
        "name": name,
        "owner_id": owner,
        "creation_date": f"{date}T00:00:00.000Z",
        "tags": tags,
        "root_device_name": "/dev/xvda",
        "root_device_type": "ebs",
        "architecture": "x86_64",
        "virtualization_type": "hvm",
        "public": True,
    }


def pretend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add what moto lacks: these images, and an empty text as the snapshot of volumes that are made from none."""
    from moto.ec2.models import amis
    from moto.ec2.models.elastic_block_store import Volume

    original = Volume.__init__

    def with_snapshot(self: Any, *args: Any, **keywords: Any) -> None:
        original(self, *args, **keywords)
        self.snapshot_id = self.snapshot_id or ""

    monkeypatch.setattr(Volume, "__init__", with_snapshot)
    monkeypatch.setattr(amis, "AMIS", [describe(image) for image in IMAGES])


def publish(image: tuple[str, str, str, str, dict[str, str]]) -> None:
    """Publish a new image while the account is in use."""
    from moto.core.parse import default_timestamp_parser
    from moto.ec2.models import ec2_backends
    from moto.ec2.models.amis import Ami

    backend = ec2_backends[ACCOUNT][REGION]
    described = describe(image)
    backend.amis[image[0]] = Ami(backend, **described | {"creation_date": default_timestamp_parser(described["creation_date"])})


class Run:
    """A finished ansible-playbook."""

    def __init__(self, done: subprocess.CompletedProcess[str], calls: list[str]) -> None:
        self.code, self.out, self.calls = done.returncode, done.stdout + done.stderr, calls

    @property
    def changed(self) -> int:
        """Return the number of changes in the recap."""
        return int(self.out.rpartition("changed=")[2].split()[0])

    @property
    def says(self) -> str:
        """Return the output as one line, because the callback folds long lines."""
        return re.sub(r"\s+", " ", self.out)

    @property
    def writes(self) -> list[str]:
        reading = re.compile(r"\w+:(Describe|Get|List)")
        return [call for call in self.calls if not reading.match(call)]


class Ec2User:
    def __init__(self, aws: Aws, home: Path, **edited: str) -> None:
        """``edited`` has the values that this user changes in group_vars/all.yml."""
        self.aws, self.home = aws, home
        self.inventory = home / "inventories" / "mine"
        self.state = home / ".local" / "state" / "infinite.databases" / "aws"
        shutil.copytree(ROOT / "inventories" / "aws", self.inventory)
        for name, value in edited.items():
            self.edit("group_vars/all.yml", rf"(?m)^{name}: .*$", f"{name}: {value}")
        (home / ".ssh").mkdir()
        self.keygen()
        self.ec2, self.iam, self.route53 = aws.boto("ec2"), aws.boto("iam"), aws.boto("route53")
        self.environ = {
            **{name: value for name, value in aws.environ(os.environ).items() if not name.startswith(("ANSIBLE_", "XDG_"))},
            "HOME": str(home),
            "ANSIBLE_NOCOLOR": "1",
        }

    def keygen(self) -> None:
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.home / ".ssh" / "id_ed25519")]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    def edit(self, file: str, pattern: str, replacement: str) -> None:
        path = self.inventory / file
        text, times = re.subn(pattern, lambda _: replacement, path.read_text())
        assert times == 1, f"{file} has {pattern} {times} times"
        path.write_text(text)

    def command(self, *command: str, code: int | None = 0) -> Run:
        self.aws.clear()
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environ,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )
        run = Run(done, self.aws.calls)
        if code is not None and run.code != code:
            pytest.fail(f"{' '.join(command)} exited with {run.code}:\n{run.out}")
        return run

    def play(self, verb: str, *args: str, code: int | None = 0) -> Run:
        return self.command("ansible-playbook", "-i", str(self.inventory), f"playbooks/{verb}.yml", *args, code=code)

    def instances(self) -> list[dict[str, Any]]:
        """Return the instances that are not terminated, sorted by name."""
        found = [one for reservation in self.ec2.describe_instances()["Reservations"] for one in reservation["Instances"]]
        alive = [one for one in found if one["State"]["Name"] not in ("shutting-down", "terminated")]
        return sorted(alive, key=lambda one: tags_of(one).get("Name", ""))

    def volumes(self) -> dict[str, dict[str, Any]]:
        """Return the volumes by their Name tag."""
        return {tags_of(one).get("Name", one["VolumeId"]): one for one in self.ec2.describe_volumes()["Volumes"]}

    def addresses(self) -> list[dict[str, Any]]:
        return list(self.ec2.describe_addresses()["Addresses"])

    def groups(self) -> list[dict[str, Any]]:
        return [one for one in self.ec2.describe_security_groups()["SecurityGroups"] if one["GroupName"] != "default"]

    def rules(self) -> set[tuple[str, int, int, str]]:
        """Return what the one security group lets in: protocol, first port, last port, source."""
        (group,) = self.groups()
        return {
            (rule["IpProtocol"], rule["FromPort"], rule["ToPort"], source)
            for rule in group["IpPermissions"]
            for source in [
                *(each["CidrIp"] for each in rule.get("IpRanges", [])),
                *(each["CidrIpv6"] for each in rule.get("Ipv6Ranges", [])),
                *(each["GroupId"] for each in rule.get("UserIdGroupPairs", [])),
            ]
        }

    def everything(self) -> dict[str, Any]:
        """Return the ids of everything that launch.yml makes."""
        return {
            "instances": [one["InstanceId"] for one in self.instances()],
            "volumes": sorted(one["VolumeId"] for one in self.volumes().values()),
            "addresses": [one["PublicIp"] for one in self.addresses()],
            "groups": [one["GroupId"] for one in self.groups()],
            "keys": [one["KeyName"] for one in self.ec2.describe_key_pairs()["KeyPairs"]],
            "roles": [one["RoleName"] for one in self.iam.list_roles()["Roles"]],
            "profiles": [one["InstanceProfileName"] for one in self.iam.list_instance_profiles()["InstanceProfiles"]],
        }

    def records(self) -> dict[str, str]:
        zone = self.route53.list_hosted_zones()["HostedZones"][0]["Id"]
        sets = self.route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        return {each["Name"].replace("\\052", "*"): each["Type"] for each in sets if each["Type"] not in ("NS", "SOA")}

    def record(self, name: str, owner: str) -> None:
        options = {"zone": "infinite.test", "records": [{"name": name, "type": "A", "values": ["192.0.2.1"]}], "owner": owner}
        self.command("ansible", "localhost", "-m", "infinite.databases.route53_record", "-a", json.dumps(options))

    def tear_down(self, answer: str) -> Run:
        """Run teardown.yml in a terminal, and type the answer."""
        self.aws.clear()
        command = ["ansible-playbook", "-i", str(self.inventory), "playbooks/teardown.yml"]
        # The terminal has to be the process's controlling terminal. A pipe or a mere pty is not.
        process, terminal = pty.fork()
        if process == 0:
            os.chdir(ROOT)
            os.execvpe(command[0], command, self.environ)  # noqa: S606
        out, asked = b"", False
        try:
            while chunk := os.read(terminal, 4096):
                out += chunk
                if not asked and b"to remove all of this:" in out:
                    asked = True
                    # Ansible writes the prompt before it switches the terminal to single keys.
                    time.sleep(1)
                    os.write(terminal, f"{answer}\r".encode())
        except OSError:
            pass  # Linux says in this way that the other end is closed.
        os.close(terminal)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        return Run(subprocess.CompletedProcess(command, code, out.decode(), ""), self.aws.calls)


def tags_of(thing: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags", [])}
