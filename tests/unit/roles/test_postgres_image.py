# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What PostgreSQL's images are made from, and which version a new database is."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles" / "postgres_image"
VERSIONS = ["15", "17", "18"]


def evaluate(tmp_path: Path, value: str, play: dict[str, Any], **variables: Any) -> Any:
    """What a Jinja expression is at the end of a play on localhost."""
    write = {"content": f"{{{{ {value} | to_json }}}}", "dest": str(tmp_path / "value"), "mode": "0600"}
    where = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": where} | play
    (tmp_path / "play.yml").write_text(json.dumps([play | {"post_tasks": [{"ansible.builtin.copy": write}]}]))
    command = ["ansible-playbook", "-i", "localhost,", str(tmp_path / "play.yml"), "-e", json.dumps(variables)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((tmp_path / "value").read_text())


def names_and_definitions(tmp_path: Path, **variables: Any) -> tuple[dict[str, str], dict[str, Any]]:
    # Not as a role: the roles that it depends on need collections, which ansible-test's environment lacks.
    files = [str(ROLE / folder / "main.yml") for folder in ("defaults", "vars")]
    play = {"vars_files": files, "tasks": [{"ansible.builtin.import_tasks": str(ROLE / "tasks" / "names.yml")}]}
    value = "[postgres_image_names, __postgres_image_definitions]"
    found = evaluate(tmp_path, value, play, **({"postgres_image_versions": VERSIONS, "role_path": str(ROLE)} | variables))
    return found[0], found[1]


def test_all_versions_have_the_same_from_one_list(tmp_path: Path) -> None:
    names, definitions = names_and_definitions(tmp_path)
    assert list(names) == list(definitions) == VERSIONS
    for version, definition in definitions.items():
        # The first is the server, which what is compiled is compiled for.
        assert definition["packages"][0] == f"postgresql-{version}"
        compiled = [f"postgresql-{version}-{source}" for source in definition["compile"]]
        everything = sorted(name.replace(version, "VERSION") for name in definition["packages"] + compiled)
        assert everything == [
            "pgbackrest",
            "postgresql-VERSION",
            "postgresql-VERSION-cron",
            "postgresql-VERSION-pgvector",
            "postgresql-VERSION-postgis-3",
        ]


def test_pgdg_has_packages_of_everything_and_makes_other_images(tmp_path: Path) -> None:
    plain, *_rest = names_and_definitions(tmp_path)
    names, definitions = names_and_definitions(tmp_path, postgres_image_pgdg_mirror="https://mirror.example.com/pgdg")
    assert not [version for version in VERSIONS if names[version] == plain[version] or definitions[version]["compile"]]
    assert "postgresql-15-pgvector" in definitions["15"]["packages"]


def test_a_definition_may_have_packages_of_its_own(tmp_path: Path) -> None:
    own = {"17": {"registry": "", "suite": "trixie", "packages": ["postgresql-17", "postgresql-VERSION-hll"], "revision": 1}}
    _names, definitions = names_and_definitions(tmp_path, postgres_image_definitions=own, postgres_image_versions=["17"])
    assert definitions["17"]["packages"] == ["postgresql-17", "postgresql-17-hll"]


@pytest.mark.parametrize(
    ("images", "version"), [([], 17), (["15", "17"], 17), (["17", "18"], 17), (["15"], 15), (["15", "18"], 18), (["9", "18"], 18)]
)
def test_another_version_on_offer_is_not_what_new_databases_are(tmp_path: Path, images: list[str], version: int) -> None:
    offered = dict.fromkeys(images, "an-image")
    play = {"vars_files": [str(ROOT / "roles/database/defaults/main.yml")]}
    found = evaluate(tmp_path, "database_default_version", play, database_images=offered)
    assert int(found) == version
