# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask a web server behind Traefik, as a PostgreSQL client comes in: TLS from the first byte, with PostgreSQL's ALPN."""

from __future__ import annotations

import argparse
import socket
import ssl
import sys
import time
from contextlib import ExitStack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("name", help="the host name")
    parser.add_argument("ca", help="a file with the CA to trust")
    parser.add_argument("--plain", action="store_true", help="without TLS")
    parser.add_argument("--serial", action="store_true", help="print the certificate's serial number instead")
    parser.add_argument("--pause", type=float, default=0, help="seconds between the halves of the request")
    args = parser.parse_args()
    context = ssl.create_default_context(cafile=args.ca)
    context.set_alpn_protocols(["postgresql"])
    with ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection((args.address, args.port), 5))
        if not args.plain:
            secured = stack.enter_context(context.wrap_socket(connection, server_hostname=args.name))
            if args.serial:
                print(dict(secured.getpeercert() or {})["serialNumber"])
                return
            connection = secured
        connection.sendall(f"GET / HTTP/1.0\r\nHost: {args.name}\r\n".encode())
        time.sleep(args.pause)
        connection.sendall(b"\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
        if not answer:
            raise EOFError("closed without an answer")
        print(answer.decode())


if __name__ == "__main__":
    try:
        main()
    except (OSError, EOFError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
