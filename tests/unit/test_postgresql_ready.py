# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is said of a database that does not answer, and who is trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database.connection import find_system_cas
from ansible_collections.infinite.databases.plugins.module_utils._database.ready import BY_OWNER, explain

FAILED = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("text", "meaning", "own_words"),
    [
        (
            "[Errno -2] Name or service not known",
            "its name does not resolve",
            "[Errno -2] Name or service not known",
        ),
        (
            FAILED + "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
            "nothing listens there",
            "Connection refused",
        ),
        (FAILED + "SSL error: certificate verify failed", "its certificate is not trusted", "SSL error: certificate verify failed"),
        (
            FAILED + "SSL error: provider signature failure",
            "its certificate is not trusted",
            "SSL error: provider signature failure",
        ),
        (
            FAILED + 'root certificate file "/x/ca.crt" does not exist\nEither provide the file.',
            "its certificate is not trusted",
            'root certificate file "/x/ca.crt" does not exist',
        ),
        (
            FAILED + 'server certificate for "a" does not match host name "b"',
            "its certificate is for another name",
            'server certificate for "a" does not match host name "b"',
        ),
        (
            FAILED + 'FATAL:  password authentication failed for user "a"',
            "it refuses the password",
            'FATAL:  password authentication failed for user "a"',
        ),
        (
            FAILED + 'FATAL:  database "a" does not exist',
            "the server runs, but has no such database",
            'FATAL:  database "a" does not exist',
        ),
        (
            FAILED + "SSL error: tlsv1 unrecognized name",
            "Traefik has no running server",
            "SSL error: tlsv1 unrecognized name",
        ),
        (
            FAILED + "server closed the connection unexpectedly",
            "Traefik has no running server",
            "server closed the connection unexpectedly",
        ),
        ("connection timeout expired", "no answer", "connection timeout expired"),
    ],
)
def test_explain(text: str, meaning: str, own_words: str) -> None:
    explained = explain(text)
    assert explained.startswith(meaning)
    assert explained.endswith(f"({own_words})")


@pytest.mark.parametrize(("text", "expected"), [("", "no reason given"), ("  \n ", "no reason given"), ("a\nb\n", "a")])
def test_explain_what_nobody_knows(text: str, expected: str) -> None:
    assert explain(text) == expected


@pytest.mark.parametrize(
    ("words", "by_owner"),
    [
        ('database "my-db" does not exist', True),
        ('password authentication failed for user "mydb_b"', True),
        ('too many connections for database "mydb"', True),
        ('too many connections for role "mydb"', True),
        ('database "mydb" is not currently accepting connections', True),
        ('permission denied for database "mydb"', True),
        ("sorry, too many clients already", False),
        ("the database system is starting up", False),
        ('role "mydb" is not permitted to log in', False),
    ],
)
def test_what_an_owner_did_by_hand(words: str, by_owner: bool) -> None:
    assert bool(BY_OWNER.search(f"{FAILED}FATAL:  {words}\n")) is by_owner


def test_a_missing_file_is_no_missing_database() -> None:
    assert not BY_OWNER.search(f'{FAILED}root certificate file "/x/ca.crt" does not exist')


def test_the_systems_cas_are_found_without_help(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(variable, "unset after the test")
        monkeypatch.delenv(variable)
    find_system_cas()
    found = [Path(os.environ[variable]) for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR") if variable in os.environ]
    assert any(path.is_file() or list(path.glob("*.0")) for path in found)


def test_a_choice_of_cas_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/mine")
    find_system_cas()
    assert os.environ["SSL_CERT_FILE"] == "/mine"
