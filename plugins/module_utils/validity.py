# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Recognizes certificates that are not valid now. The reason for this may be a wrong clock, and never a wrong CA."""

from __future__ import annotations

import re
import time

REASON = re.compile(r"certificate (is not yet valid|has expired)")


def not_valid_now(text: str) -> str | None:
    """Return a message if OpenSSL's text says that a certificate is not valid now; otherwise None."""
    reason = REASON.search(text)
    if not reason:
        return None
    renewal = "; if it is right, run site.yml, which renews certificates" if reason[1] == "has expired" else ""
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    return f"its certificate {reason[1]}; check this machine's clock (it says {now}){renewal}"
