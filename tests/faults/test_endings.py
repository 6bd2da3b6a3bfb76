# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates and tokens that end: site.yml and the status page say so in time, and no connection ends where one is renewed."""

from __future__ import annotations

import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.environments import HERE
from tests.support.faults import Faults, playbook
from tests.support.load import Load

NAME = "infinite-test-renewed"
TOKEN = "infinite-test-token"
# Longer than a certificate may have left without a warning, and shorter.
LONG, SHORT = ("traefik_certificate_days=397", "traefik_certificate_days=20")
NOW = "traefik_certificate_renew_days=398"
# Seconds that a token lives; of its last quarter is told, in which the page and site.yml are looked at.
BRIEF = 400


@pytest.fixture(scope="module")
def name(faults: Faults) -> Iterator[str]:
    faults.run("provision", db=NAME)
    yield NAME
    faults.erase([NAME])


def site(*options: str) -> str:
    """What site.yml says, on one line: Ansible wraps it."""
    return " ".join(playbook("site.yml", *options).split())


def page(faults: Faults) -> str:
    """What the status page shows, once it has had the time to look again."""
    time.sleep(12)
    password = (HERE.state / "web.password").read_text().strip()
    port = faults.known["database_web_port"]
    host = f"status.{faults.domain}"
    session = requests.Session()
    session.trust_env = False
    answer = session.get(f"https://{host}:{port}/", auth=("admin", password), verify=faults.ca, timeout=10)
    answer.raise_for_status()
    return answer.text


def served(faults: Faults) -> bytes | None:
    """The certificate that clients are shown."""
    context = ssl.create_default_context(cafile=faults.ca)
    context.set_alpn_protocols(["postgresql"])
    host = f"{NAME}.{faults.domain}"
    plain = socket.create_connection((host, faults.known["database_port"]), timeout=10)
    with plain, context.wrap_socket(plain, server_hostname=host) as secured:
        return secured.getpeercert(binary_form=True)


def token(faults: Faults, name: str, lifetime: str) -> str:
    body = {"Name": name, "Type": "client", "Policies": ["reader"], "ExpirationTTL": lifetime}
    return str(faults.client.endpoint("acl/token").put(json=body)["AccessorID"])


def test_what_ends_soon_is_said(faults: Faults, name: str) -> None:
    certificate = f"certificate ({HERE.state}/traefik.crt) ends on"
    lasting, brief = token(faults, "lasting", "23h"), token(faults, "brief", f"{BRIEF}s")
    made = time.monotonic()
    try:
        # The control: what is far from its end is not mentioned.
        said = site("-e", LONG, "-e", NOW)
        assert certificate not in said
        assert lasting not in said
        assert 'class="notice"' not in page(faults)
        site("-e", SHORT, "-e", NOW)
        time.sleep(max(0.0, BRIEF * 3 / 4 + 1 - (time.monotonic() - made)))
        shown = page(faults)
        assert "The databases&#x27; certificate ends in 19d. Run site.yml" in shown
        assert "token brief ends in " in shown
        assert "lasting" not in shown
        said = site("-e", SHORT)
        assert certificate in said
        assert f"token brief ({brief}) ends on" in said
        assert lasting not in said
    finally:
        for accessor in (lasting, brief):
            faults.client.endpoint("acl/token").delete(accessor)
        site("-e", LONG, "-e", NOW)
    assert 'class="notice"' not in page(faults)


@pytest.mark.quick
def test_renewal_cuts_no_connection(faults: Faults, name: str, tmp_path: Path) -> None:
    """The CA's certificate, Nomad's and the databases' are all made anew: sessions go on, and clients with the old CA get in."""
    old_ca = tmp_path / "ca.crt"
    shutil.copy(faults.ca, old_ca)
    before = served(faults), Path(faults.ca).read_text(), faults.nomads_certificate()
    with faults.opener(name)() as session, Load(faults.opener(name)) as load:
        backend = session.execute("select pg_backend_pid()").fetchone()
        (HERE.state / "ca.crt").unlink()
        site("-e", NOW)
        load.wait_for(50)
        assert session.execute("select pg_backend_pid()").fetchone() == backend
    assert (load.failures, load.in_doubt, load.lost()) == ([], set(), set())
    # The control: all of them are others indeed.
    after = served(faults), Path(faults.ca).read_text(), faults.nomads_certificate()
    assert [old == new for old, new in zip(before, after, strict=True)] == [False] * 3
    faults.ca, new_ca = str(old_ca), faults.ca
    try:
        assert faults.query(name, "select 1") == 1
    finally:
        faults.ca = new_ca
