# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Databases are backed up, and come back as they were at a moment, under a new name."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ansible_collections.infinite.databases.plugins.module_utils._backup.state import read_states
from ansible_collections.infinite.databases.plugins.module_utils._database.restart import running_allocs
from tests.support.environments import Environment
from tests.support.examples import examples
from tests.support.nodes import Cluster, on, wait_until
from tests.support.s3 import S3
from tests.support.user import PREFIX, ROOT, Done

from .test_examples import WITH_BACKUPS

ENVIRONMENT = Environment("backups-4", backups=True)
SOURCE, NOON, LATEST, AGAIN = (PREFIX + name for name in ("backed-up", "noon", "latest", "again"))
CONTENTS = """
create table kept (id int primary key, text text);
insert into kept select i, md5(i::text) from generate_series(1, 20000) as i;
create table tags (tag hstore);
insert into tags values ('a=>1');
select cron.schedule('nightly', '0 3 * * *', 'delete from kept');
"""
RESTORES = "/var/lib/infinite.databases/data/restores"
FINGERPRINT = "select md5(string_agg(kept::text, ',' order by id)), count(*) from kept"


def of(source: str, name: str, **extra: Any) -> dict[str, Any]:
    """Return the variables of a restore."""
    return {"db": name, "from": source} | extra


def label(done: Done) -> str:
    """Return pgBackRest's name of the backup that was taken, which begins with the name of the full backup that it is based on."""
    found = re.search(r": \w+ backup ([0-9FDI_-]+),", done.out)
    assert found
    return found[1]


def now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"


@pytest.fixture(scope="module")
def user() -> Iterator[Cluster]:
    ENVIRONMENT.make()
    user = Cluster(ENVIRONMENT)
    user.erase_all()
    yield user
    user.erase_all()


@pytest.fixture(scope="module")
def source(user: Cluster) -> str:
    """A database with a full backup, rows that were written after it, and a mishap at the end. The moment before the mishap."""
    user.run("provision", db=SOURCE, extensions=["hstore", "pg_cron"], statement_timeout=20, labels="team=web", ttl="7d")
    with user.connect(SOURCE) as connection:
        connection.execute(CONTENTS.encode())
    done = user.run("backup", plain=True, db=SOURCE, kind="full")
    assert re.search(rf"^{SOURCE}: full backup [0-9F-]+, [0-9.]+ .?B in the repository, took \d+ s$", done.out, re.MULTILINE)
    with user.connect(SOURCE) as connection:
        connection.execute("insert into kept select i, 'later' from generate_series(20001, 25000) as i")
    time.sleep(1)
    moment = now()
    time.sleep(1)
    with user.connect(SOURCE) as connection:
        connection.execute("delete from kept where id > 100")
    return moment


def counts(user: Cluster, name: str, role: str = "owner") -> int:
    with user.connect(name, role) as connection:
        row = connection.execute("select count(*) from kept").fetchone()
    assert row
    return int(row[0])


def test_a_moment_comes_back_under_a_new_name(user: Cluster, source: str) -> None:
    done = user.run("restore", plain=True, **of(SOURCE, NOON, at=source, memory=96))
    assert f"{NOON}: restored {SOURCE} at {source[:19]} UTC (last transaction: " in done.out
    assert counts(user, NOON) == 25000
    assert counts(user, SOURCE) == 100
    with user.connect(NOON) as connection:
        owners = "select distinct tableowner, current_database(), current_user from pg_tables where schemaname = 'public'"
        assert connection.execute(owners).fetchall() == [(NOON, NOON, NOON)]
        assert connection.execute("select tag -> 'a' from tags").fetchall() == [("1",)]
        # The jobs of the source do not run a second time.
        assert connection.execute("select active, database, username from cron.job").fetchall() == [(False, NOON, NOON)]
    assert counts(user, NOON, role="ro") == 25000
    described = json.loads(user.run("info", plain=True, db=NOON, output="json").out)
    assert described["description"]["memory"] == 96
    assert described["description"]["statement_timeout"] == 20
    assert described["labels"] == {}
    assert described["expires"] is None


def test_the_sources_passwords_do_not_work_in_the_copy(user: Cluster, source: str) -> None:
    for role in ("owner", "rw", "ro"):
        login = user.login(SOURCE, role)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            user.connect(NOON, login=login)
        renamed = {**login, "user": login["user"].replace(SOURCE, NOON)}
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            user.connect(NOON, login=renamed)


def test_the_latest_state_has_all_that_was_committed(user: Cluster, source: str) -> None:
    with user.connect(SOURCE) as connection:
        connection.execute("insert into kept values (30000, 'a moment ago')")
    user.run("restore", **of(SOURCE, LATEST))
    assert counts(user, LATEST) == 101


def test_a_copy_is_backed_up_and_restored_itself(user: Cluster, source: str) -> None:
    """It is on another timeline, and has a stanza of its own."""
    user.run("backup", db=NOON)
    with user.connect(NOON) as connection:
        connection.execute("insert into kept values (40000, 'in the copy')")
    user.run("restore", **of(NOON, AGAIN))
    assert counts(user, AGAIN) == 25001


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"at": "2100-01-01 12:00"}, "at: 2100-01-01 12:00:00 UTC is in the future"),
        ({"at": "2020-01-01"}, f"{SOURCE}: 2020-01-01 00:00:00 UTC is before its first backup, which was finished at 20"),
        ({"at": "noon"}, "at: 'noon' is not a moment such as `10 minutes ago`"),
        ({"from": f"{PREFIX}nobody"}, f"{PREFIX}nobody: there is no such database, and no backup of one; see `list`"),
        ({"db": LATEST}, f"{LATEST}: a database of this name exists; restore under another name, or purge it first"),
        ({"from": ""}, "One new database is restored from one other: give both"),
    ],
)
def test_what_cannot_be_restored(user: Cluster, source: str, extra: dict[str, str], expected: str) -> None:
    done = user.run("restore", plain=True, fails=True, **(of(SOURCE, f"{PREFIX}refused") | extra))
    assert [line for line in done.problems if expected in line], done.err
    assert f"{PREFIX}refused" not in user.run("list", plain=True).out


def test_an_interrupted_restore_is_begun_anew(user: Cluster, source: str) -> None:
    name = f"{PREFIX}killed"
    process = user.start("restore", **of(SOURCE, name, at=source))
    user.kill_when(process, lambda: bool(user.client.jobs.get(prefix=f"_transfer-{name}_")))
    refused = user.run("provision", plain=True, fails=True, db=name)
    assert f"{name}: its restore from {SOURCE} was not finished: restore it again, or purge it" in refused.err
    user.run("restore", **of(SOURCE, name, at=source))
    assert counts(user, name) == 25000
    # Nothing of the first run is left, and no copy of the repository's keys.
    assert user.client.jobs.get(prefix=f"_transfer-{name}") == []
    assert user.client.variables.list(f"nomad/jobs/_transfer-{name}") == []


def test_nothing_is_restored_over_a_database(user: Cluster, source: str) -> None:
    """Not even by a run that began before the database was made."""
    name = f"{PREFIX}in-use"
    user.run("provision", db=name)
    with user.connect(name) as connection:
        connection.execute("create table kept as select 1 as id")
    record = user.variable(f"databases/{name}")
    asked = {"source": SOURCE, "stanza": user.variable(f"databases/{SOURCE}")["volume"], "at": "", "reach": ""}
    user.client.variables.write(f"databases/{name}", record | {"restore": json.dumps(asked)})
    user.client.job.delete(name)
    refused = user.run("restore", plain=True, fails=True, **of(SOURCE, name))
    assert f"{name}: {SOURCE} could not be restored: the database {name} has already run on this volume" in refused.err
    user.client.variables.write(f"databases/{name}", record)
    user.run("provision", db=name)
    assert counts(user, name) == 1


def test_a_gap_in_the_log_is_noticed(user: Cluster) -> None:
    """What is written while a database is left out of the backups is in none of them, until there is a new full one."""
    name, copy = f"{PREFIX}gap", f"{PREFIX}gap-copy"
    user.run("provision", db=name)
    before = label(user.run("backup", plain=True, db=name, kind="full"))
    user.run("provision", db=name, backup=False)
    with user.connect(name) as connection:
        connection.execute("create table kept as select 1 as id")
    alloc = running_allocs(user.client, [name])[name][0]
    on(ENVIRONMENT.node, f"docker exec postgres-{alloc} psql -h /tmp -XAtc 'select pg_switch_wal()' postgres")
    user.run("provision", db=name, backup=True)
    # Whichever comes first: the order is a full backup itself, or is based on the one that was due by itself.
    after = label(user.run("backup", plain=True, db=name))
    assert after.partition("_")[0] > before
    user.run("restore", **of(name, copy))
    assert counts(user, copy) == 1


def leftovers() -> str:
    """Return what test restores have left on the node."""
    return on(ENVIRONMENT.node, f"find {RESTORES} -mindepth 1 ! -name work ! -name results.json")


def test_a_restore_is_tested(user: Cluster, source: str) -> None:
    with user.connect(SOURCE) as connection:
        connection.execute("insert into kept values (70000, 'to be replayed')")
    begin = now()
    done = user.run("backup", plain=True, db=SOURCE, kind="test")
    found = re.search(
        rf"^{SOURCE}: restored to test it: (\d+) relations, last transaction (20.*)\+00, took \d+ s$", done.out, re.MULTILINE
    )
    assert found, done.out
    assert found[2] > begin
    with user.connect(SOURCE, "owner") as connection:
        row = connection.execute("select count(*) from pg_class where oid >= 16384 and relkind <> 't'").fetchone()
    assert row == (int(found[1]),)
    assert f"  restore tested {begin[:10]} " in user.run("backups", plain=True, db=SOURCE).out
    assert leftovers() == ""


def test_an_agent_that_is_killed_during_a_test_restore_begins_anew(user: Cluster, source: str) -> None:
    process = user.start("backup", db=SOURCE, kind="test")
    wait_until(lambda: on(ENVIRONMENT.node, f"find {RESTORES}/work -name '*.begun'"), 60, "no server took the restored database")
    on(ENVIRONMENT.node, "docker kill $(docker ps --quiet --filter name=agent-)")
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, f"{out}\n{err}"
    # An agent's log begins with the agent.
    log = on(ENVIRONMENT.node, "docker exec $(docker ps --quiet --filter name=agent-) cat /alloc/data/agent.stdout.0")
    assert re.search(": test restore took ", log), log
    wait_until(lambda: not leftovers(), 20, "the restored database is not erased")


@pytest.mark.parametrize("part", ["backup", "log", "end of the log"])
def test_a_damaged_repository_fails_the_test_restore(user: Cluster, source: str, part: str) -> None:
    """The control is the same test when the damage is undone."""
    stanza = user.variable(f"databases/{SOURCE}")["volume"]
    if part == "backup":
        made = label(user.run("backup", plain=True, db=SOURCE, kind="full"))
        path = f"/srv/backups/backup/{stanza}/{made}/bundle/1"
    else:
        with user.connect(SOURCE) as connection:
            connection.execute("insert into kept values (1 + (select max(id) from kept), 'archived')")
        user.run("backup", db=SOURCE, kind="wal")
        path = on(ENVIRONMENT.node, f"ls -t /srv/backups/archive/{stanza}/*/*/* | head -n 1").strip()
    on(ENVIRONMENT.node, f"cp -p {path} /srv/backups/kept")
    if part == "end of the log":
        on(ENVIRONMENT.node, f"rm {path}")
    else:
        on(ENVIRONMENT.node, f"dd if=/dev/zero of={path} bs=64 count=4 seek=$(($(stat -c %s {path}) / 128)) conv=notrunc")
    try:
        failed = user.run("backup", plain=True, fails=True, db=SOURCE, kind="test")
        # pgBackRest does not notice each damage to a file of the log. PostgreSQL then takes the damage for the log's end.
        expected = {
            "backup": r"\[",
            "log": r"\[|the log was replayed only up to ",
            "end of the log": "the log was replayed only up to ",
        }
        assert re.search(rf"{SOURCE}: ({expected[part]})", failed.err), failed.err
        assert f"{SOURCE}: restorable from 20" in (told := user.run("backups", plain=True, db=SOURCE).out)
        assert "but its test restore failed: " in told
        assert "  backup: its test restore failed: " in user.run("list", plain=True).out
        wait_until(lambda: not leftovers(), 20, "the restored database is not erased")
        if part == "log":
            refused = user.run("restore", plain=True, fails=True, **of(SOURCE, f"{PREFIX}damaged"))
            assert f"{PREFIX}damaged: {SOURCE} could not be restored: " in refused.err
    finally:
        on(ENVIRONMENT.node, f"mv /srv/backups/kept {path}")
    user.run("backup", db=SOURCE, kind="test")
    assert "test restore failed" not in user.run("backups", plain=True, db=SOURCE).out


def test_a_broken_index_fails_the_test_restore(user: Cluster) -> None:
    """The backup itself has what the server has, and the log can be replayed. The control is the same without the table."""
    name = f"{PREFIX}broken"
    user.run("provision", db=name)
    with user.connect(name) as connection:
        connection.execute("create table kept as select i from generate_series(1, 10000) as i; create index of_kept on kept (i)")
    alloc = running_allocs(user.client, [name])[name][0]
    ask = "select pg_relation_filepath(oid) from pg_class where relname = 'of_kept'"
    in_container = f"docker exec postgres-{alloc}"
    path = on(ENVIRONMENT.node, f'{in_container} psql -h /tmp -XAtc checkpoint -c "{ask}" {name} | tail -n 1').strip()
    on(ENVIRONMENT.node, f"{in_container} dd if=/dev/zero of=/volume/data/{path} bs=8192 count=1 seek=3 conv=notrunc")
    user.run("backup", db=name, kind="full")
    failed = user.run("backup", plain=True, fails=True, db=name, kind="test")
    assert re.search(rf"{name}: pg_amcheck: .*of_kept", failed.err), failed.err
    with user.connect(name) as connection:
        connection.execute("drop table kept")
    user.run("backup", db=name, kind="test")


@pytest.mark.parametrize("module", WITH_BACKUPS)
def test_examples(user: Cluster, source: str, tmp_path: Path, module: str) -> None:
    """test_examples.py runs those of the other modules."""
    names = {"mydb": SOURCE, "mydb-again": f"{PREFIX}example", "db.example.com": user.domain}
    tasks = examples(module, names | {"postgres:17.6": user.known["database_images"]["17"]})
    for file in (ROOT / "roles" / "database" / "files").iterdir():
        shutil.copy(file, tmp_path)
    defaults = {"group/infinite.databases.nomad": user.connection}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "module_defaults": defaults, "tasks": tasks}
    playbook = tmp_path / "example.yml"
    playbook.write_text(json.dumps([play]))
    done = user.run(str(playbook), "-i", "localhost,")
    assert f"ok={len(tasks)} " in done.out


def test_a_database_without_backups(user: Cluster) -> None:
    name = f"{PREFIX}not-backed-up"
    user.run("provision", db=name, backup=False)
    refused = user.run("backup", plain=True, fails=True, db=name)
    assert f"{name}: it has `backup: false`; provision it with `backup=true` first" in refused.err
    with user.connect(name) as connection:
        assert connection.execute("show archive_mode").fetchone() == ("off",)
    user.run("provision", db=name, backup=True)
    user.run("backup", db=name)
    assert "restorable from 20" in user.run("backups", plain=True, db=name).out


@pytest.mark.parametrize(
    ("task", "word", "variable", "file"),
    [
        ("postgres-", "SCRAM-SHA-256", "PGDATA=/volume/data", "/secrets/wanted"),
        ("tester-", "pg_amcheck", "VERSION=17", "/local/tester.sh"),
    ],
    ids=["database", "test restore"],
)
def test_the_keys_are_in_no_servers_container(user: Cluster, source: str, task: str, word: str, variable: str, file: str) -> None:
    """As the server's own user, who may read all that the server may, and as root."""
    passphrase = user.variable("nomad/jobs/_backup")["pgbackrest"].split("repo1-cipher-pass=")[1].split()[0]
    assert len(passphrase) == 64
    container = on(ENVIRONMENT.node, f"docker ps --quiet --filter name={task}").split()[0]
    for account in ("999", "root"):
        find = "grep -rsl {} / --exclude-dir=proc --exclude-dir=sys; cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep {}"
        look = f'docker exec --user {account} {container} sh -c "{find}" || :'
        assert on(ENVIRONMENT.node, look.format(passphrase, passphrase)) == ""
        # The control: this search finds what is there.
        seen = on(ENVIRONMENT.node, look.format(word, variable.partition("=")[0]))
        assert variable in seen
        assert account == "root" or file in seen


def test_a_repository_that_is_away_harms_no_client(user: Cluster, source: str) -> None:
    stanza = user.variable(f"databases/{SOURCE}")["volume"]
    on(ENVIRONMENT.node, "chmod 000 /srv/backups")
    try:
        with user.connect(SOURCE) as connection:
            connection.execute("insert into kept values (50000, 'meanwhile')")
        late = user.run("backup", plain=True, fails=True, db=SOURCE)
        assert f"{SOURCE}: [" in late.err
        state = read_states(user.client)[stanza]
        assert state["pending"] > 0
        assert state["archive_error"]
    finally:
        on(ENVIRONMENT.node, "chmod 700 /srv/backups")
    user.run("backup", db=SOURCE, kind="wal")
    assert not read_states(user.client)[stanza]["pending"]


class Bucket:
    def __init__(self, s3: S3, directory: Path) -> None:
        self.s3, self.directory = s3, directory

    def use(self, **changed: str) -> None:
        """Have the agent and restores use the bucket. What is given here differs."""
        given = {
            "backup_directory": "",
            "backup_s3_bucket": self.s3.bucket,
            "backup_s3_region": self.s3.region,
            "backup_s3_endpoint": self.s3.endpoint.removeprefix("https://"),
            "backup_s3_access_key": self.s3.access_key,
            "backup_s3_secret_key": self.s3.secret_key,
            "backup_s3_ca_file": str(self.s3.ca_file),
        }
        self.play(self.directory, given | changed)

    @staticmethod
    def play(directory: Path, variables: dict[str, str]) -> None:
        playbook = directory / "backup.yml"
        playbook.write_text("[{hosts: nomad_clients, gather_facts: false, roles: [infinite.databases.backup]}]")
        command = ["ansible-playbook", "-i", ENVIRONMENT.inventory, str(playbook), "-e", json.dumps(variables)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        for secret in (variables.get("backup_s3_secret_key"), (ENVIRONMENT.state / "backup.passphrase").read_text().strip()):
            assert not secret or secret not in done.stdout + done.stderr


@pytest.fixture
def bucket(user: Cluster, tmp_path: Path) -> Iterator[Bucket]:
    """The environment's backups go to a bucket, and afterwards to the directory again."""
    with S3(tmp_path / "s3", f"{ENVIRONMENT.network}.1") as s3:
        yield Bucket(s3, tmp_path)
    Bucket.play(tmp_path, {})


def test_a_bucket_as_the_repository(user: Cluster, source: str, bucket: Bucket) -> None:
    bucket.use()
    user.run("backup", db=SOURCE, kind="full")
    assert [name for name in bucket.s3.objects() if "/backup/" in name]
    assert [name for name in bucket.s3.objects() if "/archive/" in name]
    with user.connect(SOURCE) as connection:
        connection.execute("insert into kept values (60000, 'for the bucket')")
    user.run("restore", **of(SOURCE, f"{PREFIX}from-bucket"))
    assert counts(user, f"{PREFIX}from-bucket") == counts(user, SOURCE)


@pytest.mark.slow
def test_a_bucket_that_is_away(user: Cluster, source: str, bucket: Bucket) -> None:
    bucket.use()
    user.run("backup", db=SOURCE)
    with bucket.s3.away():
        late = user.run("backup", plain=True, fails=True, db=SOURCE)
        assert "Connection refused" in late.err
    user.run("backup", db=SOURCE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"backup_s3_secret_key": "another"}, "HTTP request failed with 403 (Forbidden)"),
        ({"backup_s3_bucket": "nobodys"}, "NoSuchBucket"),
        ({"backup_s3_ca_file": ""}, "unable to verify certificate"),
    ],
    ids=["keys", "bucket", "CA"],
)
def test_a_bucket_that_refuses(user: Cluster, source: str, bucket: Bucket, wrong: dict[str, str], expected: str) -> None:
    bucket.use(**wrong)
    refused = user.run("backup", plain=True, fails=True, db=SOURCE)
    assert expected in refused.err
    assert len(refused.problems) == 1
