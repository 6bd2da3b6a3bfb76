# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the reaper says, and which of its own runs it forgets."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

from ansible_collections.infinite.databases.plugins.module_utils._services import reaper

ROOT = Path(__file__).parents[2]
PROGRAMS = ("reaper", "status", "status_page")


def job(name: str, status: str = "dead", parent: str = "_reaper") -> dict[str, str]:
    return {"ID": name, "Status": status, "ParentID": parent}


def test_the_last_runs_are_kept() -> None:
    runs = [job(f"_reaper/periodic-{second}") for second in (1000000003, 999999999, 1000000002, 1000000001)]
    others = [job("_reaper", "running", ""), job("_reaper/periodic-1", "running"), job("_reaper/periodic-2", parent="other")]
    assert reaper.old_runs([*others, *runs], "_reaper", kept=2) == ["_reaper/periodic-1000000001", "_reaper/periodic-999999999"]
    assert reaper.old_runs([*others, *runs], "_reaper", kept=4) == []


def test_a_line_for_each_thing_done() -> None:
    done = {"destroyed": ["a"], "erased": ["b", "c"], "passwords": []}
    assert [line.partition(",")[0] for line in reaper.report(done, "7d")] == ["a: destroyed", "b: erased", "c: erased"]
    assert reaper.report({"destroyed": [], "erased": []}, "7d") == ["nothing to do"]


def pack(directory: Path) -> Path:
    command = [sys.executable, "roles/reaper/files/pack.py", str(ROOT), str(directory), *PROGRAMS]
    digest = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    return directory / f"tools-{digest}.tar"


def test_the_packed_programs_need_no_ansible(tmp_path: Path) -> None:
    """They run on a Python that has requests only, up to where they miss their task's environment."""
    packed = pack(tmp_path)
    assert pack(tmp_path / "again").read_bytes() == packed.read_bytes()
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path, filter="data")
    for library in ("requests", "urllib3", "idna", "certifi", "charset_normalizer"):
        source = next(Path(path, library) for path in sys.path if Path(path, library).is_dir())
        (tmp_path / "tools" / library).symlink_to(source)
    for program, misses in zip(PROGRAMS, ("NOMAD_NAMESPACE", "NOMAD_NAMESPACE", "ENVIRONMENT"), strict=True):
        module = f"ansible_collections.infinite.databases.plugins.module_utils._services.{program}"
        # -S: no site-packages; neither Ansible nor this checkout can be found.
        command = [sys.executable, "-S", "-m", module]
        done = subprocess.run(command, cwd=tmp_path / "tools", env={}, check=False, capture_output=True, text=True)
        assert done.stderr.endswith(f"KeyError: '{misses}'\n"), program
