# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each key of a database's description may say. A check returns the value in its type, or raises ValueError."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

# A name is a DNS label, a Nomad job, a PostgreSQL role and a Traefik router at once: the narrowest of their rules.
NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
# PostgreSQL's own, and the two that it refuses as role names.
RESERVED = frozenset({"postgres", "template0", "template1", "public", "none"})
POOLER_SUFFIX = "-pooler"
# The environment's own host names (role traefik), which a new database would take away.
HOST_NAMES = {"nomad": "Nomad's UI", "status": "the status page", "traefik": "Traefik's dashboard"}
# https://www.postgresql.org/docs/current/runtime-config.html: what the job itself decides.
MANAGED_SETTINGS = frozenset(
    [
        "config_file",
        "data_directory",
        "default_transaction_read_only",
        "external_pid_file",
        "hba_file",
        "ident_file",
        "listen_addresses",
        "log_destination",
        "logging_collector",
        "password_encryption",
        "port",
        "ssl",
        "unix_socket_directories",
    ]
)
SETTING = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?")
# Nomad interpolates these in a job, whatever they were meant as.
INTERPOLATION = re.compile(r"[$%]\{|\{\{")
MEBIBYTE = 1024 * 1024
LABEL_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")
LABEL_LENGTH = 200
DURATION = re.compile(r"([1-9][0-9]{0,5})([mhdw])")
UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
NEVER = "never"
EXTENSION = re.compile(r"[a-z][a-z0-9_-]{0,62}")
# What people call them, and what CREATE EXTENSION does.
EXTENSION_NAMES = {"pgvector": "vector", "uuid": "uuid-ossp"}


def quoted(value: Any) -> str:
    """The value as a person recognises it, on one line and short."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:50]}... ({len(text)} characters)"


def check_name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{quoted(value)} is not a string")
    if not value:
        raise ValueError("is empty; which database? Give its name, such as -e db=mydb")
    if value in RESERVED:
        raise ValueError(f"{quoted(value)} is reserved by PostgreSQL")
    if not NAME.fullmatch(value):
        raise ValueError(
            f"{quoted(value)} is not a name: 1 to 63 lower-case letters, digits and hyphens, a letter first, no hyphen last"
        )
    if value.endswith(POOLER_SUFFIX):
        raise ValueError(f"{quoted(value)}: the ending {POOLER_SUFFIX} is reserved for pooled host names")
    return value


def check_names(value: Any) -> list[str]:
    """One name, several with commas between them, or a list, each once; every problem is in the one error."""
    given = [one.strip() for one in value.split(",")] if isinstance(value, str) and value else value or []
    if not isinstance(given, list):
        raise ValueError(f"db: {quoted(value)} is neither a name, nor names with commas between them, nor a list of names")
    problems = []
    for name in given:
        try:
            check_name(name)
        except ValueError as error:
            problems.append(f"db: {error}")
    if problems:
        raise ValueError("; ".join(problems))
    return list(dict.fromkeys(given))


def whole_number(low: int, high: int, unit: str) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        # `-e memory=512` gives a string.
        text = str(value)
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"{quoted(value)} is not a whole number of {unit} from {low} to {high}")
        return int(text)

    return check


def check_boolean(value: Any) -> bool:
    words = {"true": True, "yes": True, "false": False, "no": False}
    found = words.get(str(value).lower())
    if found is None:
        raise ValueError(f"{quoted(value)} is neither true nor false")
    return found


def check_version(value: Any) -> str:
    if not re.fullmatch(r"[0-9]{1,2}", str(value)):
        raise ValueError(f"{quoted(value)} is not a major version of PostgreSQL, such as 17")
    return str(value)


def check_settings(value: Any) -> dict[str, str]:
    """A mapping, or lines such as `work_mem = 8MB`, as in postgresql.conf."""
    if isinstance(value, str) and "=" in value:
        lines = [line.partition("=") for line in value.splitlines() if line.strip()]
        value = {key.strip(): re.sub(r"^'([^']*)'$", r"\1", text.strip()) for key, _equals, text in lines}
    if not isinstance(value, Mapping):
        raise ValueError(f"{quoted(value)} is not a mapping of PostgreSQL's settings to values, nor lines such as work_mem = 8MB")
    settings = {}
    for key, given in value.items():
        if not isinstance(key, str) or not SETTING.fullmatch(key):
            raise ValueError(f"{quoted(key)} is not a setting of PostgreSQL")
        if key in MANAGED_SETTINGS:
            raise ValueError(f"{key} is decided by the platform and cannot be set")
        text = {True: "on", False: "off"}[given] if isinstance(given, bool) else str(given)
        if not isinstance(given, (bool, int, float, str)) or not text.isprintable() or INTERPOLATION.search(text):
            raise ValueError(f"{key}: {quoted(given)} is not a plain value on one line")
        settings[key] = text
    return settings


def check_cidrs(value: Any) -> list[str]:
    """Networks in their usual form. An empty list stands for the environment's own."""
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, list):
        raise ValueError(f"{quoted(value)} is not a list of networks such as [203.0.113.0/24]")
    networks = []
    for one in given:
        text = str(one).strip()
        try:
            networks.append(str(ipaddress.ip_network(text)))
        except ValueError:
            raise ValueError(f"{quoted(text)} is not a network such as 203.0.113.0/24 or 2001:db8::/32") from None
    return sorted(set(networks))


def check_labels(value: Any) -> dict[str, str]:
    """A mapping; or, where a shell makes that awkward, `team=web,tier=dev`."""
    if isinstance(value, str) and all("=" in one for one in value.split(",")):
        value = {key.strip(): text.strip() for key, _equals, text in (one.partition("=") for one in value.split(","))}
    if not isinstance(value, Mapping):
        raise ValueError(f"{quoted(value)} is not a mapping such as {{team: web}}, nor team=web")
    labels = {}
    for key, given in value.items():
        if not LABEL_KEY.fullmatch(str(key)):
            raise ValueError(f"{quoted(key)} is not a label: 1 to 63 letters, digits and the characters . _ / -")
        text = str(given)
        if not isinstance(given, (bool, int, float, str)) or not text.isprintable() or len(text) > LABEL_LENGTH:
            raise ValueError(f"{key}: {quoted(given)} is not a plain value of at most {LABEL_LENGTH} characters")
        labels[str(key)] = text
    return labels


def check_selector(value: Any) -> dict[str, str]:
    """The labels to find databases by; none where nothing was said."""
    try:
        return check_labels(value) if value is not None and value != "" else {}
    except ValueError as error:
        raise ValueError(f"labels: {error}") from None


def check_duration(value: Any) -> str:
    """A ttl as it was given; seconds() tells its length."""
    text = str(value).lower()
    if text != NEVER and not DURATION.fullmatch(text):
        raise ValueError(f"{quoted(value)} is not a time such as 90m, 12h, 7d or 2w, nor {NEVER}")
    return text


def seconds(duration: str) -> int | None:
    """The length of a ttl; None for one that never ends."""
    found = DURATION.fullmatch(duration)
    return int(found[1]) * UNITS[found[2]] if found else None


def short_time(length: float) -> str:
    """Seconds in the largest unit that fits, as in 3d; "due" where they are over."""
    if length <= 0:
        return "due"
    size, unit = next(((size, unit) for size, unit in ((86400, "d"), (3600, "h"), (60, "m")) if length >= size), (1, "s"))
    return f"{int(length // size)}{unit}"


def option_seconds(option: str, value: str) -> int | None:
    """The length of a time that is a module's option; InvalidInput where it is none."""
    try:
        return seconds(check_duration(value))
    except ValueError as error:
        raise InvalidInput(f"{option}: {error}") from None


def check_extensions(value: Any) -> list[str]:
    given = [one.strip() for one in value.split(",")] if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise ValueError(f"{quoted(value)} is not a list of extensions such as [pgvector, hstore]")
    names: list[str] = given
    bad = [one for one in names if not EXTENSION.fullmatch(one)]
    if bad:
        raise ValueError(f"{quoted(bad[0])} is not the name of an extension")
    return sorted({EXTENSION_NAMES.get(one, one) for one in names})


MEMORY = whole_number(32, 16 * MEBIBYTE, "MiB")
# One line per key that a description may have.
KEYS: dict[str, Callable[[Any], Any]] = {
    "name": check_name,
    "version": check_version,
    "memory": MEMORY,
    "memory_max": MEMORY,
    "cpu": whole_number(1, 1_000_000, "MHz"),
    "disk": whole_number(0, 2_000_000_000, "MiB"),
    "connections": whole_number(5, 10_000, "connections"),
    "statement_timeout": whole_number(0, 2_000_000, "seconds"),
    "idle_timeout": whole_number(0, 2_000_000, "seconds"),
    "temp_file_limit": whole_number(0, 2_000_000, "MiB"),
    "settings": check_settings,
    "extensions": check_extensions,
    "allowed_cidrs": check_cidrs,
    "labels": check_labels,
    "ttl": check_duration,
    "protect": check_boolean,
}
