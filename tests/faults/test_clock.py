# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Clocks that disagree: a certificate whose time it is not is an error that says so at once, and names the clock.

What stands in for a clock that is wrong is a certificate of the environment's own CA for another time, in the place of Nomad's or
Traefik's: whoever verifies it compares it with a clock, and cannot tell which of the two is wrong.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.infinite.databases.plugins.module_utils._database.connection import certificate_problem
from tests.support.environments import HERE
from tests.support.faults import Faults

NAME = "infinite-test-clock"
HOUR = timedelta(hours=1)
# Seconds; the whole time that a database has to become ready is 120.
AT_ONCE = 20.0
NOMAD_CERTIFICATE = "/etc/nomad.d/tls/nomad.crt"
# Begin and end, from now, of what is signed, and what is said of it.
OFF = [(HOUR, 24 * HOUR, "its certificate is not yet valid"), (-24 * HOUR, -HOUR, "its certificate has expired")]


@pytest.fixture(scope="module", autouse=True)
def database(faults: Faults) -> Iterator[None]:
    faults.run("provision", db=NAME)
    yield
    faults.erase([NAME])


def signed_anew(pem: str, begin: timedelta, end: timedelta, known: bool = True) -> str:
    """The same certificate, for the same key, of the environment's CA (or one that nobody knows), but for another time."""
    former = x509.load_pem_x509_certificate(pem.encode())
    key = serialization.load_pem_private_key((HERE.state / "ca.key").read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer_name=former.issuer if known else former.subject,
        subject_name=former.subject,
        public_key=former.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now + begin,
        not_valid_after=now + end,
        extensions=list(former.extensions),
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def said_at_once(faults: Faults, verb: str) -> str:
    """The error of a run that fails, and takes no time for it."""
    began = time.monotonic()
    said = faults.run(verb, plain=True, fails=True, db=NAME).err.strip()
    took = time.monotonic() - began
    print(f"after {took:.1f} s: {said}")
    assert took < AT_ONCE
    assert "\n" not in said
    return said


@contextmanager
def nomad_with(faults: Faults, begin: timedelta, end: timedelta) -> Iterator[None]:
    former = faults.host.run("cat", NOMAD_CERTIFICATE)

    def use(certificate: str) -> None:
        faults.host.shell(f"cat > {NOMAD_CERTIFICATE} <<'END'\n{certificate}END\nsystemctl reload nomad")
        deadline = time.monotonic() + 30
        while faults.nomads_certificate() not in certificate:
            assert time.monotonic() < deadline, "Nomad did not take the certificate"
            time.sleep(0.2)

    use(signed_anew(former, begin, end))
    try:
        yield
    finally:
        use(former)


@contextmanager
def traefik_with(faults: Faults, begin: timedelta, end: timedelta, known: bool = True) -> Iterator[None]:
    path, namespace = "nomad/jobs/traefik", "platform"
    former = faults.client.variables.read(path, namespace)["Items"]
    address = (f"{NAME}.{faults.domain}", faults.known["database_port"], faults.ca, 5)

    def use(items: dict[str, str], wanted: bool) -> None:
        faults.client.variables.write(path, items, namespace)
        deadline = time.monotonic() + 30
        while bool(certificate_problem(*address)) != wanted:
            assert time.monotonic() < deadline, "Traefik did not take the certificate"
            time.sleep(0.2)

    use(former | {"certificate": signed_anew(former["certificate"], begin, end, known)}, True)
    try:
        yield
    finally:
        use(former, False)


@pytest.mark.parametrize(("begin", "end", "says"), OFF)
def test_nomads_certificate(faults: Faults, begin: timedelta, end: timedelta, says: str) -> None:
    with nomad_with(faults, begin, end):
        said = said_at_once(faults, "list")
    assert said.count(f"{says}; check this machine's clock") == 1
    faults.run("list")


@pytest.mark.parametrize(("begin", "end", "says"), [pytest.param(*OFF[0], marks=pytest.mark.quick), OFF[1]])
def test_the_databases_certificate(faults: Faults, begin: timedelta, end: timedelta, says: str) -> None:
    with traefik_with(faults, begin, end):
        said = said_at_once(faults, "provision")
    assert said.count(f"{NAME}.{faults.domain}:{faults.known['database_port']}: {says}; check this machine's clock") == 1
    faults.run("provision", db=NAME)


def test_control_a_certificate_of_now(faults: Faults) -> None:
    """It is the time that is wrong with those above: signed anew for today, they are believed."""
    with nomad_with(faults, -HOUR, HOUR):
        faults.run("list")


def test_control_another_ca(faults: Faults) -> None:
    """What is not believed for another reason is no matter of clocks; it may be about to be replaced, and is waited for."""
    with traefik_with(faults, -HOUR, HOUR, known=False):
        began = time.monotonic()
        said = faults.run("provision", plain=True, fails=True, db=NAME, database_timeout=5).err
        assert time.monotonic() - began >= 5
    assert "its certificate is not trusted" in said
    assert "this machine's clock" not in said


@pytest.mark.quick
def test_an_hour_between_two_machines_does_no_harm() -> None:
    """All that the environment signs is valid from a day before, by OpenSSL's own judgement."""
    authority = HERE.state / "ca.crt"
    certificates = [authority, HERE.state / "traefik.crt", *HERE.state.glob("nomad-tls/*/nomad.crt")]
    assert len(certificates) == 3
    for certificate in certificates:
        verify = ["openssl", "verify", "-CAfile", str(authority)]
        for ago, valid in ((2 * HOUR, True), (48 * HOUR, False)):
            moment = str(int((datetime.fromtimestamp(certificate.stat().st_mtime, UTC) - ago).timestamp()))
            judged = subprocess.run([*verify, "-attime", moment, str(certificate)], check=False, capture_output=True, text=True)
            assert (judged.returncode == 0) == valid, judged
            assert valid or "not yet valid" in judged.stderr
