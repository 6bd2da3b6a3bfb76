# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the status page says, and what the hosts tell it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ansible_collections.infinite.databases.plugins.filter.web import htpasswd
from ansible_collections.infinite.databases.plugins.module_utils._services import status, status_page

ROOT = Path(__file__).parents[2]
NOW = 1_800_000_000
DAY = 86400


def program(path: str) -> ModuleType:
    """A program that a role copies to hosts."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


figures = program("roles/status/files/figures.py")


def database(**given: Any) -> dict[str, Any]:
    return {
        "name": "orders",
        "state": "running",
        "reason": "",
        "version": "17",
        "node": "db1",
        "created": NOW - 3 * DAY,
        "expires": None,
        "destroyed": None,
        "erased_from": None,
        "size": 7_600_000,
        "connections": 2,
        "backup": None,
    } | given


def shown(*databases: dict[str, Any], endings: Sequence[dict[str, Any]] = ()) -> str:
    told = {"when": NOW, "databases": list(databases), "pool": {"17": {"ready": 3, "preparing": 0}}, "endings": endings}
    return status_page.page(told, "prod", "db.example.com", "443")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "-"),
        (0, "0 B"),
        (999, "999 B"),
        (1024, "1.0 KB"),
        (7_600_000, "7.2 MB"),
        (1_048_576_000, "1.0 GB"),
        (5 * 1024**5, "5120 TB"),
    ],
)
def test_sizes_are_short(size: int | None, text: str) -> None:
    assert status_page.human(size) == text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "never"),
        ({"expires": NOW + 7200}, "in 2h"),
        ({"expires": NOW}, "due"),
        ({"destroyed": NOW - DAY, "erased_from": NOW + 6 * DAY, "expires": NOW - 5}, "erased in 6d"),
        ({"destroyed": NOW - 8 * DAY, "erased_from": NOW - DAY}, "due to be erased"),
    ],
)
def test_when_it_ends(given: dict[str, Any], text: str) -> None:
    assert status_page.ends(database(**given), NOW) == text


def test_what_ends_soon_is_told_the_first_first() -> None:
    certificates = {
        "Nomad's certificate": NOW + 31 * DAY,
        "The databases' certificate": NOW + 29 * DAY,
        "The environment's CA": NOW - 1,
    }
    tokens = [
        {"name": "ci", "expires": NOW + DAY, "ending_from": NOW - 1},
        {"name": "fresh", "expires": NOW + DAY, "ending_from": NOW + 1},
        {"name": "over", "expires": NOW, "ending_from": NOW - DAY},
    ]
    found = status.endings(certificates, tokens, NOW)
    assert [one["what"] for one in found] == ["The environment's CA", "Nomad's token ci", "The databases' certificate"]
    page = shown(endings=found)
    for text in (
        "The environment&#x27;s CA has ended. Run site.yml",
        "token ci ends in 1d",
        "The databases&#x27; certificate ends in 29d",
    ):
        assert text in page
    assert "notice" not in shown(database()).split("</style>")[1]


# From 2050 on, the time is written in another form.
@pytest.mark.parametrize("days", [30, 40_000])
def test_when_a_certificate_ends(days: int) -> None:
    """As cryptography tells it, which makes it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mydb")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=days))
    made = builder.sign(key, hashes.SHA256())
    assert status.not_after(made.public_bytes(Encoding.DER)) == int(made.not_valid_after_utc.timestamp())


def test_a_row_has_all_of_it() -> None:
    page = shown(database(), database(name="billing", state="failing", reason="Exit Code: 1", connections=None, size=None))
    row = page[page.index("orders") : page.index("billing")]
    for text in ("running", "7.2 MB", ">2<", ">3d<", "never", ">17<"):
        assert text in row
    assert 'class="state bad">failing</span><div class="reason">Exit Code: 1</div>' in page
    assert "Prepared volumes for PostgreSQL 17: 3." in page
    assert "There are no databases yet" in shown()


def backed_up(**given: Any) -> dict[str, Any]:
    times = {"last": NOW - 7200, "oldest": NOW - 13 * DAY, "newest": NOW - 60, "tested": None, "pending": 0, "pending_since": None}
    return times | {"alarm": ""} | given


def test_what_is_known_of_the_backups() -> None:
    waiting = backed_up(tested=NOW - 3 * DAY, pending=33554432, pending_since=NOW - 400, alarm="its log <waits>")
    never = backed_up(last=None, oldest=None, newest=None, pending=None)
    page = shown(database(backup=backed_up()), database(name="billing", backup=waiting), database(name="new", backup=never))
    well, ill, new = (page[page.index(f'row">{name}') :].partition("</tr>")[0] for name in ("orders", "billing", "new"))
    assert "Last backup</th>" in page
    assert '"Last backup">2h ago<div class="reason">restorable from 13d to 1m ago</div>' in well
    assert '<div class="reason alarm">its log &lt;waits&gt;</div>' in ill
    assert "ago; restore tested 3d ago; 32 MB of the log wait for 7m</div>" in ill
    assert new.endswith('"Last backup">-</td>')
    assert '<p class="notice">The backups of these databases have an alarm: billing.</p>' in page
    assert "Last backup" not in shown(database())


def test_what_is_told_is_text() -> None:
    page = shown(database(state="<b>&", reason="<i>", version='"><script>'))
    assert "<b>" not in page
    assert "<script" not in page
    assert "&lt;b&gt;&amp;" in page
    assert "&lt;i&gt;" in status_page.page({"problem": "<i>"}, "prod", "db.example.com", "443")


def test_without_a_collector_it_says_so(tmp_path: Path) -> None:
    assert "does not answer" in status_page.ask(str(tmp_path / "none.sock"))["problem"]


def test_figures_belong_to_the_node_of_the_volume() -> None:
    told: dict[str, dict[str, Any]] = {
        "one": {"sizes": {"v1": 5}, "connections": {"172.17.0.2": 4}, "read_only": ["v1"]},
        "two": {"sizes": {}, "connections": {}},
    }
    here, there = {"ID": "v1", "NodeID": "one"}, {"ID": "v2", "NodeID": "two"}
    running = {"state": "running"}
    assert status.measured(running, here, "172.17.0.2", told) == {"size": 5, "connections": 4, "state": "read-only"}
    assert status.measured(running, there, "172.17.0.2", told) == {"size": None, "connections": 0}
    told["one"]["out_of_memory"], told["one"]["read_only"] = {"v1": 2}, []
    notice = "out of memory 2 times since its start: provision it with more memory_max"
    assert status.measured(running, here, "172.17.0.2", told) == {"size": 5, "connections": 4, "reason": notice}
    assert status.measured({"state": "stopped"}, here, "", told) == {"size": 5, "connections": None}
    assert status.measured(running, {"ID": "v3", "NodeID": "gone"}, "172.17.0.2", told) == {"size": None, "connections": None}


def test_no_password_is_kept() -> None:
    record = {"name": "orders", "password": "secret", "logins": {"owner": {"password": "secret"}}, "spec": {}}
    assert "secret" not in str(status.without_secrets(record))


# /proc/net/tcp of a little-endian machine: two clients of 172.17.0.2:5432, one of them gone (06 is TIME_WAIT), a server's own end
# of a connection, and another port.
TCP = """\
   0: 010011AC:D8F2 020011AC:1538 01 00000000:00000000 00:00000000 00000000 65532        0 1 1 0000000000000000 20 4 30 10 -1
   1: 010011AC:D8F4 020011AC:1538 06 00000000:00000000 00:00000000 00000000     0        0 0 3 0000000000000000
   2: 010011AC:1538 020011AC:D8F4 01 00000000:00000000 00:00000000 00000000     0        0 0 3 0000000000000000
   3: 010011AC:D8F2 030011AC:01BB 01 00000000:00000000 00:00000000 00000000 65532        0 1 1 0000000000000000 20 4 30 10 -1
"""


@pytest.mark.skipif(sys.byteorder != "little", reason="the example is of another machine")
def test_connections_are_counted_by_the_servers_address() -> None:
    assert figures.connections(TCP.splitlines()) == {"172.17.0.2": 1}


def test_sizes_are_those_of_users_databases(tmp_path: Path) -> None:
    for oid, length in (("1", 1000), ("5", 1000), ("16384", 70), ("16999", 7)):
        (tmp_path / "data" / "base" / oid).mkdir(parents=True)
        (tmp_path / "data" / "base" / oid / "1259").write_bytes(b"x" * length)
    (tmp_path / "data" / "base" / "pgsql_tmp").mkdir()
    assert figures.size(tmp_path) == 77
    assert figures.size(tmp_path / "none") is None
    assert not figures.is_read_only(tmp_path)
    (tmp_path / "data" / "postgresql.auto.conf").write_text("# comment\ndefault_transaction_read_only = 'on'\n")
    assert figures.is_read_only(tmp_path)


@pytest.mark.parametrize(
    ("counter", "text"),
    [
        ("memory.events", "low 0\nhigh 0\nmax 71\noom 3\noom_kill 2\noom_group_kill 1\n"),
        ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
    ],
)
def test_out_of_memory_by_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counter: str, text: str) -> None:
    """A slice counts what its containers count, and has no processes of its own; 8 is no server."""
    for place, processes, counted in (
        ("a.slice", "", text),
        ("a.slice/docker-1.scope", "7\n9\n", text),
        ("a.slice/docker-2.scope", "8\n", text),
        ("a.slice/docker-3.scope", "7\n", text.replace("oom_kill 2", "oom_kill 0")),
        ("a.slice/docker-4.scope", "gone\n", text),
    ):
        (tmp_path / place).mkdir()
        (tmp_path / place / "cgroup.procs").write_text(processes)
        (tmp_path / place / counter).write_text(counted)

    def volume_of(process: str) -> str:
        if process == "gone":
            raise ProcessLookupError
        return {"7": "v1"}.get(process, "")

    monkeypatch.setattr(figures, "volume_of", volume_of)
    assert figures.out_of_memory(tmp_path, counter) == {"v1": 2}


def test_htpasswd() -> None:
    """As Apache's own htpasswd -s writes it."""
    assert htpasswd("password", "admin") == "admin:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="
