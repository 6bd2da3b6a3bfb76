# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell which certificate is served for a name, as JSON. It must be good for that name, and by the given root."""

from __future__ import annotations

import argparse
import json
import socket
import ssl
import sys
from pathlib import Path

from cryptography import x509


def served(address: str, port: int, name: str, root: Path) -> dict[str, object]:
    context = ssl.create_default_context(cafile=root)
    # PostgreSQL's direct negotiation: TLS from the first byte.
    context.set_alpn_protocols(["postgresql"])
    with socket.create_connection((address, port), 5) as plain, context.wrap_socket(plain, server_hostname=name) as secured:
        found = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    return {"serial": f"{found.serial_number:x}", "names": names, "issuer": found.issuer.rfc4514_string()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.acme.served", description=__doc__)
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("name")
    parser.add_argument("root", type=Path)
    args = parser.parse_args()
    try:
        print(json.dumps(served(args.address, args.port, args.name, args.root)))
    except OSError as error:
        sys.exit(f"{args.name} at {args.address}:{args.port}: {error}")


if __name__ == "__main__":
    main()
