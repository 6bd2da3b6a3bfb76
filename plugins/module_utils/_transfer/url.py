# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads URLs of databases elsewhere, and turns them into files for libpq in a container.

No message repeats a URL, or a part of a URL that could not be understood, because it may be a password.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.infinite.databases.plugins.module_utils._database.connection import IMPORT_ERROR
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

if not IMPORT_ERROR:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

SCHEME = re.compile(r"postgres(ql)?://")
# Options that name files of the user. The container does not have these files.
FILES = ("passfile", "service", "servicefile", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslcrldir", "sslkeylogfile")
VERIFYING = ("verify-ca", "verify-full")
CA_FILE = "/local/ca.pem"
# libpq reads a line of a service file into a buffer of 1024 bytes.
LINE_BYTES = 1000
NO_CA = "# none\n"
CONNECT_SECONDS = "15"


@dataclass
class Place:
    """One end of a transfer. ``options`` are libpq's options for the connection, without the password."""

    label: str
    options: dict[str, str]
    password: str = ""
    ca: str = NO_CA
    network: str = "bridge"
    secrets: list[str] = field(default_factory=list)

    def service(self, name: str) -> str:
        """https://www.postgresql.org/docs/current/libpq-pgservice.html"""
        options = {"connect_timeout": CONNECT_SECONDS, "application_name": "infinite.databases transfer"} | self.options
        return f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in options.items()) + "passfile=/secrets/pass\n"

    def passfile(self) -> str:
        """https://www.postgresql.org/docs/current/libpq-pgpass.html"""
        escaped = self.password.replace("\\", "\\\\").replace(":", "\\:")
        return f"*:*:*:*:{escaped}\n" if self.password else "# none\n"


def is_url(text: str) -> bool:
    """Return whether the text is a URL. Any text that cannot be a database's name counts as one, so that it is never shown."""
    return bool(re.search(r"[:/=@\s]", text))


def system_cas() -> str:
    """Return the certificates that this machine trusts."""
    found = ssl.create_default_context().get_ca_certs(binary_form=True)
    if not found:
        raise InvalidInput("This machine has no CA certificates to verify the server with; give ca_file")
    return "".join(ssl.DER_cert_to_PEM_cert(one) for one in found)


def read_certificates(option: str, path: str) -> str:
    """Return the certificates in a file, without any other text."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{option}: cannot read {path} ({getattr(error, 'strerror', None) or 'it is no text'})") from None
    found = re.findall(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----", text)
    if not found:
        raise InvalidInput(f"{option}: {path} holds no certificate (PEM)")
    return "".join(f"{one}\n" for one in found)


def read_url(option: str, path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{option}: cannot read {path} ({getattr(error, 'strerror', None) or 'it is no text'})") from None


def parse(where: str, url: str) -> dict[str, str]:
    """Let libpq read the URL. https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS"""
    if IMPORT_ERROR:
        raise InvalidInput(f"The Python that runs this module lacks a library ({IMPORT_ERROR}); install psycopg[binary] for it")
    if not SCHEME.match(url):
        raise InvalidInput(f"{where}: that is neither a database's name nor a URL such as postgresql://user@host:5432/name")
    try:
        given = {key: str(value) for key, value in conninfo_to_dict(url).items() if value not in (None, "")}
    except psycopg.Error:
        given = {}
    # If a password has a / or @ in it, a part of it would count as a host, a port or a database, and messages would show it.
    odd = re.search(r"[^A-Za-z0-9.,:%_/-]", given.get("host", "")) or re.search(r"[^0-9,]", given.get("port", ""))
    if not given or odd or "@" in given.get("dbname", ""):
        raise InvalidInput(
            f"{where}: libpq does not understand that URL; write special characters of a password as %40 and the like"
        )
    files = sorted(set(FILES) & set(given))
    if files:
        raise InvalidInput(f"{where}: {', '.join(files)} cannot be used here; give the password in the URL, and a CA by ca_file")
    hosts = given.get("hostaddr") or given.get("host", "")
    if not hosts or hosts.startswith("/"):
        raise InvalidInput(f"{where}: the URL names no host that a node could connect to")
    local = [one for one in hosts.split(",") if one == "::1" or re.fullmatch(r"127\.[0-9.]+|localhost|.*\.localhost", one)]
    if local:
        raise InvalidInput(
            f"{where}: {local[0]} leads nowhere from a container; give a host name that the node can resolve, or add "
            "hostaddr=ADDRESS to the URL (a database of this environment is given by its name alone)"
        )
    if any(
        not value.isprintable() or len(f"{key}={value}".encode()) > LINE_BYTES for key, value in given.items() if key != "password"
    ):
        raise InvalidInput(f"{where}: a part of the URL is too long, or is not text on one line")
    return given


def place_of(where: str, url: str, ca_file: str | None) -> Place:
    """Return the place of a URL. A URL without sslmode is connected to with verified TLS, like everything here."""
    given = parse(where, url)
    options: Mapping[str, str] = {key: value for key, value in given.items() if key not in ("password", "sslrootcert")}
    mode, root = given.get("sslmode", "verify-full"), given.get("sslrootcert")
    ca = NO_CA
    if ca_file:
        ca = read_certificates("ca_file", ca_file)
    elif root and root != "system":
        ca = read_certificates("sslrootcert", root)
    elif mode in VERIFYING:
        ca = system_cas()
    # With certificates, sslmode=require would verify like verify-ca.
    verified = {"sslrootcert": CA_FILE} if ca != NO_CA else {}
    label = f"{given.get('host') or given['hostaddr']}:{given.get('port', 5432)}/{given.get('dbname') or given.get('user', '')}"
    password = given.get("password", "")
    return Place(label, {**options, "sslmode": mode, **verified}, password, ca, secrets=[url, password])
