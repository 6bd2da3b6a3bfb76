# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shows which files below directories other users can read that hold one of some strings: `path<tab>number of the string`.

A program of its own, run on the controller and on the node. Its arguments are a time (seconds since 1970) before which the strings
were nowhere, and the directories; the strings are the lines of standard input. How far somebody gets is judged by the modes from
the given directories on; large files (binaries, images) are left out.
"""

from __future__ import annotations

import os
import stat
import sys

LARGE = 8 * 1024 * 1024
SKIPPED = ("/proc", "/sys", "/dev")


def files(directory: str, since: float) -> list[str]:
    """Regular ones that others may read, in directories that they may enter."""
    found, todo = [], [directory]
    while todo:
        here = todo.pop()
        try:
            if not os.stat(here).st_mode & stat.S_IXOTH:
                continue
            for entry in os.scandir(here):
                if entry.path in SKIPPED or entry.is_symlink():
                    continue
                if entry.is_dir():
                    todo.append(entry.path)
                elif entry.is_file():
                    status = entry.stat()
                    if status.st_mode & stat.S_IROTH and status.st_size <= LARGE and status.st_ctime >= since:
                        found.append(entry.path)
        except OSError:
            continue
    return found


def main() -> None:
    strings = [line.rstrip("\n").encode() for line in sys.stdin]
    for directory in sys.argv[2:]:
        for path in files(directory, float(sys.argv[1])):
            try:
                with open(path, "rb") as file:
                    content = file.read()
            except OSError:
                continue
            for number, string in enumerate(strings):
                if string in content:
                    print(f"{path}\t{number}")


main()
