# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates of servers that tests run, each by a CA of its own."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def write_certificate(directory: Path, name: str, hosts: Iterable[str]) -> None:
    """A CA (ca.pem), and the certificate (cert.pem, key.pem) of a server with these host names and addresses by it."""
    now = datetime.datetime.now(datetime.UTC)

    def build(name: str, key: ec.EllipticCurvePrivateKey, issuer: str, extension: x509.ExtensionType) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=7))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        )

    ca_name = f"CA of {name}"
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _number in range(2))
    ca = build(ca_name, ca_key, ca_name, x509.BasicConstraints(ca=True, path_length=0)).sign(ca_key, hashes.SHA256())
    names = x509.SubjectAlternativeName([alternative(host) for host in dict.fromkeys(hosts)])
    leaf = build(name, key, ca_name, names).sign(ca_key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    (directory / "ca.pem").write_bytes(ca.public_bytes(pem))
    (directory / "cert.pem").write_bytes(leaf.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "key.pem").touch(mode=0o600)
    (directory / "key.pem").write_bytes(private)
