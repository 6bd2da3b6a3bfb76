# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The database of a pull request: its name and its labels.

The name follows from the key, the pull request's number or the branch's name: `pr-123`, `shop-pr-123`, `pr-login-page`. Where
something of the key cannot be in a name, or the name would not tell which key it is of, a digest of the key is its last word.
So no two keys have one name.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.infinite.databases.plugins.module_utils.database_keys import LABEL_LENGTH, check_labels, check_name, quoted

LABEL, SOURCE, COPY = "preview", "preview-from", "preview-copy"
PENDING = "pending"
WORD = "pr"
KEY_LENGTH = 255
PROJECT_LENGTH, NAME_LENGTH = 20, 63
# 55 bits behind a digit, so that no word of a language is taken for one.
DIGEST = re.compile(r"0[a-z2-7]{11}")


def check_key(what: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"{what}: {quoted(value)} is neither a number nor a name")
    text = str(value)
    if len(text) > KEY_LENGTH or not text.isprintable():
        raise ValueError(f"{what}: {quoted(text)} is not one line of at most {KEY_LENGTH} characters")
    return text


def slug(text: str, length: int) -> str:
    """What of it can be in a name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:length].strip("-")


def digest(project: str, key: str) -> str:
    hashed = hashlib.sha256(json.dumps([project, key]).encode()).digest()
    return "0" + base64.b32encode(hashed).decode().lower()[:11]


def says_all(name: str, project: str, key: str) -> bool:
    """Whether the name is of this key alone: it can be taken apart in one way, and does not end as those with a digest do."""
    try:
        check_name(name)
    except ValueError:
        return False
    words = [*project.split("-"), *key.split("-")]
    return (
        slug(key, KEY_LENGTH) == key and slug(project, KEY_LENGTH) == project and not (WORD in words or DIGEST.fullmatch(words[-1]))
    )


def name_of(key: Any, project: Any = "") -> str:
    """The database's name."""
    text, of_project = check_key("pr", key), check_key("project", project)
    if not text:
        raise ValueError("pr: is empty. Which pull request? Add -e pr=NUMBER, or set PREVIEW_PR to a branch's name")
    name = "-".join(part for part in (of_project, WORD, text) if part)
    if says_all(name, of_project, text):
        return name
    first = slug(of_project, PROJECT_LENGTH)
    if first and not first[0].isalpha():
        first = f"p{first}"
    start = "-".join(part for part in (first, WORD) if part)
    return "-".join(part for part in (start, slug(text, NAME_LENGTH - len(start) - 14), digest(of_project, text)) if part)


def labels_of(name: str, given: Any, known: Mapping[str, str] | None, source: str) -> dict[str, str]:
    """The labels that a preview shall have. ``known``: those it has; ``source``: where a new one's data comes from.

    preview-copy tells whether that was copied, so that a run that was interrupted before is finished by the next.
    """
    asked = check_labels(given) if given not in (None, "") else dict(known or {})
    # A URL is told without what may be a password.
    parts = urlsplit(source)
    shown = (parts.hostname or "")[:LABEL_LENGTH] if parts.scheme else source
    if known is None or (source and known.get(COPY) == PENDING):
        copy = {SOURCE: shown, COPY: PENDING} if source else {}
    else:
        copy = {key: known[key] for key in (SOURCE, COPY) if key in known}
    return {key: value for key, value in asked.items() if key not in (SOURCE, COPY)} | copy | {LABEL: name}
