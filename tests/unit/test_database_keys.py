# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the newer keys of a description may say, and what follows from them for the server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.infinite.databases.plugins.module_utils._database import checks, keys
from ansible_collections.infinite.databases.plugins.module_utils._database import description as database
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput


@pytest.mark.parametrize(
    ("key", "given_value", "value"),
    [
        ("allowed_cidrs", ["203.0.113.0/24", "2001:DB8::/32"], ["2001:db8::/32", "203.0.113.0/24"]),
        ("allowed_cidrs", "10.0.0.1, 10.0.0.1", ["10.0.0.1/32"]),
        ("allowed_cidrs", [], []),
        ("settings", {"work_mem": "8MB", "jit": False}, {"work_mem": "8MB", "jit": "off"}),
        ("settings", "work_mem = 8MB\n\nsearch_path='a, b'", {"work_mem": "8MB", "search_path": "a, b"}),
        ("labels", {"team": "web", "cost/center": 7}, {"team": "web", "cost/center": "7"}),
        ("labels", "team=web, cost/center=7=x", {"team": "web", "cost/center": "7=x"}),
        ("ttl", "7D", "7d"),
        ("ttl", "never", "never"),
        ("extensions", ["pgvector", "hstore", "vector"], ["hstore", "vector"]),
        ("extensions", "postgis,pg_cron", ["pg_cron", "postgis"]),
        ("connections", "50", 50),
        ("statement_timeout", 0, 0),
        ("statement_timeout", "5s", 5),
        ("idle_timeout", "10 min", 600),
        ("idle_in_transaction_timeout", "1h", 3600),
        ("memory", "1GB", 1024),
        ("memory_max", "2gib", 2048),
        ("disk", "1TB", 1024**2),
        ("cpu", "2GHz", 2000),
    ],
)
def test_good(key: str, given_value: Any, value: Any) -> None:
    assert keys.KEYS[key].check(given_value) == value


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("allowed_cidrs", ["10.0.0.1/24"], "'10.0.0.1/24' is not a network"),
        ("allowed_cidrs", ["`"], "is not a network"),
        ("allowed_cidrs", 7, "is not a list of networks"),
        ("labels", "team", "is not a mapping"),
        ("labels", "team=web,tier", "is not a mapping"),
        ("labels", {"a b": "c"}, "'a b' is not a label"),
        ("labels", {"a": "b\nc"}, "is not a plain value"),
        ("labels", {"a": ["b"]}, "is not a plain value"),
        ("ttl", "7", "'7' is not a time such as 90m"),
        ("ttl", "0d", "'0d' is not a time"),
        ("ttl", "-1d", "is not a time"),
        ("extensions", ["a; drop table b"], "is not the name of an extension"),
        ("extensions", {"a": 1}, "is not a list of extensions"),
        ("connections", 1, "from 5 to 10000"),
        ("temp_file_limit", "1PB", "is not a whole number of MiB"),
        ("disk", "10 s", "is not a whole number of MiB"),
        ("memory", "1kB", "is not a whole number of MiB from 32 to"),
        ("memory", "99999999TB", "is not a whole number of MiB from 32 to"),
        ("connections", "5MB", "from 5 to 10000"),
        ("settings", {"default_transaction_read_only": False}, "is decided by the platform"),
        ("settings", "work_mem", "nor lines such as"),
        ("settings", "work_mem=8MB\nnonsense here", "'nonsense here' is not a setting"),
    ],
)
def test_bad(key: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        keys.KEYS[key].check(value)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


@given(st.one_of(st.text(), st.lists(st.text(max_size=50), max_size=3)))
def test_what_is_accepted_cannot_break_out(value: Any) -> None:
    """Networks become Traefik's rules, extensions a line of the file that the server reads."""
    for key, alphabet in (("allowed_cidrs", "0123456789abcdef.:/"), ("extensions", "abcdefghijklmnopqrstuvwxyz0123456789_-")):
        try:
            accepted = keys.KEYS[key].check(value)
        except ValueError:
            continue
        assert set("".join(accepted)) <= set(alphabet)


@pytest.mark.parametrize(
    ("text", "length"), [("90m", 5400), ("12h", 43200), ("7d", 604800), ("2w", 1209600), ("never", None), ("", None)]
)
def test_seconds(text: str, length: int | None) -> None:
    assert checks.seconds(text) == length


def variables(**spec: Any) -> dict[str, Any]:
    record = {"name": "mydb", "version": "17", "volume": "v", "spec": spec}
    defaults = {"memory": 64, "memory_max": 256, "cpu": 20, "allowed_cidrs": ["10.0.0.0/8"]}
    return database.job_variables(record, defaults, {"17": "image"}, "x", "databases")


def test_limits_are_settings() -> None:
    limits = {"statement_timeout": 30, "idle_timeout": 600, "idle_in_transaction_timeout": 60, "temp_file_limit": 100}
    settings = variables(connections=50, **limits)["settings"]
    assert settings["max_connections"] == "53"
    assert settings["statement_timeout"] == "30s"
    assert settings["idle_session_timeout"] == "600s"
    assert settings["idle_in_transaction_session_timeout"] == "60s"
    assert settings["temp_file_limit"] == "100MB"
    assert variables(temp_file_limit=0)["settings"]["temp_file_limit"] == "-1", "none"
    assert "statement_timeout" not in variables()["settings"]
    assert variables(connections=50, settings={"max_connections": "7"})["settings"]["max_connections"] == "7", "own settings win"


def test_a_size_is_told_to_the_host() -> None:
    assert variables(disk=2048)["meta"]["infinite_disk"] == "2048"
    assert "infinite_disk" not in variables()["meta"], "a database without one is not restarted for this"
    assert "infinite_disk" not in variables(disk=0)["meta"], "no limit any more"


@pytest.mark.parametrize(
    ("disk", "quota", "message"),
    [
        (2048, True, None),
        (0, False, None),
        ("", False, None),
        (2048, False, "mydb.disk: a size cannot be enforced here, because the hosts' kernel has no XFS project quotas"),
        (512, True, "mydb.disk: 512 is less than 1024 MiB"),
    ],
)
def test_a_size_where_it_cannot_be_enforced(disk: Any, quota: bool, message: str | None) -> None:
    given = [{"name": "mydb", "disk": disk}]
    if message is None:
        assert database.check_all(given, ["17"], "x", quota)[0]["name"] == "mydb"
        return
    with pytest.raises(InvalidInput) as refused:
        database.check_all(given, ["17"], "x", quota)
    assert message in str(refused.value)
    assert "nothing was changed" in str(refused.value)


def test_extensions_that_have_to_be_loaded() -> None:
    settings = variables(extensions=["pg_cron", "pg_stat_statements", "vector"], settings={"shared_preload_libraries": "mine"})[
        "settings"
    ]
    assert settings["shared_preload_libraries"] == "mine,pg_cron,pg_stat_statements"
    assert settings["cron.database_name"] == "mydb"
    assert settings["cron.use_background_workers"] == "on"
    assert "shared_preload_libraries" not in variables(extensions=["vector"])["settings"]


def test_the_environments_networks_apply_where_none_are_given() -> None:
    assert variables()["allowed_cidrs"] == ["10.0.0.0/8"]
    assert variables(allowed_cidrs=["192.0.2.0/24"])["allowed_cidrs"] == ["192.0.2.0/24"]
    assert variables(allowed_cidrs=[])["allowed_cidrs"] == ["10.0.0.0/8"]


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (0, "due"),
        (-5, "due"),
        (0.2, "1s"),
        (59.4, "59s"),
        (59.6, "1m"),
        (40 * 60, "40m"),
        (3600 - 29, "1h"),
        (7200 - 1, "2h"),
        (7 * 86400 - 2, "7d"),
        (23 * 3600, "23h"),
        (86400 - 60, "1d"),
        (400 * 86400, "400d"),
    ],
)
def test_short_time(length: float, text: str) -> None:
    assert checks.short_time(length) == text
