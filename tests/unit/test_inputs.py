# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database.keys import OPTIONS
from ansible_collections.infinite.databases.plugins.plugin_utils.inputs import (
    extra_variables_problem,
    inputs_of,
    inventory_problem,
    own_playbooks,
    role_variables,
)

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOKS = ROOT / "playbooks"


@pytest.mark.parametrize(
    ("playbook", "inputs"),
    [
        ('x: "{{ db | default(none) }}"', ["db"]),
        ('x: "{{ db | ansible.builtin.mandatory(\'Which?\') }}"\ny: "{{ (lines | default(50, true)) | int }}"', ["db", "lines"]),
        ("x: \"{{ pr | default(lookup('ansible.builtin.env', 'PR'), true) }}\"", ["pr"]),
        ("x: \"{{ groups['a'] | default([]) }}{{ other }}\"", []),
        ('x: "{{ db | default(1) }}{{ db | default(2) }}{{ database_given }}"', ["db", *OPTIONS]),
    ],
)
def test_inputs_of(playbook: str, inputs: list[str]) -> None:
    assert inputs_of(playbook) == inputs


def test_every_playbook_and_role_can_be_read() -> None:
    taken = {path.stem: inputs_of(path.read_text()) for path in PLAYBOOKS.glob("*.yml")}
    assert {"db", "role", "overlap", "end"} <= set(taken["rotate"])
    assert {"memory", "databases"} <= set(taken["provision"])
    assert "memory" not in taken["list"]
    known = role_variables(ROOT / "roles")
    assert {"database_retention", "environment_port", "local_node_subnet"} <= known, "what argument_specs name"
    assert {"admin_cidrs", "nomad_api_host", "traefik_certificate"} <= known, "what defaults are made of"
    assert not {"memory", "type", "description", "mem"} & known


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["db", "awx_job_id", "tower_user_name", "ansible_user", "mine"], ""),
        (["memry"], "memry (did you mean memory?). "),
        (["mem", "xyz"], "mem (did you mean memory?), xyz. "),
        (["database"], "database (did you mean db?). "),
        (["database_retenton"], "database_retenton (did you mean database_retention?). "),
        (["nomad_adress"], "nomad_adress (did you mean nomad_address?). "),
    ],
)
def test_not_understood(names: list[str], said: str) -> None:
    message = extra_variables_problem(names, ["nomad_address", "db", "memory"], {"database_retention", "mine"}, "provision.yml")
    begins, ends = "Nothing was done: nothing here knows the extra variable ", "provision.yml takes db, memory. "
    assert message == (f"{begins}{said}{ends}A variable of your own belongs in the inventory." if said else "")


def test_own_playbooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play = PLAYBOOKS / "list.yml"
    monkeypatch.chdir(ROOT)
    found = [PLAYBOOKS / "list.yml", PLAYBOOKS / "logs.yml", PLAYBOOKS / "site.yml"]
    assert own_playbooks(["infinite.databases.list", "playbooks/logs.yml", "site.yml"], play) == found
    monkeypatch.chdir(tmp_path)
    assert own_playbooks([str(ROOT / "playbooks" / "list.yml")], play) == found[:1]
    for theirs in (["list.yml"], ["infinite.databases.list", "deploy.yml"], ["other.collection.list"], ["infinite.databases.mine"]):
        assert own_playbooks(theirs, play) == []


@pytest.mark.parametrize(
    ("sources", "hosts", "variables", "said"),
    [
        (["/etc/ansible/hosts"], [], [], ""),
        (["localhost,"], ["localhost"], [], ""),
        (["{path}"], ["db1"], [], ""),
        (["{path}"], [], ["environment_name"], ""),
        (["{path}"], [], [], "names no host and sets no variable"),
        (["{path}/prod"], [], ["nomad_address"], "there is no inventory "),
        (["{path}", "{path}/prod"], ["db1"], [], "there is no inventory "),
    ],
)
def test_names_nothing(tmp_path: Path, sources: list[str], hosts: list[str], variables: list[str], said: str) -> None:
    message = inventory_problem([source.format(path=tmp_path) for source in sources], hosts, variables)
    assert said in message
    assert bool(said) == bool(message)
