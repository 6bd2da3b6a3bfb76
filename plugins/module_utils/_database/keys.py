# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The registry of the keys of a database's description, one row for each key. scripts/generate writes every list of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.checks import (
    MEBIBYTE,
    WholeNumber,
    check_boolean,
    check_cidrs,
    check_duration,
    check_extensions,
    check_labels,
    check_name,
    check_settings,
    check_version,
)


@dataclass(frozen=True)
class Key:
    # Returns the value in its type, or raises ValueError.
    check: Callable[[Any], Any]
    # What the key means, in Markdown, for all documentation.
    meaning: str
    # In words, what is used when the key is not given and `default` is None.
    without: str = ""
    # The value when the key is not given, unless the environment sets another default (database_defaults).
    default: int | None = None
    # The setting of PostgreSQL that the key sets, and the format of the setting's value.
    setting: tuple[str, str] | None = None
    # Other words for the key, which its spelling does not suggest.
    words: tuple[str, ...] = ()
    # The page of docs/ that says more.
    page: str = ""
    # The separator between several values in one text; empty if the key has a single value.
    between: str = ""

    @property
    def unit(self) -> str:
        """MiB, MHz, seconds or connections; empty if the value is not a number."""
        return self.check.unit if isinstance(self.check, WholeNumber) else ""

    @property
    def without_it(self) -> str:
        return self.without if self.default is None else str(self.default)


# A server with this many MiB does not run out of memory while all of its connections work. docs/limits.md says how this was
# measured.
LEAST_MEMORY_MAX = 64
MEMORY = WholeNumber(32, 16 * MEBIBYTE, "MiB")
KEYS: dict[str, Key] = {
    "name": Key(
        check_name, "1 to 63 lower-case letters, digits and hyphens: the name of the database, of its owner and of its host."
    ),
    "version": Key(
        check_version,
        "PostgreSQL's major version. It cannot be changed afterwards.",
        "17, or the newest where there is no 17",
        words=("postgres", "postgres_version", "major"),
    ),
    "memory": Key(MEMORY, "MiB reserved on the node.", default=64, words=("ram",)),
    "memory_max": Key(
        WholeNumber(LEAST_MEMORY_MAX, 16 * MEBIBYTE, "MiB"),
        "MiB that the database may use while the node has them free. PostgreSQL's own settings are derived from this key.",
        default=256,
        words=("max_memory", "ram_max"),
    ),
    # Docker starts no container with fewer than two CPU shares.
    "cpu": Key(
        WholeNumber(2, 1_000_000, "MHz"),
        "MHz reserved on the node. The database uses more while the node has more free.",
        default=5,
        words=("cores",),
    ),
    "disk": Key(
        WholeNumber(0, 2_000_000_000, "MiB"),
        "MiB that the data may take. It needs hosts whose kernel has XFS project quotas, and is refused on others. 0 for no limit.",
        "no limit",
        words=("size", "storage", "quota"),
        page="limits",
    ),
    "connections": Key(
        WholeNumber(5, 10_000, "connections"),
        "How many clients may be connected, 5 to 10000.",
        "derived from `memory_max`",
        words=("max_connections",),
    ),
    "statement_timeout": Key(
        WholeNumber(0, 2_000_000, "seconds"),
        "Seconds after which a statement is ended; 0 for never.",
        "never",
        setting=("statement_timeout", "{}s"),
    ),
    "idle_timeout": Key(
        WholeNumber(0, 2_000_000, "seconds"),
        "Seconds after which an idle session is ended; 0 for never.",
        "never",
        setting=("idle_session_timeout", "{}s"),
        words=("idle_session_timeout",),
    ),
    "idle_in_transaction_timeout": Key(
        WholeNumber(0, 2_000_000, "seconds"),
        "Seconds after which a session that is idle inside a transaction is ended; 0 for never.",
        "never",
        setting=("idle_in_transaction_session_timeout", "{}s"),
        words=("idle_in_transaction_session_timeout",),
    ),
    "temp_file_limit": Key(
        WholeNumber(0, 2_000_000, "MiB"),
        "MiB of temporary files of one session; 0 for no limit.",
        "no limit",
        setting=("temp_file_limit", "{}MB"),
    ),
    "settings": Key(
        check_settings,
        "A mapping of PostgreSQL's settings, such as `{work_mem: 8MB}`, or lines such as `work_mem = 8MB`.",
        words=("parameters", "config"),
        between="\n",
    ),
    "extensions": Key(
        check_extensions,
        "A list, such as `[pgvector, postgis, pg_cron]`, or `pgvector,hstore`. An extension that the image lacks is refused; the "
        "message lists the extensions that the image has.",
        words=("plugins",),
        between=",",
    ),
    "allowed_cidrs": Key(
        check_cidrs,
        "The networks that clients may come from: a list, or text with commas. A change takes effect within seconds, without a "
        "restart.",
        "the networks of the environment (`environment_allowed_cidrs`), or all",
        words=("cidrs", "networks", "allow"),
        between=",",
    ),
    "labels": Key(
        check_labels,
        "A mapping, or `team=web,tier=dev`. Verbs find databases by their labels.",
        words=("tags",),
        between=",",
    ),
    "ttl": Key(
        check_duration,
        "The time after which `expire` destroys the database, such as `12h` or `7d`. It counts from the database's creation, or "
        "from when it was brought back. `never` takes a ttl away.",
        "`never`",
        words=("lifetime", "expires"),
    ),
    "backup": Key(
        check_boolean,
        "`false` leaves the database out of the backups. A change restarts the database.",
        "`true`, if the environment has a repository for backups (`backup_s3_bucket` or `backup_directory`)",
        words=("backups",),
        page="backup",
    ),
    "protect": Key(check_boolean, "`true` protects the database from being destroyed.", "`false`", words=("protected",)),
}
# The keys that a database which is restored from another one does not take over.
NOT_COPIED = ("ttl", "protect", "labels")
# The keys that a run may give besides the name (`-e db=NAME -e KEY=VALUE`).
OPTIONS = {name: key for name, key in KEYS.items() if name != "name"}
# The key that each of the other words stands for.
SYNONYMS = {word: name for name, key in KEYS.items() for word in key.words}
