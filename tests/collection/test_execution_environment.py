# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The execution environment's parts, installed as ansible-builder would install them, suffice for every playbook.

Only its image is not built, since that needs a registry: the pinned packages and what ansible-builder finds in the collections are
installed into a virtual environment that has nothing else.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.collection.repository import ROOT
from tests.support.environments import HERE

Run = Callable[..., str]
DEFINITION = yaml.safe_load((ROOT / "execution_environment" / "execution-environment.yml").read_text())
PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
DATABASE = "infinite-test-ee"


@pytest.fixture(scope="module")
def context(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("context")
    run(["execution_environment/build", "create", "--context", directory])
    return directory


@pytest.fixture(scope="module")
def collections(installed: Path, run: Run) -> Path:
    """The collections that the definition pins; those of others are links to where Ansible's package has them."""
    have = yaml.safe_load(run(["ansible-galaxy", "collection", "list", "--format", "yaml"]))
    packaged = next(Path(path) for path, found in have.items() if "amazon.aws" in found)
    wanted = {one["name"]: one.get("version") for one in DEFINITION["dependencies"]["galaxy"]["collections"]}
    # What community.docker depends on comes along.
    for name in [*(name for name, version in wanted.items() if version), "community.library_inventory_filtering_v1"]:
        assert have[str(packaged)][name]["version"] == wanted.get(name, have[str(packaged)][name]["version"])
        link = installed / "ansible_collections" / Path(*name.split("."))
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(packaged / Path(*name.split(".")))
    return installed


@pytest.fixture(scope="module")
def clean(collections: Path, tools: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with what ansible-builder's introspection finds."""
    directory = tmp_path_factory.mktemp("clean")
    found = ["--write-pip", directory / "requirements.txt", "--write-bindep", directory / "bindep.txt"]
    run(["ansible-builder", "introspect", collections, *found], directory, tools)
    run([tools / "bin" / "python", "-m", "venv", directory / "venv"])
    pinned = [DEFINITION["dependencies"][name]["package_pip"] for name in ("ansible_core", "ansible_runner")]
    install = [directory / "venv" / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*install, *pinned, "-r", directory / "requirements.txt"])
    return directory


@pytest.fixture(scope="module")
def play(clean: Path, collections: Path, run: Run) -> Callable[..., str]:
    """ansible-playbook, with no setting and no collection of the clone's."""
    settings = {"ANSIBLE_COLLECTIONS_PATH": str(collections), "VIRTUAL_ENV": str(clean / "venv")}

    def play(verb: str, *arguments: Any) -> str:
        command = ["ansible-playbook", f"infinite.databases.{verb}", "-i", HERE.inventory, *arguments]
        return run(command, clean, clean / "venv", **settings)

    return play


def test_context(context: Path) -> None:
    requirements = yaml.safe_load((context / "_build" / "requirements.yml").read_text())
    assert requirements["collections"] == DEFINITION["dependencies"]["galaxy"]["collections"]
    assert (context / "_build" / "collection" / "infinite-databases.tar.gz").stat().st_size > 0
    pinned = DEFINITION["dependencies"]
    arguments = (
        (context / "Dockerfile").read_text() if (context / "Dockerfile").exists() else (context / "Containerfile").read_text()
    )
    assert f'EE_BASE_IMAGE="{DEFINITION["images"]["base_image"]["name"]}"' in arguments
    assert f"{pinned['ansible_core']['package_pip']} {pinned['ansible_runner']['package_pip']}" in arguments


def test_all_is_pinned() -> None:
    pinned = DEFINITION["dependencies"]
    assert re.fullmatch(r"\S+:\d+\.\d+", DEFINITION["images"]["base_image"]["name"])
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", pinned[name]["package_pip"]) for name in ("ansible_core", "ansible_runner"))
    depended = yaml.safe_load((ROOT / "galaxy.yml").read_text())["dependencies"]
    assert {one["name"] for one in pinned["galaxy"]["collections"] if "version" in one} == set(depended)


def test_python_requirements(clean: Path) -> None:
    found = (clean / "requirements.txt").read_text().lower()
    for library in ("boto3", "psycopg[binary]", "python-nomad", "requests"):
        assert library in found


@pytest.mark.skipif(not shutil.which("apt-get"), reason="no Debian or Ubuntu")
def test_system_requirements(clean: Path, tools: Path, run: Run) -> None:
    """The distribution has what bindep lists for it, and all of it fits together."""
    packages = run(["bindep", "-l", "newline", "-f", clean / "bindep.txt"], clean, tools).split()
    assert "postgresql-client" in packages
    run(["apt-get", "install", "--simulate", "--no-install-recommends", *packages])


@pytest.mark.parametrize("verb", PLAYBOOKS)
def test_syntax(play: Callable[..., str], verb: str) -> None:
    play(verb, "--syntax-check")


@pytest.fixture
def erased(play: Callable[..., str]) -> Iterator[None]:
    HERE.make()
    play("purge", "-e", f"db={DATABASE} confirm={HERE.name}")
    yield
    play("purge", "-e", f"db={DATABASE} confirm={HERE.name}")


@pytest.mark.usefixtures("erased")
def test_provision(play: Callable[..., str]) -> None:
    play("provision", "-e", f"db={DATABASE}")
    assert f"@{DATABASE}." in play("url", "-e", f"db={DATABASE}")
