# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one way in which modules connect to databases: by public host name, TLS verified, as their users do."""

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
    """Let libpq's `system` find them: psycopg's wheels bring an OpenSSL that looks where no distribution puts CAs.

    https://docs.openssl.org/master/man3/SSL_CTX_load_verify_locations/ says what the two variables do.
    """
    paths = ssl.get_default_verify_paths()
    for variable, path in (("SSL_CERT_FILE", paths.cafile), ("SSL_CERT_DIR", paths.capath)):
        if path:
            os.environ.setdefault(variable, path)


def connect(database: Mapping[str, Any], ca_cert: str | None, seconds: int, options: str = "") -> psycopg.Connection[Any]:
    """``database`` has host, port, name, user and password; without a CA of its own, the system's are trusted."""
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
        # With a Kerberos ticket at hand, libpq would ask for GSSAPI encryption first, which Traefik refuses.
        gssencmode="disable",
        connect_timeout=seconds,
        options=options,
        application_name="infinite.databases",
        autocommit=True,
    )


def certificate_problem(host: str, port: int, ca_cert: str | None, seconds: float) -> str:
    """OpenSSL's reason not to trust the server's certificate, of which libpq says no more than that there is one; empty without."""
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
