# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates that are not valid now: the only ones that a wrong clock, and no wrong CA, makes untrusted."""

from __future__ import annotations

import re
import time

REASON = re.compile(r"certificate (is not yet valid|has expired)")


def not_valid_now(text: str) -> str | None:
    """What OpenSSL's words say of a certificate's dates, and what to do; None where they say something else."""
    reason = REASON.search(text)
    if not reason:
        return None
    renewal = "; if it is right, run site.yml, which renews certificates" if reason[1] == "has expired" else ""
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    return f"its certificate {reason[1]}; check this machine's clock (it says {now}){renewal}"
