# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The name and the labels of a pull request's database.

The name is derived from a key, which is the pull request's number or the branch's name: `pr-123`, `shop-pr-123`, `pr-login-page`.
If the key has characters that a name cannot have, or if two keys could get the same name, the name ends with a digest of the key.
So two keys never have the same name.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.infinite.databases.plugins.module_utils._database.checks import (
    LABEL_LENGTH,
    check_labels,
    check_name,
    quoted,
)

LABEL, SOURCE, COPY = "preview", "preview-from", "preview-copy"
PENDING = "pending"
WORD = "pr"
KEY_LENGTH = 255
PROJECT_LENGTH, NAME_LENGTH = 20, 63
# A digest has 55 bits after a digit. No word of a language looks like that.
DIGEST = re.compile(r"0[a-z2-7]{11}")


def check_key(what: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"{what}: {quoted(value)} is neither a number nor a name")
    text = str(value)
    if len(text) > KEY_LENGTH or not text.isprintable():
        raise ValueError(f"{what}: {quoted(text)} is not one line of at most {KEY_LENGTH} characters")
    return text


def slug(text: str, length: int) -> str:
    """Return the characters of the text that a name can have."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:length].strip("-")


def digest(project: str, key: str) -> str:
    hashed = hashlib.sha256(json.dumps([project, key]).encode()).digest()
    return "0" + base64.b32encode(hashed).decode().lower()[:11]


def is_unambiguous(name: str, project: str, key: str) -> bool:
    """Return whether no other key has this name: it can be split in one way only, and does not end like a name with a digest."""
    try:
        check_name(name)
    except ValueError:
        return False
    words = [*project.split("-"), *key.split("-")]
    return (
        slug(key, KEY_LENGTH) == key and slug(project, KEY_LENGTH) == project and not (WORD in words or DIGEST.fullmatch(words[-1]))
    )


def name_of(key: Any, project: Any = "") -> str:
    """Return the database's name."""
    text, of_project = check_key("pr", key), check_key("project", project)
    if not text:
        raise ValueError("pr: is empty. Which pull request? Add -e pr=NUMBER, or set PREVIEW_PR to a branch's name")
    name = "-".join(part for part in (of_project, WORD, text) if part)
    if is_unambiguous(name, of_project, text):
        return name
    first = slug(of_project, PROJECT_LENGTH)
    if first and not first[0].isalpha():
        first = f"p{first}"
    start = "-".join(part for part in (first, WORD) if part)
    return "-".join(part for part in (start, slug(text, NAME_LENGTH - len(start) - 14), digest(of_project, text)) if part)


def labels_of(name: str, given: Any, known: Mapping[str, str] | None, source: str) -> dict[str, str]:
    """Return the labels that a preview should have. ``known`` are the labels that it has; ``source`` is the source of its data.

    The label preview-copy says whether the data was copied. If a run is interrupted before that, the next run finishes the copy.
    """
    asked = check_labels(given) if given not in (None, "") else dict(known or {})
    # Of a URL only the host name is shown, because other parts may hold a password.
    parts = urlsplit(source)
    shown = (parts.hostname or "")[:LABEL_LENGTH] if parts.scheme else source
    if known is None or (source and known.get(COPY) == PENDING):
        copy = {SOURCE: shown, COPY: PENDING} if source else {}
    else:
        copy = {key: known[key] for key in (SOURCE, COPY) if key in known}
    return {key: value for key, value in asked.items() if key not in (SOURCE, COPY)} | copy | {LABEL: name}
