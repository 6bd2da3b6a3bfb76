# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Descriptions of databases: which are good, and what is said of those that are not."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.infinite.databases.plugins.module_utils._database import checks as database_checks
from ansible_collections.infinite.databases.plugins.module_utils._database import description as database
from ansible_collections.infinite.databases.plugins.module_utils._database import spec as database_spec
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

VERSIONS = ["15", "17"]
DOMAIN = "db.localhost"
RECORD: dict[str, Any] = {
    "name": "mydb",
    "user": "mydb",
    "password": "p@ss/wörd?&",
    "version": "17",
    "volume": "pg17-0123456789ab",
    "spec": {},
}
DEFAULTS = {"memory": 64, "memory_max": 256, "cpu": 20, "allowed_cidrs": []}

BAD_NAMES = {
    "empty": "",
    "64 characters": "a" * 64,
    "upper case": "MyDb",
    "space": "my db",
    "trailing space": "mydb ",
    "single quote": "my'db",
    "double quote": 'my"db',
    "backquote": "my`db",
    "path": "../x",
    "command": "$(id)",
    "jinja": "{{7*7}}",
    "interpolation": "${env}",
    "newline": "my\ndb",
    "trailing newline": "mydb\n",
    "nul": "my\0db",
    "leading dash": "-mydb",
    "trailing dash": "mydb-",
    "leading digit": "1db",
    "underscore": "my_db",
    "dot": "my.db",
    "unicode letter": "dätabase",
    "unicode digit": "db\u0661",
    "look-alike": "m\u0443db",
    "postgres": "postgres",
    "template0": "template0",
    "template1": "template1",
    "public": "public",
    "pooler": "mydb-pooler",
    "number": 7,
    "none": None,
    "true": True,
    "list": ["mydb"],
}
GOOD_NAMES = ["a", "mydb", "a1", "my-db", "a--b", "a" * 63, "postgres2", "xn--mydb", "pool", "pooler"]


def check(*descriptions: Any) -> list[dict[str, Any]]:
    return database.check_all(list(descriptions), VERSIONS, DOMAIN)


def check_message(error: Exception) -> None:
    """A line that any terminal can show."""
    assert str(error).isprintable()
    assert str(error).isascii()


def problems_of(*descriptions: Any) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        check(*descriptions)
    found: list[str] = caught.value.result["problems"]
    assert all(problem in str(caught.value) for problem in found), "the message lists every problem"
    assert "\n" not in str(caught.value)
    return found


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_good_name(name: str) -> None:
    assert check({"name": name}) == [{"name": name}]


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_bad_name(name: Any) -> None:
    (problem,) = problems_of({"name": name})
    assert problem.startswith("databases[0].name: ")
    assert problem.isprintable()
    assert problem.isascii()


def test_all_bad_names_in_one_pass() -> None:
    found = problems_of(*({"name": name} for name in BAD_NAMES.values()))
    assert [problem.split(":")[0] for problem in found] == [f"databases[{place}].name" for place in range(len(BAD_NAMES))]


@pytest.mark.parametrize(
    ("description", "where", "what"),
    [
        ("mydb", "databases[0]", "is not a mapping"),
        (None, "databases[0]", "is not a mapping"),
        ({}, "databases[0]", "has no name"),
        ({"name": "a", "size": 3}, "a", "unknown key 'size'; known are name, version, memory"),
        ({"name": "a", 3: 3}, "a", "unknown key 3"),
        ({"name": "a", "memory": "much"}, "a.memory", "'much' is not a whole number of MiB"),
        ({"name": "a", "memory": "512X"}, "a.memory", "'512X' is not a whole number"),
        ({"name": "a", "memory": 1.5}, "a.memory", "1.5 is not a whole number"),
        ({"name": "a", "memory": True}, "a.memory", "True is not a whole number"),
        ({"name": "a", "memory": -64}, "a.memory", "-64 is not a whole number"),
        ({"name": "a", "memory": 31}, "a.memory", "from 32 to"),
        ({"name": "a", "memory_max": 63}, "a.memory_max", "from 64 to"),
        ({"name": "a", "memory": "\u0665\u0661\u0662"}, "a.memory", "is not a whole number"),
        ({"name": "a", "memory": [64]}, "a.memory", "[64] is not a whole number"),
        ({"name": "a", "memory": 512, "memory_max": 256}, "a.memory_max", "256 is less than memory, 512"),
        ({"name": "a", "cpu": 0}, "a.cpu", "0 is not a whole number of MHz"),
        ({"name": "a", "cpu": 1}, "a.cpu", "1 is not a whole number of MHz from 2"),
        ({"name": "a", "version": "9"}, "a.version", "9 is not supported here; supported are 15, 17"),
        ({"name": "a", "version": "17.6"}, "a.version", "'17.6' is not a major version"),
        ({"name": "a", "version": "latest"}, "a.version", "'latest' is not a major version"),
        ({"name": "a", "version": True}, "a.version", "True is not a major version"),
        ({"name": "a", "protect": "maybe"}, "a.protect", "'maybe' is neither true nor false"),
        ({"name": "a", "settings": "work_mem 4MB"}, "a.settings", "is not a mapping"),
        ({"name": "a", "settings": {"port": 1}}, "a.settings", "port is decided by the platform"),
        ({"name": "a", "settings": {"hba_file": "/x"}}, "a.settings", "hba_file is decided by the platform"),
        ({"name": "a", "settings": {"Work Mem": 1}}, "a.settings", "'Work Mem' is not a setting"),
        ({"name": "a", "settings": {"-c": 1}}, "a.settings", "'-c' is not a setting"),
        ({"name": "a", "settings": {"work_mem": None}}, "a.settings", "work_mem: None is not a plain value"),
        ({"name": "a", "settings": {"work_mem": "1\n2"}}, "a.settings", "is not a plain value"),
        ({"name": "a", "settings": {"work_mem": "${env}"}}, "a.settings", "is not a plain value"),
        ({"name": "a", "settings": {"work_mem": "%{if}"}}, "a.settings", "is not a plain value"),
        ({"name": "a", "settings": {"work_mem": "{{ env }}"}}, "a.settings", "is not a plain value"),
    ],
)
def test_bad_description(description: Any, where: str, what: str) -> None:
    (problem,) = problems_of(description)
    assert problem.startswith(f"{where}: ")
    assert what in problem


def test_every_problem_is_found_and_located() -> None:
    found = problems_of(
        {"name": "good"},
        {"name": "$(id)", "memory": "much", "colour": "blue"},
        {"name": "good"},
        {"name": "other", "version": "9"},
        7,
    )
    assert [problem.split(": ")[0] for problem in found] == [
        "databases[1].name",
        "databases[1].memory",
        "databases[1]",
        "other.version",
        "databases[4]",
        "databases[2].name",
    ]
    assert found[-1] == "databases[2].name: 'good' is also the name of databases[0]"


@pytest.mark.parametrize("given", [None, "mydb", {"name": "mydb"}, 3])
def test_not_a_list(given: Any) -> None:
    with pytest.raises(InvalidInput, match="is not a list of descriptions"):
        database.check_all(given, VERSIONS, DOMAIN)


def test_long_values_are_shortened() -> None:
    (problem,) = problems_of({"name": "x" * 10_000})
    assert len(problem) < 250
    assert "10002 characters" in problem


def test_name_too_long_for_the_domain() -> None:
    domain = ".".join(["d" * 60] * 4)
    with pytest.raises(InvalidInput, match="too long for a host name"):
        database.check_all([{"name": "a" * 20}], VERSIONS, domain)


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ({"memory": "512"}, {"memory": 512}),
        ({"memory": "", "version": "", "settings": "", "protect": None}, {}),
        ({"version": 17}, {"version": "17"}),
        ({"protect": "True"}, {"protect": True}),
        ({"protect": "no"}, {"protect": False}),
        ({"settings": {"jit": True, "seq_page_cost": 1.5}}, {"settings": {"jit": "on", "seq_page_cost": "1.5"}}),
        ({"settings": {"auto_explain.log_analyze": False}}, {"settings": {"auto_explain.log_analyze": "off"}}),
    ],
)
def test_values_get_their_types(description: dict[str, Any], expected: dict[str, Any]) -> None:
    assert check({"name": "mydb"} | description) == [{"name": "mydb"} | expected]


@given(st.one_of(st.text(max_size=70), st.from_regex(r"\A[a-z0-9-]{0,66}\n?\Z"), st.integers(), st.none(), st.binary()))
def test_an_accepted_name_is_safe_everywhere(name: Any) -> None:
    try:
        accepted = database_checks.check_name(name)
    except ValueError as error:
        check_message(error)
        return
    # A DNS label (RFC 1123), and so nothing that a path, HCL, a Traefik rule in backquotes, SQL or a shell would read as its own.
    assert re.fullmatch(r"(?!-)[a-z0-9-]{1,63}(?<!-)", accepted, re.ASCII)
    assert accepted[0].isalpha()
    # PostgreSQL reserves this beginning for its own roles, and "public" and "none" for no role at all.
    assert not accepted.startswith("pg_")
    assert accepted not in ("public", "none", "postgres", "template0", "template1")
    # A pool's jobs are named apart from any database.
    assert not accepted.startswith("_")
    url = urlsplit(database.connection_url(RECORD | {"name": accepted, "user": accepted}, DOMAIN, 5432))
    assert (url.username, url.hostname, url.path) == (accepted, f"{accepted}.{DOMAIN}", f"/{accepted}")


@given(st.dictionaries(st.text(max_size=20), st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none())))
def test_accepted_settings_are_plain(settings: dict[str, Any]) -> None:
    try:
        accepted = database_checks.check_settings(settings)
    except ValueError as error:
        check_message(error)
        return
    for key, value in accepted.items():
        assert re.fullmatch(r"[a-z][a-z0-9_.]*", key, re.ASCII)
        assert value.isprintable()
        assert "${" not in value
        assert "{{" not in value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda more: st.lists(more) | st.dictionaries(st.text(), more)
    )
)
def test_any_input_ends_in_descriptions_or_one_error(given_: Any) -> None:
    try:
        database.check_all(given_, VERSIONS, DOMAIN)
    except InvalidInput as error:
        check_message(error)


@pytest.mark.parametrize(
    ("listed", "only", "options", "expected"),
    [
        ([{"name": "a"}], None, {"memory": 9}, [{"name": "a"}]),
        ([], "a", {}, [{"name": "a"}]),
        ("no list", "a", {}, [{"name": "a"}]),
        ([{"name": "a", "memory": 64}, {"name": "b"}], "a", {}, [{"name": "a", "memory": 64}]),
        ([{"name": "a", "memory": 64}], "a", {"memory": 128, "cpu": "", "version": None}, [{"name": "a", "memory": 128}]),
        ([{"name": "a"}, {"name": "a"}], "a", {}, [{"name": "a"}, {"name": "a"}]),
        ([7, {"name": "a"}], "b", {}, [{"name": "b"}]),
        ([], "", {}, [{"name": ""}]),
        ([{"name": "b", "cpu": 5}], "a, b", {"memory": 9}, [{"name": "a", "memory": 9}, {"name": "b", "cpu": 5, "memory": 9}]),
        ([], ["a", "b"], {}, [{"name": "a"}, {"name": "b"}]),
        ([], 7, {}, [{"name": 7}]),
    ],
)
def test_select(listed: Any, only: Any, options: dict[str, Any], expected: Any) -> None:
    assert database.select(listed, only, options) == expected


def test_spec_module() -> None:
    params = {
        "databases": [{"name": "a", "memory": 64}],
        "only": "a",
        "options": {"cpu": "50"},
        "versions": VERSIONS,
        "domain": DOMAIN,
        "disk_quota": False,
        "backups": True,
    }
    assert database_spec.SPEC.execute(params, False) == {"changed": False, "databases": [{"name": "a", "memory": 64, "cpu": 50}]}
    failed = database_spec.SPEC.execute(params | {"only": "A", "options": {"memory": "x"}}, False)
    assert failed["failed"]
    assert failed["msg"].startswith("2 problems, nothing was changed: databases[0].name: 'A' is not a name")
    assert len(failed["problems"]) == 2


def test_connection_url() -> None:
    url = database.connection_url(RECORD, DOMAIN, 6432, "/tmp/ca dir/ca.crt")
    parts = urlsplit(url)
    assert (parts.scheme, parts.username, parts.hostname, parts.port, parts.path) == (
        "postgresql",
        "mydb",
        "mydb.db.localhost",
        6432,
        "/mydb",
    )
    assert {unquote(parts.password or "")} == {RECORD["password"]}
    assert parse_qs(parts.query) == {"sslmode": ["verify-full"], "sslrootcert": ["/tmp/ca dir/ca.crt"]}
    public = database.connection_url(RECORD, DOMAIN, 5432)
    assert public == url.partition("?")[0].replace(":6432", ":5432") + "?sslmode=verify-full&sslrootcert=system"


def test_connection_url_masked() -> None:
    url = database.connection_url(RECORD, DOMAIN, 5432, masked=True)
    assert ":********@" in url
    assert RECORD["password"] not in unquote(url)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_any_password_survives_the_url(password: str) -> None:
    url = database.connection_url(RECORD | {"password": password}, DOMAIN, 5432, "/ca")
    assert unquote(urlsplit(url).password or "") == password
    assert urlsplit(url).hostname == "mydb.db.localhost"
    java = database.connection_environment(RECORD | {"password": password}, DOMAIN, 5432, "/ca")["JDBC_DATABASE_URL"]
    address, _mark, query = java.partition("?")
    assert address == "jdbc:postgresql://mydb.db.localhost:5432/mydb"
    assert parse_qs(query) == {
        "user": ["mydb"],
        "password": [password],
        "sslmode": ["verify-full"],
        "sslrootcert": ["/ca"],
    }


def test_jdbc_url_with_a_public_certificate_and_masked() -> None:
    url = database.jdbc_url(RECORD, DOMAIN, 5432, masked=True)
    assert url.endswith("?user=mydb&password=********&sslmode=verify-full&sslfactory=org.postgresql.ssl.DefaultJavaSSLFactory")
    assert RECORD["password"] not in unquote(url)


@pytest.mark.parametrize(
    ("memory_max", "shared_buffers", "max_connections"),
    [(64, "16MB", "12"), (256, "64MB", "51"), (1024, "256MB", "204"), (16384, "4096MB", "500")],
)
def test_server_settings_follow_memory(memory_max: int, shared_buffers: str, max_connections: str) -> None:
    settings = database.server_settings(memory_max, {})
    assert (settings["shared_buffers"], settings["max_connections"]) == (shared_buffers, max_connections)


@given(st.integers(32, 16 * 1024 * 1024))
def test_server_settings_fit_the_memory(memory_max: int) -> None:
    settings = database.server_settings(memory_max, {})
    sizes = {key: int(value.removesuffix("MB")) for key, value in settings.items() if value.endswith("MB")}
    assert sizes["shared_buffers"] + sizes["maintenance_work_mem"] <= memory_max
    assert sizes["effective_cache_size"] < memory_max
    assert sizes["min_wal_size"] < sizes["max_wal_size"]
    assert all(isinstance(value, str) for value in settings.values())


def test_own_settings_win_over_ours_but_not_over_the_platforms() -> None:
    own = {"work_mem": "1GB", **dict.fromkeys(database_checks.MANAGED_SETTINGS, "mine")}
    settings = database.server_settings(256, own)
    assert settings["work_mem"] == "1GB"
    decided = {key for key in database_checks.MANAGED_SETTINGS if settings[key] != "mine"}
    assert {"hba_file", "listen_addresses", "port", "unix_socket_directories", "password_encryption"} <= decided


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, (64, 256, 20)),
        ({"memory": 128}, (128, 256, 20)),
        ({"memory": 512}, (512, 512, 20)),
        ({"memory": 512, "memory_max": 1024, "cpu": 500}, (512, 1024, 500)),
        ({"memory_max": 64}, (64, 64, 20)),
        # As one that was accepted before there was a least.
        ({"memory": 32, "memory_max": 32}, (32, 64, 20)),
    ],
)
def test_job_variables(spec: dict[str, Any], expected: tuple[int, int, int]) -> None:
    made = database.job_variables(RECORD | {"spec": spec}, DEFAULTS, {"17": "image:17"}, DOMAIN, "databases")
    assert (made["memory"], made["memory_max"], made["cpu"]) == expected
    assert (made["name"], made["host"], made["image"]) == ("mydb", "mydb.db.localhost", "image:17")
    assert RECORD["password"] not in str(made)
    assert all(isinstance(value, str) for value in made["meta"].values())


def test_protecting_a_database_does_not_restart_it() -> None:
    plain, protected = (
        database.job_variables(RECORD | {"spec": {"protect": protect}}, DEFAULTS, {"17": "image"}, DOMAIN, "databases")
        for protect in (False, True)
    )
    assert plain == protected


def test_backups_need_a_repository() -> None:
    asked = [{"name": "a", "backup": "true"}]
    assert database.check_all(asked, VERSIONS, DOMAIN)[0]["backup"] is True
    with pytest.raises(InvalidInput, match=r"a\.backup: there is no repository here; set backup_s3_bucket or backup_directory"):
        database.check_all(asked, VERSIONS, DOMAIN, backups=False)
    assert database.check_all([{"name": "a", "backup": False}], VERSIONS, DOMAIN, backups=False)[0]["backup"] is False


@pytest.mark.parametrize(
    ("key", "backup", "expected"), [(None, True, "on"), (None, False, None), (False, True, None), (True, False, None)]
)
def test_backed_up_where_there_is_a_repository(key: bool | None, backup: bool, expected: str | None) -> None:
    spec = {} if key is None else {"backup": key}
    record = {"name": "a", "version": "17", "volume": "v", "spec": spec}
    defaults = {"memory": 64, "memory_max": 256, "cpu": 5, "allowed_cidrs": [], "backup": backup}
    settings = database.job_variables(record, defaults, {"17": "image"}, DOMAIN, "databases")["settings"]
    assert settings.get("archive_mode") == expected
    assert ("/volume/run" in settings["unix_socket_directories"]) == bool(expected)
