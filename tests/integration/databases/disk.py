# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The file system that all volumes are on, and what fills it."""

from __future__ import annotations

from tests.support.user import User

MOUNT = "/var/lib/infinite.databases/data"
FILLER = f"{MOUNT}/infinite-test-filler"
# 20 MB, and as much of write-ahead log.
WRITE = "insert into big select repeat('x', 1000) from generate_series(1, 20000)"


def space(user: User) -> tuple[int, int]:
    """Bytes of the file system, and how many of them are free."""
    block, total, free = map(int, user.node("stat", "-f", "-c", "%S %b %a", MOUNT).split())
    return block * total, block * free


def fill(user: User, percent: float) -> None:
    """Leave so many percent free. It takes no time: no block of the file is written."""
    total, free = space(user)
    size = int(user.node("sh", "-c", f"stat -c %s {FILLER} 2> /dev/null || echo 0"))
    user.node("fallocate", "-o", str(size), "-l", str(free - int(total * percent / 100)), FILLER)
