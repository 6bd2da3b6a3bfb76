# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any


def htpasswd(password: str, user: str) -> str:
    """Return a user's line for basic authentication: `user:{SHA}...`, the only form that needs no library.

    The hash is fast and has no salt. This is safe for the 190 random bits that role traefik makes, but not for a password that a
    person chose.
    """
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return f"{user}:{{SHA}}{base64.b64encode(digest).decode()}"


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"htpasswd": htpasswd}
