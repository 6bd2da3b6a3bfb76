# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The template by the real packer: valid for both systems, and what it makes in an AWS of the tests' own.

What it installs on a machine and cleans there is tested by the Molecule scenario `aws`, over SSH.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.support import packages

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "packer" / "infinite-databases.pkr.hcl"
DEBIAN, CANONICAL = "136693071363", "099720109477"
IMAGES = [
    # (owner, name, created, architecture): the newest of the owner's is the one.
    (DEBIAN, "debian-12-amd64-20260101-1", "2026-01-01", "x86_64"),
    (DEBIAN, "debian-12-amd64-20261101-2", "2026-11-01", "x86_64"),
    (DEBIAN, "debian-12-arm64-20261102-2", "2026-11-02", "arm64"),
    (DEBIAN, "debian-13-amd64-20261103-2", "2026-11-03", "x86_64"),
    ("666666666666", "debian-12-amd64-20261104-3", "2026-11-04", "x86_64"),
    (CANONICAL, "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20261101", "2026-11-01", "x86_64"),
    (CANONICAL, "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20261101", "2026-11-01", "arm64"),
]
# By rank in the list above.
NEWEST = {("debian-12", "x86_64"): 1, ("debian-12", "arm64"): 2, ("ubuntu-24.04", "x86_64"): 5, ("ubuntu-24.04", "arm64"): 6}
Packer = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """No account, no region, and no way to any API; packer itself must not ask for its latest version either."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_") and not name.endswith("CA_BUNDLE")}
    return kept | {"CHECKPOINT_DISABLE": "1", "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(scope="session")
def is_debians(environment: dict[str, str]) -> bool:
    """Whether this Packer has its plugins built in."""
    packages.install({"packer": "packer"})
    version = subprocess.run(["packer", "version"], check=True, capture_output=True, text=True, env=environment).stdout
    return version.startswith("Packer v1.6.")


@pytest.fixture(scope="session")
def packer(environment: dict[str, str], is_debians: bool) -> Packer:
    if not is_debians:
        subprocess.run(["packer", "init", str(ROOT / "packer")], check=True, env=environment)

    def run(*args: str | Path, **extra: str) -> subprocess.CompletedProcess[str]:
        env = environment | {"HTTPS_PROXY": "http://127.0.0.1:9"} | extra
        done = subprocess.run(["packer", *args], cwd=ROOT, env=env, check=False, capture_output=True, text=True, timeout=300)
        # Errors are wrapped at 80 columns, and are on the one or the other output.
        done.stdout = " ".join((done.stdout + done.stderr).split())
        return done

    return run


@pytest.mark.parametrize(("system", "architecture"), NEWEST)
def test_valid_without_an_account(packer: Packer, system: str, architecture: str) -> None:
    variables = ["-var", "region=eu-central-1", "-var", f"os={system}", "-var", f"architecture={architecture}"]
    done = packer("validate", "-only=amazon-ebs.image", *variables, TEMPLATE)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("source", "variables", "message"),
    [
        ("amazon-ebs.image", {}, "Name the region: -var region=eu-central-1, or AWS_REGION"),
        ("amazon-ebs.image", {"region": "eu-central-1", "os": "debian-11"}, "The os must be debian-12 or ubuntu-24.04."),
        ("amazon-ebs.image", {"region": "eu-central-1", "architecture": "i386"}, "The architecture must be x86_64 or arm64."),
        ("amazon-ebs.image", {"region": "eu-central-1", "colour": "blue"}, 'A "colour" variable was passed in the command line'),
        ("null.host", {"region": "none"}, "a Host must be specified"),
    ],
    ids=["no region", "unknown os", "unknown architecture", "unknown variable", "no host"],
)
def test_refused_with_the_reason(packer: Packer, source: str, variables: dict[str, str], message: str) -> None:
    options = [f"-var={name}={value}" for name, value in variables.items()]
    done = packer("validate", f"-only={source}", *options, TEMPLATE)
    assert done.returncode != 0
    assert message in done.stdout


def test_region_of_the_environment(packer: Packer) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        assert packer("validate", "-only=amazon-ebs.image", TEMPLATE, **{name: "eu-central-1"}).returncode == 0


def test_formatted(packer: Packer, tmp_path: Path) -> None:
    for path in (ROOT / "packer").glob("*.hcl"):
        done = packer("fmt", "-check", "-diff", path)
        assert done.returncode == 0, done.stdout
    (tmp_path / "crooked.pkr.hcl").write_text('variable   "x" {\n default="y"\n}\n')
    assert packer("fmt", "-check", tmp_path / "crooked.pkr.hcl").returncode != 0


def test_every_variable_is_described(packer: Packer) -> None:
    """In the template and in docs/packer.md."""
    shown = packer("inspect", "-var=region=eu-central-1", TEMPLATE).stdout
    variables = sorted(set(re.findall(r"\bvar\.(\w+):", shown)))
    assert len(variables) > 5
    template, documentation = TEMPLATE.read_text(), (ROOT / "docs" / "packer.md").read_text()
    for name in variables:
        assert re.search(rf'variable "{name}" {{\n  description = ".+"\n', template), name
        assert f"`{name}`" in documentation, name


def test_playbook_finds_its_roles(environment: dict[str, str]) -> None:
    command = ["ansible-playbook", "--syntax-check", "-i", "default,", "packer/image.yml"]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def aws(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A process of its own, because it has other images than moto's."""
    images = [
        {"ami_id": f"ami-{rank:017}", "owner_id": owner, "name": name, "creation_date": f"{created}T00:00:00.000Z"}
        | {"architecture": architecture, "root_device_name": "/dev/xvda" if owner != CANONICAL else "/dev/sda1"}
        | {"state": "available", "public": True, "root_device_type": "ebs", "virtualization_type": "hvm", "image_type": "machine"}
        | {"image_location": name, "description": name, "hypervisor": "xen", "platform": None, "sriov": "simple"}
        for rank, (owner, name, created, architecture) in enumerate(IMAGES)
    ]
    path = tmp_path_factory.mktemp("aws") / "images.json"
    path.write_text(json.dumps(images))
    credentials = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "eu-central-1"}
    env = environment | {"MOTO_AMIS_PATH": str(path)}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.aws"], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            yield credentials | {"AWS_ENDPOINT_URL": server.stdout.readline().strip()}
        finally:
            server.terminate()


# Packer runs it while the instance is there.
LOOK = """
import boto3, json, sys
ec2 = boto3.client("ec2", endpoint_url=sys.argv[1])
seen = [ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}]), ec2.describe_volumes()]
json.dump(seen, open(sys.argv[2], "w"), default=str)
"""


def at_moto(endpoint: str, directory: Path) -> Path:
    """The template, but for the steps on the instance: nothing answers SSH at moto's addresses."""
    (directory / "look.py").write_text(LOOK)
    look = json.dumps(shlex.join([sys.executable, str(directory / "look.py"), endpoint, str(directory / "seen.json")]))
    template, found, _steps = TEMPLATE.read_text().partition('  provisioner "')
    user = "  ssh_username            = local.base.user\n"
    assert found
    assert user in template
    template = template.replace(user, f'  communicator = "none"\n  custom_endpoint_ec2 = "{endpoint}"\n')
    path = directory / TEMPLATE.name
    path.write_text(f'{template}  provisioner "shell-local" {{\n    inline = [{look}]\n  }}\n}}\n')
    return path


def tags_of(thing: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in thing["Tags"]}


@pytest.mark.parametrize(("system", "architecture"), [("debian-12", "x86_64"), ("ubuntu-24.04", "arm64")])
def test_what_is_made_in_the_account(
    packer: Packer, is_debians: bool, aws: dict[str, str], tmp_path: Path, system: str, architecture: str
) -> None:
    if not is_debians:
        pytest.skip("moto cannot tag a snapshot in CreateImage, as later plugins do")
    variables = [f"-var=os={system}", f"-var=architecture={architecture}", "-var=disk_size_gb=9"]
    template = at_moto(aws["AWS_ENDPOINT_URL"], tmp_path)
    done = packer("build", "-color=false", "-only=amazon-ebs.image", *variables, template, **aws)
    assert done.returncode == 0, done.stdout

    base = NEWEST[system, architecture]
    seen, volumes = json.loads((tmp_path / "seen.json").read_text())
    (instance,) = seen["Reservations"][0]["Instances"]
    assert instance["ImageId"] == f"ami-{base:017}"
    assert instance["InstanceType"] == {"x86_64": "t3.large", "arm64": "t4g.large"}[architecture]
    (volume,) = volumes["Volumes"]
    assert {"VolumeType": "gp3", "Encrypted": True, "Size": 9}.items() <= volume.items()

    credentials = {name.lower(): value for name, value in aws.items() if name.startswith(("AWS_ACCESS", "AWS_SECRET"))}
    ec2 = boto3.client("ec2", "eu-central-1", endpoint_url=aws["AWS_ENDPOINT_URL"], config=Config(proxies={}), **credentials)
    wanted = {"Name": f"infinite-databases-{system}", "infinite_image": "infinite-databases", "infinite_os": system}
    (image,) = ec2.describe_images(Owners=["self"], Filters=[{"Name": "tag:infinite_os", "Values": [system]}])["Images"]
    assert re.fullmatch(rf"infinite-databases-{system}-\d{{8}}-\d{{6}}", image["Name"])
    assert tags_of(image) == wanted | {"infinite_base": IMAGES[base][1]}
    (snapshot,) = ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "tag:infinite_os", "Values": [system]}])["Snapshots"]
    assert wanted.items() <= tags_of(snapshot).items()

    running = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running", "stopped"]}])
    assert running["Reservations"] == []
    assert [group["GroupName"] for group in ec2.describe_security_groups()["SecurityGroups"]] == ["default"]
    assert ec2.describe_key_pairs()["KeyPairs"] == []
