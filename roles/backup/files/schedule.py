# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When backups are due.

The moment within each period is derived from a name, so that the backups of many databases are spread.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Schedule:
    """Seconds from one full backup to the next, from one differential backup to the next, and from one test restore to the next."""

    full: float
    differential: float
    test: float

    def due(self, stanza: str, backups: Sequence[Mapping[str, Any]], now: float) -> str:
        """Return the kind of backup that is due, or nothing."""
        if not backups:
            return "full"
        last_full = max((one["start"] for one in backups if one["kind"] == "full"), default=0.0)
        last = max(one["start"] for one in backups)
        if last_full < last_slot(stanza, self.full, now):
            return "full"
        return "diff" if last < last_slot(stanza, self.differential, now) else ""

    def is_test_due(self, stanza: str, last: float, now: float) -> bool:
        """Return whether a test restore is due, if the last one was begun at this moment."""
        # Not the moment of the full backup: there would be little of the log to replay.
        return self.test > 0 and last < last_slot(f"test of {stanza}", self.test, now)


def last_slot(name: str, period: float, now: float) -> float:
    """Return the last moment before now at which the period of this name begins."""
    offset = zlib.crc32(name.encode()) % max(1, int(period))
    return now - (now - offset) % period
