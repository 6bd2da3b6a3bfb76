# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads a moment as people write it, such as `10 minutes ago` or `2026-11-30 12:00`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ansible_collections.infinite.databases.plugins.module_utils._database.checks import quoted

AGO = re.compile(r"([0-9]{1,6}) *(s|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?) +ago")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
CLOCK = re.compile(r"[0-2]?[0-9]:[0-5][0-9](:[0-5][0-9])?")
FORMS = "`10 minutes ago`, `12:00`, `2026-11-30 12:00`, or with a time zone `2026-11-30 12:00:00+01:00`"


def read_moment(text: str, now: datetime) -> datetime | None:
    """Return the moment in UTC; None if the text is empty or `latest`. A moment without a time zone is in UTC.

    Raise ValueError if the text is no moment, or if the moment is in the future.
    """
    given = " ".join(str(text).split())
    if given.lower() in ("", "latest"):
        return None
    if ago := AGO.fullmatch(given.lower()):
        seconds = int(ago[1]) * SECONDS[ago[2][0]]
        if seconds > now.timestamp():
            raise ValueError(f"{quoted(text)} is before 1970")
        return now - timedelta(seconds=seconds)
    if CLOCK.fullmatch(given):
        given = f"{now:%Y-%m-%d} {given.rjust(5, '0')}"
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise ValueError(f"{quoted(text)} is not a moment such as {FORMS}") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if moment > now:
        raise ValueError(f"{shown(moment)} is in the future; it is {shown(now)} now")
    return moment


def shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
