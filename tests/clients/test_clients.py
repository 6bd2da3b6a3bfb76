# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each client library against Traefik and PostgreSQL, as docs/clients.md promises."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .client import CLIENTS, Answer, Client
from .conftest import NAME, Target

# Traefik gives up on the undecided after 5 s; what takes no longer than this was refused.
AT_ONCE = 3
UNTRUSTED = r"certificate|self.signed|CERT_|PKIX|UnknownIssuer"
UNRESOLVED = r"resolve|not known|ENOTFOUND|no such host|UnknownHost|Name or service"
DIRECT = "&sslnegotiation=direct"


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Client:
    found = CLIENTS[request.param]
    if missing := found.missing():
        pytest.skip(f"needs {missing}")
    return found


def each(of: Callable[[Client], bool] = lambda _client: True) -> pytest.MarkDecorator:
    marks = {True: [pytest.mark.slow], False: []}
    found = [pytest.param(one.name, marks=marks[one.slow]) for one in CLIENTS.values() if of(one)]
    return pytest.mark.parametrize("client", found, indirect=True)


def refused_at_once(client: Client, url: str) -> Answer:
    __tracebackhide__ = True  # The URL has a password.
    answer = client(url)
    assert not answer.good
    assert not re.search(UNRESOLVED, answer.text), "the test itself went wrong"
    if answer.seconds >= AT_ONCE:
        # A busy machine? What it takes to start the program and find a closed port does not count.
        assert answer.seconds - client(re.sub(r":\d+/", ":1/", url)).seconds < AT_ONCE
    return answer


@each()
def test_connects_and_queries(client: Client, target: Target) -> None:
    answer = client(target.url)
    assert answer.good, answer.text
    assert re.match(rf"{NAME}[ |]PostgreSQL \d", answer.text)


@each()
def test_refuses_the_certificate_of_another_ca(client: Client, target: Target) -> None:
    answer = client(target.but(ca=target.other_ca))
    assert not answer.good
    assert re.search(UNTRUSTED, answer.text)


@each(lambda client: client.system)
def test_trusts_the_system_for_a_public_certificate(client: Client, target: Target) -> None:
    url = target.but(ca="system")
    trusting = client(url, **target.trust)
    assert trusting.good, trusting.text
    answer = client(url)
    assert not answer.good
    assert re.search(UNTRUSTED, answer.text)


@each()
def test_says_that_the_password_is_wrong(client: Client, target: Target) -> None:
    assert f'password authentication failed for user "{NAME}"' in refused_at_once(client, target.but(password="wrong")).text


@each()
def test_says_that_there_is_no_such_database(client: Client, target: Target) -> None:
    assert 'database "nope" does not exist' in refused_at_once(client, target.but(database="nope")).text


@each()
def test_refuses_an_unknown_host_at_once(client: Client, target: Target) -> None:
    refused_at_once(client, target.nobody)


@each(lambda client: client.direct)
def test_refuses_an_unknown_host_at_once_in_direct_tls(client: Client, target: Target) -> None:
    refused_at_once(client, target.nobody + DIRECT)


@each()
def test_refuses_an_address_at_once(client: Client, target: Target) -> None:
    """No name, no SNI: nobody knows which database is meant."""
    refused_at_once(client, target.but(host=target.address))


@each(lambda client: client.direct)
def test_tls_from_the_first_byte(client: Client, target: Target) -> None:
    answer = client(target.url + DIRECT)
    assert answer.good, answer.text
    untrusting = client(target.but(ca=target.other_ca) + DIRECT)
    assert re.search(UNTRUSTED, untrusting.text)


@each(lambda client: client.cancels is not None)
def test_cancels_a_query(client: Client, target: Target) -> None:
    answer = client(target.url, "cancel")
    assert ("cancel" in answer.text) == client.cancels, answer.text


@each(lambda client: client.name in ("pg8000", "postgres-js"))
def test_encrypts_for_anybody_if_it_is_let(client: Client, target: Target) -> None:
    """Why docs/clients.md says more for these than for others."""
    assert client(target.but(ca=target.other_ca), "default").good


@each(lambda client: client.name in ("pgjdbc", "hikaricp"))
def test_java_takes_its_own_url(client: Client, target: Target) -> None:
    url = target.variables["JDBC_DATABASE_URL"]
    answer = client(url)
    assert answer.good, answer.text
    assert re.search(UNTRUSTED, client(url.replace(target.ca, target.other_ca)).text)


@each(lambda client: client.name == "django")
def test_django_tests_in_a_database_of_the_platform(client: Client, target: Target) -> None:
    for _attempt in range(2):
        answer = client(target.url, "test", "--keepdb")
        assert answer.good, answer.text
        assert "Ran 1 test" in answer.text


def psql(target: Target, *, more: str = "", **variables: str) -> str:
    client = CLIENTS["psql"]
    if missing := client.missing():
        pytest.skip(f"needs {missing}")
    return client(target.url + more, **variables).text


def test_there_is_no_channel_binding(target: Target) -> None:
    """TLS ends at Traefik."""
    assert "channel binding is required" in psql(target, more="&channel_binding=require")


def test_a_kerberos_ticket_makes_libpq_fail_unless_it_has_our_variables(target: Target, tmp_path: Path) -> None:
    """libpq that finds a ticket asks for GSSAPI encryption first, which Traefik does not know. Any ticket will do."""
    kerberos = tmp_path / "krb5.conf"
    kerberos.write_text("[libdefaults]\ndefault_realm = EXAMPLE.COM\ndns_lookup_kdc = false\n")
    (tmp_path / "tickets").write_bytes(ticket())
    variables = {"KRB5_CONFIG": str(kerberos), "KRB5CCNAME": f"FILE:{tmp_path}/tickets"}
    start = time.monotonic()
    if psql(target, **variables).startswith(NAME):
        pytest.skip("this psql was built without GSSAPI, or asks for it no longer")
    assert time.monotonic() - start < AT_ONCE
    assert psql(target, **variables, **target.variables).startswith(NAME)


def ticket() -> bytes:
    """A credential cache, https://web.mit.edu/kerberos/krb5-latest/doc/formats/ccache_file_format.html"""

    def text(value: bytes) -> bytes:
        return struct.pack(">I", len(value)) + value

    def principal(*names: bytes) -> bytes:
        return struct.pack(">II", 1, len(names)) + text(b"EXAMPLE.COM") + b"".join(map(text, names))

    now = int(time.time())
    me, server = principal(b"me"), principal(b"krbtgt", b"EXAMPLE.COM")
    key = struct.pack(">H", 18) + text(b"k" * 32)
    times = struct.pack(">IIII", now, now, now + 3600, now + 3600)
    return b"\x05\x04\0\0" + me + me + server + key + times + b"\0" + struct.pack(">III", 0, 0, 0) + text(b"ticket") + text(b"")


def test_the_document_says_what_was_tested() -> None:
    """The versions in its table are those that are pinned."""
    here = Path(__file__).parent
    rows = [
        line.split("|")
        for line in (here.parents[1] / "docs" / "clients.md").read_text().splitlines()
        if "](../tests/clients/" in line
    ]
    documented = {row[1].partition("clients/")[2].partition(")")[0]: row[2].strip() for row in rows}
    assert documented.keys() == CLIENTS.keys()
    for name in CLIENTS:
        manifests = [here / name / file for file in ("requirements.txt", "package.json", "go.mod", "pom.xml", "Cargo.toml")]
        pinned = "".join(file.read_text() for file in manifests if file.exists())
        # What the distribution brings is not pinned.
        if pinned:
            assert re.search(rf"[\"=>v]{re.escape(documented[name])}[\"<\s]", pinned), name
