# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A copy of inventories/example, with an address and a domain filled in, as README.md says: a host that is reached by SSH."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from .conftest import ROOT

NAME = "infinite-example"
ADDRESS = "172.30.59.11"
FILLED_IN = {
    "group_vars/all.yml": {"environment_name: mine": f"environment_name: {NAME}", "db.example.com": f"{NAME}.localhost"},
    "hosts.yml": {"203.0.113.10": ADDRESS},
}
# What makes the machine, which a reader of the README has.
MACHINE: dict[str, Any] = {
    "environment_name": NAME,
    "ansible_connection": "community.docker.docker",
    "ansible_become": False,
    "local_node_network": NAME,
    "local_node_subnet": "172.30.59.0/24",
    "local_node_address": ADDRESS,
    "local_node_port": "",
    "local_node_web_port": "",
}
ADMIN = """
set -e
apt-get update -qq
apt-get install -qq -y --no-install-recommends sudo
useradd --create-home admin
echo 'admin ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/admin
mkdir ~admin/.ssh
cat > ~admin/.ssh/authorized_keys
"""

pytestmark = pytest.mark.slow


def command(*arguments: str, stdin: str = "") -> str:
    done = subprocess.run(arguments, cwd=ROOT, check=False, capture_output=True, text=True, input=stdin, timeout=3000)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture
def key(tmp_path: Path) -> Iterator[Path]:
    """What opens the machine to its user."""
    if "NOMAD_ADDR" in os.environ:
        pytest.skip("makes an environment of its own: unset NOMAD_ADDR")
    machine = tmp_path / "machine.yml"
    group: dict[str, Any] = {"hosts": {f"{NAME}-1": {}}}
    machine.write_text(
        yaml.safe_dump(
            {
                "all": {
                    "vars": MACHINE,
                    "children": {"infinite_hosts": {"children": {"nomad_servers": group, "nomad_clients": group}}},
                }
            }
        )
    )
    playbook = ("ansible-playbook", "-i", str(machine))
    command(*playbook, "playbooks/local_down.yml")
    try:
        command(*playbook, "playbooks/local_up.yml")
        found = tmp_path / "key"
        command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(found))
        command("docker", "exec", "-i", f"{NAME}-1", "sh", "-c", ADMIN, stdin=found.with_suffix(".pub").read_text())
        yield found
    finally:
        command(*playbook, "playbooks/local_down.yml")


@pytest.fixture
def run(key: Path, tmp_path: Path) -> Callable[..., str]:
    mine = tmp_path / "inventories" / "mine"
    shutil.copytree(ROOT / "inventories" / "example", mine)
    for file, values in FILLED_IN.items():
        text = (mine / file).read_text()
        for example, own in values.items():
            assert example in text
            text = text.replace(example, own)
        (mine / file).write_text(text)
    # Who has logged in by hand needs none of these.
    known = f"-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={tmp_path / 'known_hosts'}"
    ssh = ("--private-key", str(key), "--ssh-common-args", known)

    def run(*arguments: str) -> str:
        return command("ansible-playbook", "-i", str(mine), *ssh, *arguments)

    return run


def test_the_example_for_machines_reached_by_ssh(run: Callable[..., str]) -> None:
    # One version of PostgreSQL is enough here, and sooner there.
    run("site.yml", "-e", '{"postgres_image_versions": [17], "database_pool_size": {"17": 1}}')
    run("provision.yml", "-e", "db=orders")
    url = run("playbooks/url.yml", "-e", "db=orders", "-e", "masked=false")
    found = next(word for word in url.replace('"', " ").split() if word.startswith("postgresql://"))
    assert f"@orders.{NAME}.localhost:5432/" in found
    with psycopg.connect(found) as connection:
        assert connection.execute("select current_user").fetchone() == ("orders",)
