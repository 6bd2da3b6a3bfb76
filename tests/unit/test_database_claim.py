# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Records of databases: the parts that need no Nomad."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database import claim, release
from ansible_collections.infinite.databases.plugins.module_utils._database import record as record_of
from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import Volume
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

# RFC 7677, 3: user "user", password "pencil", this salt, 4096 iterations. The keys below were computed with another
# implementation (openssl) and prove themselves by the RFC's own ServerSignature, see test_verifier_of_the_rfc.
RFC_SALT = "W22ZaJ0SNY7soEsUEjb6gQ=="
RFC_AUTH_MESSAGE = (
    "n=user,r=rOprNGfwEbeRWgbNEkqO,"
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
)
RFC_CLIENT_PROOF = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
RFC_SERVER_SIGNATURE = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def volume(name: str, version: str = "17", state: str = "ready", node: str = "n") -> Volume:
    return Volume(id=f"id-{name}", name=name, version=version, node=node, state=state)


def test_verifier_of_the_rfc() -> None:
    """The server's half of RFC 7677's example exchange, played with our verifier."""
    import base64
    import hashlib
    import hmac

    verifier = record_of.scram_verifier("pencil", base64.b64decode(RFC_SALT))
    match = re.fullmatch(r"SCRAM-SHA-256\$4096:([^$]+)\$([^:]+):(.+)", verifier)
    assert match
    salt, stored, server = match.groups()
    assert salt == RFC_SALT
    signature = hmac.digest(base64.b64decode(server), RFC_AUTH_MESSAGE.encode(), "sha256")
    assert base64.b64encode(signature).decode() == RFC_SERVER_SIGNATURE
    client_signature = hmac.digest(base64.b64decode(stored), RFC_AUTH_MESSAGE.encode(), "sha256")
    client_key = bytes(a ^ b for a, b in zip(base64.b64decode(RFC_CLIENT_PROOF), client_signature, strict=True))
    assert hashlib.sha256(client_key).digest() == base64.b64decode(stored)


def test_verifiers_are_salted_and_the_same_each_time() -> None:
    salts = {record_of.scram_verifier(password).split("$")[1] for password in ("pencil", "pencil", "crayon")}
    assert len(salts) == 2
    assert "pencil" not in record_of.scram_verifier("pencil")


def test_passwords() -> None:
    made = {record_of.new_password() for _number in range(200)}
    assert len(made) == 200
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", password) for password in made)


@pytest.mark.parametrize(
    ("kept", "asked", "expected"),
    [
        ({}, {"name": "a", "version": "17"}, {}),
        ({}, {"name": "a", "memory": 64}, {"memory": 64}),
        ({"memory": 64, "cpu": 20}, {"name": "a", "memory": 128}, {"memory": 128, "cpu": 20}),
        ({"protect": True}, {"name": "a"}, {"protect": True}),
        ({"protect": True}, {"name": "a", "protect": False}, {"protect": False}),
        ({"settings": {"jit": "on"}}, {"name": "a", "settings": {"work_mem": "8MB"}}, {"settings": {"work_mem": "8MB"}}),
    ],
)
def test_merge_spec(kept: dict[str, Any], asked: dict[str, Any], expected: dict[str, Any]) -> None:
    before = dict(kept)
    merged = claim.merge_spec(kept, asked)
    assert merged == expected
    assert kept == before, "the record is not changed by looking at it"
    assert claim.merge_spec(merged, asked) == merged, "asking again changes nothing"


@pytest.mark.parametrize(
    ("tried", "asked", "keep", "existing", "news"),
    [
        ({}, {"extensions": ["a"]}, False, False, {}),
        ({}, {"extensions": ["a", "b"]}, False, False, {"trying": {"extensions": ["a", "b"]}}),
        ({}, {"extensions": []}, False, False, {"trying": {"extensions": []}}),
        ({}, {"memory": 128}, False, False, {}),
        ({"extensions": ["b"]}, {}, False, False, {"trying": {}}),
        ({"extensions": ["b"]}, {}, False, True, {}),
        ({"extensions": ["b"]}, {"extensions": ["b"]}, False, True, {}),
        ({"extensions": ["b"]}, {"extensions": ["b"]}, True, True, {"trying": {}}),
    ],
    ids=[
        "it has it",
        "one more",
        "one less",
        "the job's part",
        "an interrupted run's",
        "drift",
        "again",
        "kept",
    ],
)
def test_what_is_not_kept_is_in_the_record(
    tried: dict[str, Any], asked: dict[str, Any], keep: bool, existing: bool, news: dict[str, Any]
) -> None:
    record = {"spec": {"extensions": ["a"]}, "trying": tried}
    assert claim.changed_trial(record, claim.merge_spec(record["spec"], asked), keep, existing) == news


def test_protection() -> None:
    records = [{"name": name, "spec": spec} for name, spec in (("a", {}), ("b", {"protect": True}), ("c", {"protect": False}))]
    release.check_protection([records[0], records[2]])
    with pytest.raises(InvalidInput, match="b is protected"):
        release.check_protection(records)
