# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collection as others get it: a tarball, and a copy below ansible_collections/, where ansible-test wants to be."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.collection.repository import ROOT, tracked

NO_SUCH_PYTHON = 3  # scripts/tools

Run = Callable[..., str]
Venv = Callable[..., Path]


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a command; its output, or a failure that shows it. The tools of ``venv`` come first on the PATH."""

    def run(command: Sequence[str | Path], cwd: Path = ROOT, venv: Path | None = None, **extra: str) -> str:
        first = {"PATH": f"{venv}/bin:{os.environ['PATH']}"} if venv else {}
        arguments = [str(argument) for argument in command]
        done = subprocess.run(
            arguments,
            cwd=cwd,
            env=os.environ | first | extra,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != 0:
            pytest.fail(f"{' '.join(arguments)}\n{done.stdout}", pytrace=False)
        return done.stdout

    return run


@pytest.fixture(scope="session")
def venv() -> Venv:
    """scripts/tools: a virtual environment with requirements/NAME.txt."""

    def find(name: str, python: str = "3.11") -> Path:
        done = subprocess.run([ROOT / "scripts" / "tools", name, python], check=False, stdout=subprocess.PIPE, text=True)
        if done.returncode == NO_SUCH_PYTHON:
            pytest.skip(f"no Python {python} on this machine")
        assert done.returncode == 0
        return Path(done.stdout.strip())

    return find


@pytest.fixture(scope="session")
def tools(venv: Venv) -> Path:
    return venv("tools")


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository's files at ansible_collections/infinite/databases."""
    copy = tmp_path_factory.mktemp("source") / "ansible_collections" / "infinite" / "databases"
    for name in tracked():
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)
    return copy


@pytest.fixture(scope="session")
def tarball(source: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tarball")
    run(["ansible-galaxy", "collection", "build", "--output-path", directory], cwd=source)
    return next(directory.glob("infinite-databases-*.tar.gz"))


@pytest.fixture(scope="session")
def installed(tarball: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tarball is installed, the directory that has ansible_collections in it."""
    directory = tmp_path_factory.mktemp("installed")
    run(["ansible-galaxy", "collection", "install", "--force", "--no-deps", "--collections-path", directory, tarball])
    return directory
