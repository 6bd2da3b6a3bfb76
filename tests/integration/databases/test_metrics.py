# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The example for Prometheus, run by Debian's Prometheus and node exporter on the local node, and what docs/metrics.md promises."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import requests

from tests.support.packages import apt_get
from tests.support.user import NODE, User

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "prometheus"
DOCUMENT = (ROOT / "docs" / "metrics.md").read_text()
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "infinite.databases" / "prometheus"
PACKAGES = ("prometheus", "prometheus-node-exporter")
# This environment has no backups. What the verb says of backups is tried in test_backup_known.py.
BACKUP = "infinite_database_backup_"
BUSY, GONE = "infinite-test-metrics", "infinite-test-metrics-gone"
PORT = 19090


def programs() -> Path:
    """The distribution's programs, unpacked rather than installed: no services are started on this machine."""
    if not CACHE.exists():
        CACHE.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE.parent) as directory:
            apt_get("update")
            apt_get("download", *PACKAGES, cwd=directory)
            whole = Path(directory, "whole")
            for package in Path(directory).glob("*.deb"):
                subprocess.run(["dpkg", "-x", str(package), str(whole)], check=True)
            whole.rename(CACHE)
    return CACHE / "usr" / "bin"


@dataclass
class Prometheus:
    url: str

    def get(self, path: str, **params: str) -> Any:
        answer = requests.get(f"{self.url}/api/v1/{path}", params=params, timeout=10).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found

    def alerts(self) -> set[tuple[str, str]]:
        """Which fire, and of which database."""
        return {(one["labels"]["alertname"], one["labels"].get("database", "")) for one in self.get("alerts")["alerts"]}


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """What is true at last; what it is not, if it never is."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = condition()
        except requests.RequestException:
            found = None
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


@pytest.fixture(scope="module")
def collect(user: User, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Run metrics.yml as cron would; what it wrote."""
    file = tmp_path_factory.mktemp("textfile") / "infinite.prom"

    def run() -> str:
        user.run("metrics", file=str(file))
        return file.read_text()

    run.__dict__["directory"] = file.parent
    return run


@pytest.fixture(scope="module")
def busy(user: User) -> Iterator[None]:
    """A database with nine of its ten connections in use, and a destroyed one."""
    user.run("provision", databases=[{"name": BUSY, "connections": 10, "memory_max": 128, "ttl": "1d"}, {"name": GONE}])
    user.run("destroy", db=GONE)
    with ExitStack() as stack:
        for _connection in range(9):
            stack.enter_context(user.connect(BUSY))
        yield


@pytest.fixture(scope="module")
def prometheus(user: User, busy: None, collect: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """The example as it is but for its patience, running where it says: on the node, whose loopback it reads."""
    collect()
    directory = tmp_path_factory.mktemp("prometheus")
    config = (EXAMPLE / "prometheus.yml").read_text()
    config = config.replace("15s", "1s").replace("/etc/infinite.databases/local/ca.crt", user.ca)
    (directory / "prometheus.yml").write_text(config)
    (directory / "alerts.yml").write_text(re.sub(r"for: \d+m", "for: 0s", (EXAMPLE / "alerts.yml").read_text()))
    inspect = ["docker", "inspect", "--format", "{{.State.Pid}}", NODE]
    pid = subprocess.run(inspect, check=True, capture_output=True, text=True).stdout.strip()
    address = f"{urlsplit(user.known['nomad_address']).hostname}:{PORT}"
    on_node = ["nsenter", f"--net=/proc/{pid}/ns/net"]
    binaries = programs()
    commands = [
        ["prometheus-node-exporter", "--web.listen-address=127.0.0.1:9100", f"--collector.textfile.directory={collect.directory}"],
        [
            "prometheus",
            f"--config.file={directory}/prometheus.yml",
            f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address={address}",
        ],
    ]
    with (directory / "log").open("w") as log:
        running = [
            subprocess.Popen([*on_node, str(binaries / program), *options], cwd=directory, stdout=log, stderr=log)
            for program, *options in commands
        ]
        try:
            found = Prometheus(f"http://{address}")
            assert wait_for(lambda: found.get("status/buildinfo")), (directory / "log").read_text()
            yield found
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(20)


def test_the_example_is_valid() -> None:
    check = [str(programs() / "promtool"), "check", "config", str(EXAMPLE / "prometheus.yml")]
    done = subprocess.run(check, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


RULES = """
rule_files: [{alerts}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: '{metric}{{database="well"}}', values: 0+0x20}}
      - {{series: '{metric}{{database="ill"}}', values: 0+0x5 1+0x15}}
    alert_rule_test:
      - {{eval_time: 10m, alertname: BackupAlarm}}
      - eval_time: 12m
        alertname: BackupAlarm
        exp_alerts:
          - exp_labels: {{database: ill}}
            exp_annotations: {{summary: the backups of ill have an alarm; see idb backups ill}}
"""


def test_an_alarm_of_backups_is_an_alert(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES.format(alerts=EXAMPLE / "alerts.yml", metric=f"{BACKUP}alarm"))
    check = [str(programs() / "promtool"), "test", "rules", str(rules)]
    done = subprocess.run(check, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_targets_are_up(prometheus: Prometheus) -> None:
    def up() -> bool:
        targets = prometheus.get("targets")["activeTargets"]
        return {(one["labels"]["job"], one["health"]) for one in targets} == {
            (job, "up") for job in ("nomad", "traefik", "databases")
        }

    assert wait_for(up), prometheus.get("targets")["activeTargets"]


def test_what_the_document_lists_is_there(prometheus: Prometheus) -> None:
    listed = set(re.findall(rf"`((?!{BACKUP})(?:infinite|nomad|traefik|node)_\w+)`", DOCUMENT))
    assert len(listed) > 20
    # Nomad collects every ten seconds.
    assert wait_for(lambda: listed <= set(prometheus.get("label/__name__/values"))), listed - set(
        prometheus.get("label/__name__/values")
    )
    assert wait_for(lambda: prometheus.query(f'nomad_client_allocs_memory_rss{{database="{BUSY}"}}'))
    assert prometheus.query('nomad_client_allocs_memory_rss{database=~"_.*|traefik"}') == [], (
        "what is no database is not called one"
    )


def test_figures_are_right(user: User, prometheus: Prometheus) -> None:
    def figure(name: str, database: str = BUSY) -> float | None:
        found = prometheus.query(f'infinite_database_{name}{{database="{database}"}}')
        return float(found[0]["value"][1]) if found else None

    assert wait_for(lambda: figure("up") == 1)
    assert (figure("connections"), figure("connections_limit")) == (9, 10)
    assert figure("memory_limit_bytes") == 128 * 1024 * 1024
    assert abs((figure("size_bytes") or 0) - user.query(BUSY, "select pg_database_size(current_database())")) < 1_000_000
    assert (figure("expires_timestamp_seconds") or 0) - (figure("created_timestamp_seconds") or 0) == 86400
    assert figure("up", GONE) is None, "it is down on purpose"
    assert prometheus.query(f'infinite_database_info{{database="{GONE}",state="destroyed"}}')


def test_every_query_of_the_document_works(prometheus: Prometheus) -> None:
    queries = [line for block in re.findall(r"```promql\n(.*?)```", DOCUMENT, re.DOTALL) for line in block.splitlines()]
    assert len(queries) > 8
    for query in queries:
        prometheus.query(query)
        if BACKUP in query:
            continue
        # The threshold is not reached now: what it is compared with is there.
        value = re.split(r" (?:>|<|==) ", query)[0].replace("[6h]", "[1h]")
        assert wait_for(partial(prometheus.query, value)), value


def answers(user: User) -> bool:
    try:
        return bool(user.query(BUSY, "select 1"))
    except psycopg.OperationalError:
        return False


def test_alerts_fire(user: User, prometheus: Prometheus, collect: Callable[[], str]) -> None:
    (group,) = prometheus.get("rules")["groups"]
    assert wait_for(lambda: all(rule["health"] == "ok" for rule in prometheus.get("rules")["groups"][0]["rules"])), group["rules"]
    assert wait_for(lambda: ("ConnectionsNearLimit", BUSY) in prometheus.alerts())
    assert not {("DatabaseDown", BUSY), ("CertificateExpiring", "")} & prometheus.alerts()

    (alloc,) = [alloc for alloc in user.client.job.get(BUSY, "allocations") if alloc["ClientStatus"] == "running"]
    user.node("docker", "pause", f"postgres-{alloc['ID']}")
    try:
        assert f'infinite_database_up{{database="{BUSY}"}} 0\n' in collect()
        assert wait_for(lambda: ("DatabaseDown", BUSY) in prometheus.alerts())
    finally:
        user.node("docker", "unpause", f"postgres-{alloc['ID']}")
    collect()
    assert wait_for(lambda: ("DatabaseDown", BUSY) not in prometheus.alerts())

    # More than the server may have, in one backend.
    with pytest.raises(psycopg.OperationalError):
        user.query(BUSY, "select length(string_agg(repeat(md5(i::text), 300), '')) from generate_series(1, 100000) i")
    assert wait_for(lambda: ("OutOfMemoryKill", "") in prometheus.alerts())
    # A PostgreSQL 17 that is asked to stop during the recovery after a crash ends its startup process and then waits for ever.
    assert wait_for(partial(answers, user))
    collect()
    assert wait_for(lambda: ("OutOfMemory", BUSY) in prometheus.alerts())
