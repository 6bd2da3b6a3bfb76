# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What arrives is not what was published: nothing of it is installed, and the error says what and from where.

The site is one of this test's, on loopback. PostgreSQL comes from Debian, whose signatures apt verifies.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.faults import ROOT

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
CONTENT = os.urandom(200_000)
VERSION = "9.9.9"


@dataclass
class Site:
    """``files``: by path; ``cut``: those of which half is missing."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = site.files.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write((body or b"")[: len(body or b"") // 2 if self.path in site.cut else None])

        def log_message(self, *_args: object) -> None:
            """Nothing: pytest's output is for people."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield site
        server.shutdown()


@dataclass
class Program:
    """What a role downloads: the tasks that do it, their variables, the paths on the site, and the place in the cache."""

    role: str
    tasks: str
    variables: dict[str, str]
    archive: str
    checksums: str
    cached: str

    def publish(self, site: Site) -> None:
        packed = io.BytesIO()
        if self.role == "nomad":
            with zipfile.ZipFile(packed, "w") as archive:
                archive.writestr("nomad", CONTENT)
        else:
            with tarfile.open(fileobj=packed, mode="w:gz") as archive:
                entry = tarfile.TarInfo("traefik")
                entry.size = len(CONTENT)
                archive.addfile(entry, io.BytesIO(CONTENT))
        name = self.archive.rpartition("/")[2]
        site.files = {
            self.archive: packed.getvalue(),
            self.checksums: f"{hashlib.sha256(packed.getvalue()).hexdigest()}  {name}\n".encode(),
        }

    def install(self, site: Site, cache: Path) -> subprocess.CompletedProcess[str]:
        """Run what the role does, on this machine."""
        given = {name: value.format(site=site.url) for name, value in self.variables.items()}
        given |= {"environment_cache_dir": str(cache), "ansible_python_interpreter": sys.executable}
        include = {"name": f"infinite.databases.{self.role}", "tasks_from": self.tasks}
        play = {"hosts": "localhost", "connection": "local", "gather_facts": True, "gather_subset": ["!all", "min"], "vars": given}
        playbook = cache / "play.yml"
        playbook.write_text(json.dumps([play | {"tasks": [{"ansible.builtin.include_role": include}]}]))
        command = ["ansible-playbook", "-i", "localhost,", str(playbook)]
        return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=120)


PROGRAMS = {
    "nomad": Program(
        "nomad",
        "install_release",
        {"nomad_release_url": "{site}", "nomad_version": VERSION, "nomad_install_method": "release"},
        f"/{VERSION}/nomad_{VERSION}_linux_{ARCHITECTURE}.zip",
        f"/{VERSION}/nomad_{VERSION}_SHA256SUMS",
        f"nomad/{VERSION}/linux_{ARCHITECTURE}/nomad",
    ),
    "traefik": Program(
        "traefik",
        "binary",
        {"traefik_release_url": "{site}", "traefik_version": VERSION},
        f"/traefik_v{VERSION}_linux_{ARCHITECTURE}.tar.gz",
        f"/traefik_v{VERSION}_checksums.txt",
        f"traefik-{VERSION}-linux-{ARCHITECTURE}.tar.gz",
    ),
}


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest, site: Site) -> Program:
    found = PROGRAMS[request.param]
    found.publish(site)
    return found


def refused(program: Program, site: Site, cache: Path) -> str:
    """What is said, once it is seen that nothing was installed."""
    done = program.install(site, cache)
    assert done.returncode != 0, done.stdout
    assert not (cache / program.cached).exists()
    # Nor is it taken for a good one the next time.
    program.publish(site)
    site.cut.clear()
    good = program.install(site, cache)
    assert good.returncode == 0, good.stdout + good.stderr
    return done.stdout + done.stderr


@pytest.mark.quick
def test_control_what_was_published(program: Program, site: Site, tmp_path: Path) -> None:
    done = program.install(site, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    cached = tmp_path / program.cached
    if program.role == "nomad":
        assert cached.read_bytes() == CONTENT
    else:
        assert cached.read_bytes() == site.files[program.archive]


@pytest.mark.quick
def test_another_content(program: Program, site: Site, tmp_path: Path) -> None:
    site.files[program.archive] += b"!"
    said = refused(program, site, tmp_path)
    assert "did not match" in said
    assert site.url in said


def test_half_of_it(program: Program, site: Site, tmp_path: Path) -> None:
    site.cut.add(program.archive)
    assert site.url in refused(program, site, tmp_path)


def test_not_there(program: Program, site: Site, tmp_path: Path) -> None:
    del site.files[program.archive]
    said = refused(program, site, tmp_path)
    assert "404" in said
    assert site.url in said


def test_no_checksum_for_it(program: Program, site: Site, tmp_path: Path) -> None:
    site.files[program.checksums] = f"{'0' * 64}  something_else.zip\n".encode()
    assert site.url in refused(program, site, tmp_path)
