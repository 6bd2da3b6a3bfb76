# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of a database's backups is the same everywhere, and so is an alarm."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._backup.order import Orders
from ansible_collections.infinite.databases.plugins.module_utils._database import info
from ansible_collections.infinite.databases.plugins.module_utils._database.record import read_record
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._services.status import Collector
from ansible_collections.infinite.databases.plugins.module_utils.runner import with_defaults
from tests.support.nodes import Cluster, on, wait_until
from tests.support.pages import Pages
from tests.support.user import PREFIX

from .test_backup import ENVIRONMENT

NAME, OLDER = f"{PREFIX}known", f"{PREFIX}older"
METRIC = "infinite_database_backup_"
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"
ARCHIVED = "find /srv/backups/archive/{} -name '{}-*'"


@pytest.fixture(scope="module")
def user() -> Iterator[Cluster]:
    ENVIRONMENT.make()
    user = Cluster(ENVIRONMENT)
    user.erase_all()
    user.run("provision", db=NAME)
    yield user
    user.erase_all()


@pytest.fixture(scope="module")
def older(user: Cluster) -> str:
    """A database from before the environment had backups."""
    user.run("provision", db=OLDER, database_backup=False)
    return OLDER


def order(user: Cluster, kind: str) -> str:
    """Have the database backed up, and return the error."""
    return str(Orders(user.client, [read_record(user.client, NAME)], kind).wait(120)[NAME]["error"])


def known(user: Cluster) -> dict[str, Any]:
    params = user.connection | {"details": True, "backups": True, "names": [NAME]}
    (one,) = info.SPEC.execute(with_defaults(info.ARGUMENT_SPEC, params), False)["databases"]
    found: dict[str, Any] = one["backup"]
    return found


def figures(user: Cluster) -> dict[str, float]:
    lines = re.findall(rf'^{METRIC}(\w+){{database="{NAME}"}} (\S+)$', user.run("metrics", plain=True).out, re.MULTILINE)
    return {name: float(value) for name, value in lines}


def page(user: Cluster) -> str:
    """Return the status page's row of the database, and the warnings above."""
    pages = Pages(user, ENVIRONMENT)
    code, _headers, body = pages.ask("status", **pages.login())
    assert code == 200
    row = body[body.index(f'<th scope="row">{NAME}') :].partition("</tr>")[0]
    return "".join(re.findall(r'<p class="notice">.*?</p>', body)) + row


@contextmanager
def repository_away() -> Iterator[None]:
    on(ENVIRONMENT.node, "chmod 000 /srv/backups")
    try:
        yield
    finally:
        on(ENVIRONMENT.node, "chmod 700 /srv/backups")


def test_all_tell_what_the_repository_has(user: Cluster) -> None:
    assert order(user, "full") == ""
    told, shown = known(user), figures(user)
    alloc = next(one for one in user.client.job.get("_backup", "allocations") if one["ClientStatus"] == "running")
    stanza = read_record(user.client, NAME)["volume"]
    ask = f"docker exec agent-{alloc['ID']} pgbackrest --config=/secrets/pgbackrest.conf --stanza={stanza} --output=json info"
    backups = [one["timestamp"]["stop"] for one in json.loads(on(ENVIRONMENT.node, ask))[0]["backup"]]
    assert (told["oldest"], told["last"], told["alarm"]) == (backups[0], backups[-1], "")
    assert (shown["oldest_timestamp_seconds"], shown["last_timestamp_seconds"], shown["alarm"]) == (backups[0], backups[-1], 0)
    assert told["last"] <= told["newest"] <= time.time()
    assert told["newest"] <= shown["newest_timestamp_seconds"] <= time.time()
    # The database is too young for a test restore.
    assert set(re.findall(rf"`{METRIC}(\w+)`", DOCUMENT.read_text())) == shown.keys() | {"tested_timestamp_seconds"}
    assert re.search(r"^restorable +from 20.* to 20", user.run("info", plain=True, db=NAME).out, re.MULTILINE)
    assert re.search(r'"Last backup">\d+[sm] ago<div class="reason">restorable from \d+[sm] to \d+[sm] ago', page(user))


def test_looking_costs_a_request_for_each_node_more(user: Cluster) -> None:
    client = NomadClient(with_defaults(CONNECTION_SPEC, user.connection))
    collector = Collector(client, "no node", 9, 0, backups=True)
    collector.collect()
    before = client.api_calls
    (one,) = [one for one in collector.collect()["databases"] if one["name"] == NAME]
    assert one["backup"]["last"] == known(user)["last"]
    assert client.api_calls == before + 7 + 1 + ENVIRONMENT.nodes


def test_an_alarm_is_one_everywhere(user: Cluster) -> None:
    started = user.query(NAME, "select pg_postmaster_start_time()")
    with repository_away():
        user.query(NAME, "create table meanwhile as select 1 as id")
        moment = time.time()
        assert order(user, "incr") != ""
        told = known(user)
        assert told["alarm"].startswith("its backup failed: [")
        assert told["newest"] < moment
        alarm = f"backup: {told['alarm']}"
        assert alarm[:90] in user.run("list", plain=True, db=NAME).out
        at_night = user.run("drift", "--check", plain=True, fails=True, fail_if_differs=True)
        assert f"{NAME}: {alarm}." in at_night.out
        assert "Databases whose backups have an alarm: 1." in at_night.err
        assert f"{NAME}: {alarm}." in user.run("drift", plain=True).out
        shown = figures(user)
        assert shown["alarm"] == 1
        assert shown["waiting_bytes"] == known(user)["pending"] > 0
        assert shown["waiting_seconds"] > 0
        wait_until(lambda: f"have an alarm: {NAME}" in page(user), 30, "the page does not name the database")
        assert '<div class="reason alarm">its backup failed</div>' in page(user)
    assert order(user, "incr") == ""
    told = known(user)
    assert (told["alarm"], told["pending"]) == ("", 0)
    assert told["newest"] > moment
    assert user.query(NAME, "select pg_postmaster_start_time()") == started, "an alarm restarts nothing"


def test_the_last_moment_is_in_the_repository(user: Cluster, older: str) -> None:
    """PostgreSQL itself ends the file of the log. The other database becomes old enough for an alarm meanwhile."""
    user.query(NAME, "create table last as select 1 as id")
    moment, file = time.time(), user.query(NAME, "select pg_walfile_name(pg_current_wal_insert_lsn())")
    archived = ARCHIVED.format(read_record(user.client, NAME)["volume"], file)
    assert known(user)["newest"] < moment
    assert on(ENVIRONMENT.node, archived) == ""
    wait_until(lambda: known(user)["newest"] > moment, 90, "nothing was archived")
    assert on(ENVIRONMENT.node, archived)


def test_a_database_is_put_into_the_backups_by_one_restart(user: Cluster, older: str) -> None:
    alarm = f"{older}: backup: it is not backed up: no agent knows it"
    assert alarm in user.run("drift", "--check", plain=True).out
    mended = user.run("drift", plain=True).out
    assert f"{older}: its job differed from its description; it was updated." in mended
    assert alarm not in mended
    started = user.query(older, "select pg_postmaster_start_time()")
    assert "nothing differs" in user.run("drift", plain=True, fail_if_differs=True).out
    assert user.query(older, "select pg_postmaster_start_time()") == started
