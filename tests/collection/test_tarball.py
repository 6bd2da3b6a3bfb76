# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is in the tarball, and what Ansible Galaxy's own import says of it."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.collection.repository import ROOT, tracked

# Whatever else is new at the top of the repository is either for an installed collection, or for galaxy.yml's build_ignore.
TOP = {
    *("CHANGELOG.md", "CONTRIBUTING.md", "COPYING", "LICENSES", "README.md", "REUSE.toml", "FILES.json", "MANIFEST.json"),
    *("bindep.txt", "requirements.txt", "requirements.yml"),
    *("bin", "changelogs", "docs", "examples", "inventories", "meta", "playbooks", "plugins", "roles"),
}
WHOLE = ("bin", "docs", "examples", "inventories", "meta", "playbooks", "plugins", "roles")


@pytest.fixture(scope="module")
def members(tarball: Path) -> set[str]:
    with tarfile.open(tarball) as archive:
        return {member.name for member in archive if not member.isdir()}


def test_nothing_unwanted(members: set[str]) -> None:
    assert {name.partition("/")[0] for name in members} == TOP


def test_everything_needed(members: set[str]) -> None:
    assert {name for name in tracked() if name.startswith(tuple(f"{directory}/" for directory in WHOLE))} <= members


def test_installed_it_has_its_playbooks_and_modules(installed: Path, run: Callable[..., str]) -> None:
    """From elsewhere, and with no other copy of it in sight."""
    here = {"ANSIBLE_COLLECTIONS_PATH": str(installed), "HOME": str(installed)}
    plugins = json.loads(run(["ansible-doc", "--json", "--list", "infinite.databases"], cwd=installed, **here))
    assert {name.rpartition(".")[2] for name in plugins} == {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}
    run(["ansible-playbook", "infinite.databases.provision", "-i", "localhost,", "--syntax-check"], cwd=installed, **here)


def test_galaxy_takes_it(tarball: Path, venv: Callable[..., Path], run: Callable[..., str], tmp_path: Path) -> None:
    """ansible-lint and flake8's rules are the linters' matter (tests/lint)."""
    settings = tmp_path / "importer.cfg"
    settings.write_text("[galaxy-importer]\nrun_ansible_lint = false\ncheck_required_tags = true\n")
    tools = venv("importer")
    output = run(["python", "-m", "galaxy_importer.main", tarball], tmp_path, tools, GALAXY_IMPORTER_CONFIG=str(settings))
    assert "Importer processing completed successfully" in output
    assert re.findall(r"^(?:ERROR|WARNING).*", output, re.MULTILINE) == []


def test_version() -> None:
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    assert re.fullmatch(r"0\.\d+\.\d+", galaxy["version"])
    assert yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["requires_ansible"] == ">=2.19.0"


def test_requirements_are_the_dependencies() -> None:
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    required = yaml.safe_load((ROOT / "requirements.yml").read_text())["collections"]
    assert {one["name"]: one["version"] for one in required} == galaxy["dependencies"]
