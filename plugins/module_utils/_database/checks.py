# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks of the values in a database's description. A check returns the value in its type, or raises ValueError."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

# A database's name is also a DNS label, a Nomad job, a PostgreSQL role and a Traefik router. This is the narrowest of their rules.
NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
# PostgreSQL's own databases, and two names that it refuses for roles.
RESERVED = frozenset({"postgres", "template0", "template1", "public", "none"})
POOLER_SUFFIX = "-pooler"
# The environment's own host names (role traefik). A database with such a name would take the host name away.
HOST_NAMES = {"nomad": "Nomad's UI", "status": "the status page", "traefik": "Traefik's dashboard"}
# Settings that the job itself decides. https://www.postgresql.org/docs/current/runtime-config.html
MANAGED_SETTINGS = frozenset(
    [
        "archive_cleanup_command",
        "archive_command",
        "archive_library",
        "archive_mode",
        "archive_timeout",
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
        "restore_command",
        "ssl",
        "unix_socket_directories",
    ]
)
SETTING = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?")
# Nomad interpolates this text wherever it occurs in a job.
INTERPOLATION = re.compile(r"[$%]\{|\{\{")
MEBIBYTE = 1024 * 1024
LABEL_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")
LABEL_LENGTH = 200
DURATION = re.compile(r"([1-9][0-9]{0,5})([mhdw])")
UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
NEVER = "never"
EXTENSION = re.compile(r"[a-z][a-z0-9_-]{0,62}")
# Common names of extensions, and their names in CREATE EXTENSION.
EXTENSION_NAMES = {"pgvector": "vector", "uuid": "uuid-ossp"}


def quoted(value: Any) -> str:
    """Return the value for a message: on one line, and cut if it is long."""
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
    """Check one name, several names with commas between them, or a list. Each name is returned once. One error has all problems."""
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


# For each unit of a key: the units that may follow a number, in multiples of the key's unit. Sizes are powers of 1024, as in
# PostgreSQL.
WRITTEN = {
    "MiB": {"m": 1, "mb": 1, "mib": 1, "g": 1024, "gb": 1024, "gib": 1024, "t": 1024**2, "tb": 1024**2, "tib": 1024**2},
    "MHz": {"mhz": 1, "ghz": 1000},
    "seconds": {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400},
}


@dataclass(frozen=True)
class WholeNumber:
    """Checks a number of ``unit``, such as 512, or 1GB if the unit is MiB."""

    low: int
    high: int
    unit: str

    def __call__(self, value: Any) -> int:
        # `-e memory=512` gives a string.
        found = re.fullmatch(r"([0-9]{1,9}) ?([A-Za-z]*)", str(value))
        multiples = {"": 1} | WRITTEN.get(self.unit, {})
        number = int(found[1]) * multiples.get(found[2].lower(), -1) if found else -1
        if not self.low <= number <= self.high:
            raise ValueError(f"{quoted(value)} is not a whole number of {self.unit} from {self.low} to {self.high}")
        return number


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
    """Check a mapping, or lines such as `work_mem = 8MB`, as in postgresql.conf."""
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
    """Return the networks in their usual form. An empty list stands for the networks of the environment."""
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
    """Check a mapping, or `team=web,tier=dev`, which is easier to type in a shell."""
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
    """Check the labels to find databases by. The result is empty if no labels were given."""
    try:
        return check_labels(value) if value is not None and value != "" else {}
    except ValueError as error:
        raise ValueError(f"labels: {error}") from None


def check_duration(value: Any) -> str:
    """Return a ttl as it was given. seconds() returns its length."""
    text = str(value).lower()
    if text != NEVER and not DURATION.fullmatch(text):
        raise ValueError(f"{quoted(value)} is not a time such as 90m, 12h, 7d or 2w, nor {NEVER}")
    return text


def seconds(duration: str) -> int | None:
    """Return the length of a ttl, or None if the ttl never ends."""
    found = DURATION.fullmatch(duration)
    return int(found[1]) * UNITS[found[2]] if found else None


def short_time(length: float) -> str:
    """Return the length in the largest unit that fits, rounded, such as 3d; "due" if no time is left.

    Rounding keeps the text stable: two hours are still 2h a moment later.
    """
    if length <= 0:
        return "due"
    # A unit fits from the length at which the next smaller unit would be rounded up to it.
    units = ((86400, 3600, "d"), (3600, 60, "h"), (60, 1, "m"))
    size, unit = next(((size, unit) for size, smaller, unit in units if length >= size - smaller / 2), (1, "s"))
    return f"{int(length / size + 0.5) or 1}{unit}"


def natural(name: str) -> list[str | int]:
    """Return a key that sorts h-2 before h-10. Text and numbers alternate in it, so that text is never compared with a number."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def option_seconds(option: str, value: str) -> int | None:
    """Return the length of a time that is a module's option, or raise InvalidInput if it is not a time."""
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
