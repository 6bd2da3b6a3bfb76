# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ansible-test's sanity and unit tests, on the oldest and the newest ansible-core that are supported.

What it installs for itself stays in a home of its own, since it would write into the user's: it is quick from the second time on.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import packages

CORES = {"2.19": "3.11", "2.21": "3.13"}
GET_PIP = "https://ci-files.testing.ansible.com/ansible-test/get-pip-{}.py"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "infinite.databases"
HOME = CACHE / "ansible-test"

Started = Callable[..., "subprocess.Popen[str]"]


def write_pip_settings() -> None:
    """ansible-test lets nothing of the environment through to pip."""
    names = {
        name.removeprefix("PIP_").lower().replace("_", "-"): value for name, value in os.environ.items() if name.startswith("PIP_")
    }
    if "REQUESTS_CA_BUNDLE" in os.environ:
        names.setdefault("cert", os.environ["REQUESTS_CA_BUNDLE"])
    settings = configparser.RawConfigParser()
    settings["global"] = names
    path = HOME / ".config" / "pip" / "pip.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        settings.write(file)


def provide_get_pip(venv: Path) -> None:
    """Where ansible-test would look for its download: that, or else the stand-in."""
    source = next(venv.glob("lib/python*/site-packages/ansible_test/_internal/python_requirements.py")).read_text()
    for version in re.findall(r"pip='([\d.]+)'", source):
        path = HOME / ".ansible" / "test" / "cache" / f"get_pip_{version.replace('.', '_')}.py"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with urllib.request.urlopen(GET_PIP.format(version), timeout=10) as answer:  # noqa: S310
                path.write_bytes(answer.read())
        except OSError:
            shutil.copy(Path(__file__).with_name("pip_stand_in.py"), path)


@pytest.fixture(scope="session")
def start(source: Path, venv: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """Begin a command of ansible-test, on a copy of its own: two of them keep two processors busy."""
    write_pip_settings()
    running = []

    def start(command: str, core: str, *options: str) -> subprocess.Popen[str]:
        tools = venv(f"core-{core}", CORES[core])
        provide_get_pip(tools)
        copy = tmp_path_factory.mktemp(core) / "ansible_collections" / "infinite" / "databases"
        shutil.copytree(source, copy, symlinks=True)
        arguments = ["ansible-test", command, "--color", "no", "--python", CORES[core], *options]
        process = subprocess.Popen(
            arguments,
            cwd=copy,
            env=os.environ | {"HOME": str(HOME), "PATH": f"{tools}/bin:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()


def finish(process: subprocess.Popen[str]) -> str:
    output, _nothing = process.communicate()
    if process.returncode != 0:
        pytest.fail(output, pytrace=False)
    return output


def slow_except(quick: str) -> list[Any]:
    """The supported versions. `make test` has this one of them; CI's workflow and `make test-all` have all."""
    return [pytest.param(core, marks=() if core == quick else pytest.mark.slow) for core in CORES]


@pytest.mark.parametrize("core", slow_except(max(CORES)))
def test_sanity(start: Started, core: str) -> None:
    """All but pylint, which takes as long as all others together."""
    # ansible-test leaves out what it finds no program for.
    packages.install({"shellcheck": "shellcheck"})
    output = finish(start("sanity", core, "--skip-test", "pylint"))
    ran = set(re.findall(r'^Running sanity test "([\w-]+)"', output, re.MULTILINE))
    assert {"ansible-doc", "import", "shellcheck", "validate-modules"} <= ran
    assert "not found" not in output


# It reads the same files in the same way on each version, and newer versions know more rules.
@pytest.mark.slow
def test_pylint(start: Started) -> None:
    assert 'Running sanity test "pylint"' in finish(start("sanity", max(CORES), "--test", "pylint"))


# `pytest tests/unit` runs the same on the newest version.
@pytest.mark.parametrize("core", slow_except(min(CORES)))
def test_units(start: Started, core: str) -> None:
    assert " passed" in finish(start("units", core))
