# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What site.yml writes down of an environment, and which it refuses, on a controller whose hosts nobody has to reach."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FOUND = {"storage_quota": True, "postgres_image_names": {"17": "an-image"}, "postgres_image_extensions": {"17": ["vector"]}}

Play = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Run an entry point of the role on localhost; in the inventory are db1, a server of Nomad, and db2, and both run databases."""
    (tmp_path / "state").mkdir()

    def run(
        entry_point: str,
        *args: str,
        db1: dict[str, Any] | None = None,
        db2: dict[str, Any] | None = None,
        servers: tuple[str, ...] = ("db1",),
        **variables: Any,
    ) -> subprocess.CompletedProcess[str]:
        hosts = {"db1": {"nomad_advertise_address": "192.0.2.1"} | (db1 or {}), "db2": db2 or {}}
        groups = {"nomad_servers": {"hosts": {name: {} for name in servers}}, "nomad_clients": {"hosts": hosts}}
        state = str(tmp_path / "state")
        where = {
            "environment_state_dir": state,
            "environment_public_dir": state,
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        }
        # Only what is in the inventory can be what a run is limited to.
        localhost = {"localhost": {"ansible_connection": "local"}}
        inventory = {"all": {"vars": where | variables, "hosts": localhost, "children": {"infinite_hosts": {"children": groups}}}}
        (tmp_path / "hosts.yml").write_text(json.dumps(inventory))
        role = {"name": "infinite.databases.environment", "tasks_from": entry_point}
        tasks = [{"ansible.builtin.import_role": role}]
        (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        command = ["ansible-playbook", "-i", str(tmp_path / "hosts.yml"), "--limit", "localhost", str(tmp_path / "play.yml"), *args]
        return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)

    return run


@pytest.fixture
def write(play: Play, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Write connection.yml, and return what it says."""

    def run(*args: str, **variables: Any) -> dict[str, Any]:
        done = play("connection_write", *args, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        changed = re.search(r"changed=(\d+)", done.stdout)
        assert changed
        says: dict[str, Any] = yaml.safe_load((tmp_path / "state" / "connection.yml").read_text())
        return says | {"changed": changed[1] != "0"}

    return run


def test_what_no_host_of_the_run_knows_is_kept(write: Callable[..., dict[str, Any]]) -> None:
    first = write(db1=FOUND, db2=FOUND)
    assert first["changed"]
    assert first["database_images"] == {"17": "an-image"}
    assert first["database_extensions"] == {"17": ["vector"]}
    assert first["database_disk_quota"] is True

    kept = first | {"changed": False}
    # Check mode looks for no extensions.
    assert write("--check", db1={"postgres_image_names": {"17": "an-image"}}, db2={}) == kept
    assert write() == kept


def test_what_any_host_of_the_run_knows_is_taken(write: Callable[..., dict[str, Any]]) -> None:
    write(db1=FOUND, db2=FOUND)
    now = write(db1={}, db2=FOUND | {"postgres_image_names": {"17": "another"}, "storage_quota": False})
    assert now["database_images"] == {"17": "another"}
    assert now["database_disk_quota"] is False
    # db2, of which nothing is known now, may still have no quotas.
    assert write(db1=FOUND, db2={})["database_disk_quota"] is False


def test_nothing_is_known_at_first(write: Callable[..., dict[str, Any]]) -> None:
    first = write()
    assert first["nomad_address"] == "https://192.0.2.1:4646"
    assert (first["database_images"], first["database_extensions"], first["database_disk_quota"]) == ({}, {}, False)


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ({"nomad_advertise_address": "", "nomad_bind_address": "192.0.2.2"}, "https://192.0.2.2:4646"),
        ({"nomad_api_host": "nomad.example.com", "nomad_address": "https://192.0.2.3:443"}, "https://192.0.2.3:443"),
    ],
)
def test_nomads_address_is_the_one_that_role_nomad_uses(
    write: Callable[..., dict[str, Any]], server: dict[str, Any], address: str
) -> None:
    assert write(db1=server)["nomad_address"] == address


@pytest.mark.parametrize(
    ("second", "addresses"),
    [
        ({"nomad_advertise_address": "192.0.2.2"}, "https://192.0.2.1:4646,https://192.0.2.2:4646"),
        ({"nomad_address": "https://192.0.2.3:443"}, "https://192.0.2.1:4646,https://192.0.2.3:443"),
        # It is out of reach of this run, and nothing says where it is.
        ({}, "https://192.0.2.1:4646"),
    ],
)
def test_all_servers_are_named(write: Callable[..., dict[str, Any]], second: dict[str, Any], addresses: str) -> None:
    assert write(db2=second, servers=("db1", "db2"))["nomad_address"] == addresses


def test_addresses_of_ones_own(write: Callable[..., dict[str, Any]]) -> None:
    assert write(environment_nomad_address=["https://a:4646", "https://b:4646"])["nomad_address"] == "https://a:4646,https://b:4646"
    assert write(environment_nomad_address="https://a:4646,https://b:4646")["nomad_address"] == "https://a:4646,https://b:4646"


def test_hosts_of_another_environment_than_localhosts_are_refused(play: Play) -> None:
    other = {
        "environment_domain": "db.example.com",
        "environment_port": 6432,
        "environment_dns": "record",
        "traefik_certificate": "acme",
    }
    done = play("agreement", db2=other | {"environment_name": "other"})
    assert done.returncode == 2
    said = " ".join(done.stdout.split())
    assert [name for name, value in other.items() if f"{name} is {value} for db2 and " not in said] == []
    assert "environment_name is other for db2 and local for localhost" in said
    assert "Set it for both" in said


def test_hosts_of_localhosts_environment_are_not(play: Play) -> None:
    given = {"environment_port": "6432", "traefik_certificate": "acme", "environment_dns": "record"}
    done = play("agreement", db2={"environment_port": 6432}, **given)
    assert done.returncode == 0, done.stdout + done.stderr
