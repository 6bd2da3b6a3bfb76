# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What libpq is told of a URL, and that no message repeats one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._transfer import url as transfer_url
from ansible_collections.infinite.databases.plugins.module_utils._transfer.transfer import check_versions
from ansible_collections.infinite.databases.plugins.module_utils._transfer.url import Place, is_url, place_of
from ansible_collections.infinite.databases.plugins.module_utils._transfer.watch import Ends, failure
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture
def ca(tmp_path: Path) -> str:
    file = tmp_path / "ca.pem"
    file.write_text(f"# somebody's\n{PEM}\nand more\n{PEM}")
    return str(file)


def test_without_sslmode_everything_is_verified(ca: str) -> None:
    place = place_of("X", "postgres://u%40x:p%3Aq%5C@db.example.com/orders", ca)
    assert place.label == "db.example.com:5432/orders"
    assert place.password == "p:q\\"
    assert place.ca == PEM * 2
    lines = place.service("source").splitlines()
    assert lines[0] == "[source]"
    assert {"user=u@x", "host=db.example.com", "dbname=orders", "sslmode=verify-full", "sslrootcert=/local/ca.pem"} < set(lines)
    assert not [line for line in lines if "p:q" in line]
    assert place.passfile() == "*:*:*:*:p\\:q\\\\\n"


def test_the_systems_certificates_are_used_where_none_is_given() -> None:
    assert place_of("X", "postgresql://u@h/d", None).ca.count("BEGIN CERTIFICATE") > 10


@pytest.mark.parametrize("mode", ["require", "prefer", "disable"])
def test_sslmode_is_honoured(mode: str) -> None:
    """A CA that nobody asked for would make `require` verify."""
    place = place_of("X", f"postgresql://u:p@h/d?sslmode={mode}&application_name=mine", None)
    assert (place.options["sslmode"], place.ca, place.options.get("sslrootcert")) == (mode, transfer_url.NO_CA, None)
    assert "application_name=mine" in place.service("source").splitlines()


def test_the_urls_own_ca_is_read_here(ca: str) -> None:
    place = place_of("X", f"postgresql://u:p@h/d?sslmode=verify-ca&sslrootcert={ca}", None)
    assert (place.ca, place.options["sslrootcert"]) == (PEM * 2, transfer_url.CA_FILE)


def test_no_password_is_no_password() -> None:
    assert Place("x", {}).passfile() == "# none\n"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://u:hunter2/3@h:5432/d", "libpq does not understand that URL"),
        ("postgresql://u:12345/hunter2@h:5432/d", "libpq does not understand that URL"),
        ("postgresql://u:x@hunter2@h:5432/d", "libpq does not understand that URL"),
        ("postgresql://u:hunter2@h/d?nonsense=1", "libpq does not understand that URL"),
        ("mysql://u:hunter2@h/d", "neither a database's name nor a URL"),
        ("host=h password=hunter2", "neither a database's name nor a URL"),
        ("postgresql:///d?password=hunter2", "names no host"),
        ("postgresql://u:hunter2@%2Ftmp/d", "names no host"),
        ("postgresql://u:hunter2@localhost/d", "localhost leads nowhere"),
        ("postgresql://u:hunter2@mydb.db.localhost/d", "mydb.db.localhost leads nowhere"),
        ("postgresql://u:hunter2@h,127.0.0.1/d", "127.0.0.1 leads nowhere"),
        ("postgresql://u:hunter2@h/d?sslkey=/x&service=y", "service, sslkey cannot be used here"),
        ("postgresql://u:hunter2@h/d?options=a%0Asslmode%3Ddisable", "is not text on one line"),
        ("postgresql://u:hunter2@h/d?sslrootcert=/none/such", "sslrootcert: cannot read /none/such"),
    ],
)
def test_bad_urls_are_refused_and_not_repeated(url: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as caught:
        place_of("X", url, None)
    assert "hunter2" not in str(caught.value)


def test_an_address_makes_a_local_name_reachable(ca: str) -> None:
    assert place_of("X", "postgresql://u@mydb.db.localhost/d?hostaddr=10.0.0.1", ca).options["hostaddr"] == "10.0.0.1"


@pytest.mark.parametrize(
    ("text", "url"), [("mydb", False), ("My_DB", False), ("h:5432", True), ("password=x", True), ("a b", True)]
)
def test_what_is_taken_for_a_url(text: str, url: bool) -> None:
    assert is_url(text) is url


TARGET = Ends(Place("h:5432/d", {}, secrets=["hunter2"]), Place("mydb", {}), {"extensions": ["hstore"]})
ELSEWHERE = Ends(Place("mydb", {}), Place("h:5432/d", {}), None)


@pytest.mark.parametrize(
    ("ends", "verdict", "rest", "message"),
    [
        (
            TARGET,
            "missing",
            "citext vector ",
            "mydb lacks extensions of the source, and nothing was changed; run provision.yml -e db=mydb "
            '-e \'{"extensions": ["citext", "hstore", "vector"]}\', or copy without them: -e without_extensions=citext,vector',
        ),
        (
            ELSEWHERE,
            "missing",
            "citext ",
            "h:5432/d lacks extensions of the source, and nothing was changed; create citext there first",
        ),
        (TARGET, "refused", "the source is PostgreSQL 18", "mydb was not changed: the source is PostgreSQL 18"),
        (
            TARGET,
            "failed",
            'source: psql: error: connection to server at "h" failed: FATAL:  no hunter2',
            'mydb is as it was, the transfer failed: source: error: connection to server at "h" failed: FATAL: no ********',
        ),
        (
            TARGET,
            "failed",
            "target: psql:<stdin>:9: ERROR:  canceling statement due to lock timeout ",
            "mydb is as it was, the transfer failed: target: ERROR: canceling statement due to lock timeout "
            "(somebody uses a table that is to be replaced; end these sessions and run again)",
        ),
    ],
)
def test_what_the_job_says_is_told_in_one_line(ends: Ends, verdict: str, rest: str, message: str) -> None:
    assert str(failure(ends, verdict, rest)) == message


@pytest.mark.parametrize(("old", "new"), [("15", "17"), ("15", "18"), ("17", "18"), ("9", "15")])
def test_versions_go_up_only(old: str, new: str) -> None:
    records = {version: {"name": f"v{version}", "version": version} for version in (old, new)}
    check_versions(records[old], records[new])
    check_versions(records[new], records[new])
    with pytest.raises(InvalidInput, match=f"v{old} is PostgreSQL {old}, .* of v{new}, PostgreSQL {new}; nothing was changed"):
        check_versions(records[new], records[old])
