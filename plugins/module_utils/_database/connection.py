# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connects to databases in the same way as their users: by the public host name, with verified TLS. All modules use this."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from collections.abc import Mapping
from typing import Any

try:
    import psycopg
except ImportError as error:
    IMPORT_ERROR: ImportError | None = error
else:
    IMPORT_ERROR = None

# https://www.postgresql.org/docs/current/protocol-message-formats.html
SSL_REQUEST = struct.pack("!II", 8, 80877103)


def find_system_cas() -> None:
    """Let libpq's `system` find the system's CAs: the OpenSSL in psycopg's wheels looks where no distribution puts them.

    https://docs.openssl.org/master/man3/SSL_CTX_load_verify_locations/ says what the two variables do.
    """
    paths = ssl.get_default_verify_paths()
    for variable, path in (("SSL_CERT_FILE", paths.cafile), ("SSL_CERT_DIR", paths.capath)):
        if path:
            os.environ.setdefault(variable, path)


def connect(database: Mapping[str, Any], ca_cert: str | None, seconds: int, options: str = "") -> psycopg.Connection[Any]:
    """Connect to ``database``, a mapping with host, port, name, user and password. Without ``ca_cert``, trust the system's CAs."""
    if not ca_cert:
        find_system_cas()
    return psycopg.connect(
        host=database["host"],
        port=database["port"],
        dbname=database["name"],
        user=database["user"],
        password=database["password"],
        sslmode="verify-full",
        sslrootcert=ca_cert or "system",
        # If the user has a Kerberos ticket, libpq would ask for GSSAPI encryption first, which Traefik refuses.
        gssencmode="disable",
        connect_timeout=seconds,
        options=options,
        application_name="infinite.databases",
        autocommit=True,
    )


def certificate_problem(host: str, port: int, ca_cert: str | None, seconds: float) -> str:
    """Return OpenSSL's reason not to trust the server's certificate; empty if it trusts the certificate. libpq hides the reason."""
    try:
        context = ssl.create_default_context(cafile=ca_cert)
        with socket.create_connection((host, port), timeout=seconds) as connection:
            connection.sendall(SSL_REQUEST)
            if connection.recv(1) == b"S":
                context.wrap_socket(connection, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        return str(error.verify_message)
    except OSError:
        pass
    return ""
