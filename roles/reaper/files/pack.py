# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Packs some of this collection's module_utils, with the modules that they import, so that they run without Ansible.

usage: pack.py COLLECTION DIRECTORY MODULE...
Writes the archive DIRECTORY/tools-DIGEST.tar, and prints the digest.

The modules are imported, and the imported files are packed: those of this collection, a handful of Ansible's own module_utils, and
python-nomad. All of them are pure Python. The library requests is not packed; the image's distribution keeps it up to date.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import os
import sys
import tarfile
import types
from collections.abc import Sequence
from pathlib import Path

PACKED = ("ansible", "ansible_collections", "nomad")
NAMESPACE = ("ansible_collections", "ansible_collections.infinite", "ansible_collections.infinite.databases")
ROOT = "tools"


def load(collection: Path, modules: Sequence[str]) -> None:
    """Import the modules from this copy of the collection, wherever it is installed."""
    for name in NAMESPACE:
        package = types.ModuleType(name)
        package.__path__ = [str(collection)] if name == NAMESPACE[-1] else []
        sys.modules[name] = package
    for module in modules:
        importlib.import_module(f"{NAMESPACE[-1]}.plugins.module_utils._services.{module}")


def sources() -> dict[str, bytes]:
    """Return the imported files by their place in the archive."""
    found = {}
    for name, module in sys.modules.items():
        path = getattr(module, "__file__", None)
        # A module that is listed under a second name is skipped.
        if name.partition(".")[0] in PACKED and path and module.__name__ == name:
            place = name.replace(".", "/") + ("/__init__.py" if hasattr(module, "__path__") else ".py")
            found[f"{ROOT}/{place}"] = Path(path).read_bytes()
    return dict(sorted(found.items()))


def archive(files: dict[str, bytes]) -> bytes:
    """Return an archive of the files. The same files always make the same archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for place, content in files.items():
            member = tarfile.TarInfo(place)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def main(collection: str, directory: str, *modules: str) -> None:
    load(Path(collection).resolve(), modules)
    content = archive(sources())
    digest = hashlib.sha256(content).hexdigest()[:12]
    target = Path(directory, f"tools-{digest}.tar")
    if not target.exists():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.{os.getpid()}")
        part.write_bytes(content)
        # Only a whole archive has the final name.
        part.replace(target)
    print(digest)


if __name__ == "__main__":
    main(*sys.argv[1:])
