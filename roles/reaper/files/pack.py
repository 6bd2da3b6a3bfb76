# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pack some of this collection's module_utils, with what they import, so that they run where there is no Ansible.

usage: pack.py COLLECTION DIRECTORY MODULE...
Prints the digest of what is packed, which is in DIRECTORY/tools-DIGEST.tar then.

What is packed follows from an import: the files of this collection, of Ansible's own module_utils (a handful) and of python-nomad,
all of which are pure Python. Of the libraries, requests is left to the image, whose distribution keeps it up to date.
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
    """Import the modules from this very collection, wherever it is installed."""
    for name in NAMESPACE:
        package = types.ModuleType(name)
        package.__path__ = [str(collection)] if name == NAMESPACE[-1] else []
        sys.modules[name] = package
    for module in modules:
        importlib.import_module(f"{NAMESPACE[-1]}.plugins.module_utils.{module}")


def sources() -> dict[str, bytes]:
    """The files that were imported, by their place in the archive."""
    found = {}
    for name, module in sys.modules.items():
        path = getattr(module, "__file__", None)
        # A module under a second name is somebody else's.
        if name.partition(".")[0] in PACKED and path and module.__name__ == name:
            place = name.replace(".", "/") + ("/__init__.py" if hasattr(module, "__path__") else ".py")
            found[f"{ROOT}/{place}"] = Path(path).read_bytes()
    return dict(sorted(found.items()))


def archive(files: dict[str, bytes]) -> bytes:
    """The same files make the same archive."""
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
