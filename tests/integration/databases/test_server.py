# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a provisioned server is, seen by its user and by an administrator of the node."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from tests.support.user import ROOT, User

RIGHTS = "rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls"
HAS_IPV6 = (proc := Path("/proc/net/if_inet6")).exists() and "0" * 31 + "1 " in proc.read_text()
ENCODING = "concat_ws(' ', pg_encoding_to_char(encoding), datcollate, datctype)"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (f"select {RIGHTS} from pg_roles where rolname = current_user", False),
        ("select pg_get_userbyid(datdba) = current_user from pg_database where datname = current_database()", True),
        ("select has_schema_privilege('public', 'create')", True),
        (f"select {ENCODING} from pg_database where datname = current_database()", "UTF8 C.UTF-8 C.UTF-8"),
        ("show data_checksums", "on"),
        ("show password_encryption", "scram-sha-256"),
        ("show shared_buffers", "64MB"),
        ("show effective_cache_size", "192MB"),
        ("show max_connections", "51"),
        ("show timezone", "UTC"),
        ("show port", "5432"),
        ("select has_database_privilege('public', current_database(), 'connect')", False),
        ("select count(*) from pg_roles where rolcanlogin and rolname not in (current_user, 'postgres')", 2),
        ("select current_setting('server_version_num')::int / 10000", 17),
    ],
)
def test_server(user: User, first: str, sql: str, expected: object) -> None:
    assert user.query(first, sql) == expected


@pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 on this machine")
def test_it_answers_by_ipv6_too(user: User, first: str) -> None:
    """Some clients take names below .localhost for ::1 alone."""
    url = user.url(first)
    for address in ("127.0.0.1", "::1"):
        with psycopg.connect(url, hostaddr=address) as connection:
            assert connection.execute("select 1").fetchone() == (1,)

    context = ssl.create_default_context(cafile=user.ca)
    with socket.create_connection(("::1", user.known["database_web_port"]), timeout=5) as page:
        context.wrap_socket(page, server_hostname=f"status.{user.domain}").close()


@pytest.mark.parametrize(
    "sql",
    [
        "create role other",
        "create database other",
        "alter system set work_mem = '1GB'",
        "copy (select 1) to program 'id'",
        "select pg_read_file('/secrets/wanted')",
        "select rolpassword from pg_authid",
        "set role postgres",
    ],
)
def test_the_owner_is_no_superuser(user: User, first: str, sql: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        user.query(first, sql)


def test_the_superuser_calls_nothing_of_the_owners(user: User, first: str) -> None:
    """As grant.sh would, whose format() has no form for exactly these types."""
    body = "begin create role infinite_test_super superuser; return 'select 1'; end"
    user.query(first, f"create function format(text, text) returns text language plpgsql as $$ {body} $$")
    try:
        user.run("provision", db=first, extensions=["hstore"])
        # Nomad runs grant.sh within a second or two.
        end, made = time.monotonic() + 15, None
        while made is None and time.monotonic() < end:
            made = user.query(first, "select max(extnamespace::regnamespace::text) from pg_extension where extname = 'hstore'")
        assert made == "public"
        assert user.query(first, "select count(*) from pg_roles where rolname = 'infinite_test_super'") == 0
    finally:
        user.query(first, "drop function format(text, text)")


def test_the_verifier_is_what_postgresql_stores(user: User, first: str) -> None:
    """Which it would not be, had PostgreSQL taken it for a password and hashed it."""
    stored = user.as_superuser(
        first, "select json_object_agg(rolname, rolpassword) from pg_authid where rolcanlogin and rolname <> 'postgres'"
    )
    assert json.loads(stored) == user.verifiers(first)
    assert user.as_superuser(first, "select rolpassword is null from pg_authid where rolname = 'postgres'") == "t"


def attempt(url: str, **changes: str) -> str:
    """libpq's message."""
    with pytest.raises(psycopg.OperationalError) as refused:
        psycopg.connect(url, connect_timeout=5, **changes)  # type: ignore[arg-type]
    return str(refused.value)


def test_who_may_not_log_in(user: User, first: str) -> None:
    url = user.url(first)
    assert "password authentication failed" in attempt(url, password="wrong")
    for superuser in ("postgres", "template1"):
        message = attempt(url, user=superuser, password="x")
        assert "password authentication failed" in message or "pg_hba.conf rejects" in message, message
    assert "pg_hba.conf rejects" in attempt(url, user="postgres")
    verifier = user.verifiers(first)[first]
    assert "password authentication failed" in attempt(url, password=verifier)


def test_no_answer_without_the_right_name_or_tls(user: User, first: str) -> None:
    url = user.url(first)
    assert "password" not in attempt(url, sslmode="disable")
    assert "password" not in attempt(url, host=f"infinite-test-nobody.{user.domain}", hostaddr=user.known["database_address"])
    assert "certificate" in attempt(url, sslrootcert="system")


def test_url(user: User, first: str) -> None:
    url = user.url(first)
    login = user.login(first)
    parts = urlsplit(url)
    assert (parts.scheme, parts.hostname, parts.path) == ("postgresql", f"{first}.{user.domain}", f"/{first}")
    assert (parts.username, parts.password) == (login["user"], login["password"])
    assert parse_qs(parts.query) == {"sslmode": ["verify-full"], "sslrootcert": [user.ca]}
    if not shutil.which("psql"):
        pytest.skip("needs psql; molecule's scenario installs it")
    done = subprocess.run(["psql", url, "-XAtc", "select 1"], check=True, capture_output=True, text=True)
    assert done.stdout == "1\n"


def test_lookup_of_several_masked(user: User, first: str) -> None:
    options = {key: user.known[key] for key in ("nomad_address", "nomad_ca_cert", "nomad_token_file", "database_domain")}
    lookup = f"{{{{ query('infinite.databases.url', '{first}', '{first}', masked=true, port=1, ca_cert='') | to_json }}}}"
    command = ["ansible", "localhost", "-m", "ansible.builtin.debug", "-a", f"msg=MASKED{lookup}", "-e", json.dumps(options)]
    quiet = {name: value for name, value in os.environ.items() if not name.startswith(("NOMAD_", "ANSIBLE_"))}
    done = subprocess.run(command, cwd=ROOT, env=quiet, check=True, capture_output=True, text=True)
    assert done.stdout.count(f"postgresql://{first}:********@{first}.{user.domain}:1/{first}?sslmode=verify-full") == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("infinite-test-nobody", "There is no database 'infinite-test-nobody' in Nomad at https://"),
        ("../vault", "is not a name"),
        ("", "is empty"),
    ],
)
def test_url_of_nothing(user: User, name: str, message: str) -> None:
    done = user.run("url", plain=True, fails=True, db=name)
    assert done.out == ""
    assert message in done.err
    assert len(done.problems) == 1


def test_list(user: User, first: str) -> None:
    done = user.run("list", plain=True)
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0] == ["NAME", "STATE", "VERSION", "SIZE", "MEMORY,", "MiB", "CONN", "AGE", "EXPIRES"]
    (line,) = [line for line in lines if line[:1] == [first]]
    assert line[1:3] == ["running", "17"]
    assert float(line[3]) > 1, "some megabytes"
    assert 5 < int(line[5]) < 200, "MiB in use"
    assert line[6:8] == ["of", "64-256"]
    assert max(map(len, done.out.splitlines())) <= 100
    assert user.login(first)["password"] not in done.out
    assert "volumes ready for PostgreSQL 17" in done.out
    assert done.err == ""
