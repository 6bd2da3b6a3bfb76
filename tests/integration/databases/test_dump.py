# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Dumps that stream out of the environment and into it: whole, or noticed. The programs are the server's own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database.restart import running_allocs
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.exec import Exec
from ansible_collections.infinite.databases.plugins.module_utils._nomad.hcl import job_text
from ansible_collections.infinite.databases.plugins.module_utils._transfer import dump as database_dump
from ansible_collections.infinite.databases.plugins.module_utils._transfer import load as database_load
from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadDenied
from ansible_collections.infinite.databases.plugins.module_utils.runner import with_defaults
from tests.support.user import ENVIRONMENT, NODE, PREFIX, ROOT, User, workers

SOURCE, TARGET, BARE, NOBODY = (PREFIX + name for name in ("dumped", "loaded", "bare", "nobody"))
# 16 MB that cannot be compressed by more than half: more than all pipes on the way hold.
CONTENTS = """
create table big (id bigserial primary key, text text, tag hstore, place vector(3));
insert into big (text, tag, place)
    select (select string_agg(md5(i::text || j), '') from generate_series(1, 50) as j), 'a=>1', '[1,2,3]'
      from generate_series(1, 10000) as i;
create index on big using gin (tag);
create schema "Other Place";
create view "Other Place".biggest as select max(id) as id from big;
comment on table big is 'it''s big';
create publication everything for table big;
select lo_from_bytea(4711, decode(md5('large object'), 'hex'));
"""
FINGERPRINTS = (
    "select count(*) || md5(string_agg(big::text, '' order by id)) from big",
    'select id::text from "Other Place".biggest',
    "select obj_description('big'::regclass)",
    "select encode(lo_get(4711), 'hex')",
    "select nextval('big_id_seq')::text",
)
DUMPING = "select count(*) from pg_stat_activity where query like 'COPY public.big %'"
STALLED = f"{DUMPING} and wait_event = 'ClientWrite'"
IDB = [str(ROOT / "bin" / "idb")]


@pytest.fixture(scope="module")
def source(user: User) -> str:
    extensions = ["hstore", "pgvector"]
    user.run("provision", databases=[{"name": name, "extensions": extensions} for name in (SOURCE, TARGET)] + [{"name": BARE}])
    user.query(SOURCE, CONTENTS)
    return SOURCE


@pytest.fixture(scope="module")
def dump(source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By make, whose standard output is the dump and nothing else."""
    file = tmp_path_factory.mktemp("dump") / "source.dump"
    with file.open("wb") as out:
        command = ["make", "dump", f"db={source}", f"environment_name={ENVIRONMENT}"]
        done = subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{source}: its dump is complete: " in done.stderr
    return file


def module(user: User, spec: Any, name: str, file: Path, **given: Any) -> dict[str, Any]:
    """A module alone, without Ansible around it."""
    job = job_text(ROOT / "roles/database/files/stream.nomad.hcl")
    known = {"images": user.known["database_images"], "domain": user.domain, "ca_cert": user.ca, "stream_job": job}
    params = user.connection | known | {"port": user.known["database_port"], "name": name, "file": str(file)}
    done: dict[str, Any] = spec.execute(with_defaults(spec.argument_spec, params | given), False)
    return done


def start(verb: str, name: str, **streams: Any) -> subprocess.Popen[bytes]:
    command = [*IDB, verb, name, "--environment", ENVIRONMENT]
    return subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True, **streams)


def server(user: User, name: str) -> str:
    (alloc,) = running_allocs(user.client, [name])[name]
    return f"postgres-{alloc}"


def listed(user: User, file: Path) -> list[str]:
    """The dump's entries without their numbers and owners, by the server's own program."""
    program = ["docker", "exec", "-i", NODE, "docker", "exec", "-i", server(user, TARGET), "pg_restore", "--list"]
    with file.open("rb") as dump:
        text = subprocess.run(program, stdin=dump, capture_output=True, check=True).stdout.decode()
    found = [re.fullmatch(r"\d+; \d+ \d+ (.*) \S*", line) for line in text.splitlines() if not line.startswith(";")]
    return sorted(one[1] for one in found if one)


def jobs(user: User) -> list[str]:
    return [job["ID"] for job in user.client.jobs.get(namespace="dumps") if PREFIX in job["ID"] and job["Status"] != "dead"]


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def test_round_trip(user: User, dump: Path, tmp_path: Path) -> None:
    assert dump.stat().st_size > 8_000_000
    with dump.open("rb") as file:
        run = start("load", TARGET, stdin=file, stdout=subprocess.PIPE)
        out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    assert out.decode().startswith(f"{TARGET}: now has what the dump in the standard input has: 1 table, ")
    for query in FINGERPRINTS:
        assert user.query(TARGET, query) == user.query(SOURCE, query), query
    assert user.query(TARGET, "select tableowner from pg_tables where tablename = 'big'") == TARGET
    assert user.query(TARGET, "select count(*) from big", role="ro") == 10000
    again = tmp_path / "target.dump"
    user.run("dump", plain=True, db=TARGET, file=str(again))
    assert again.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["target.dump"]
    # Publications belong to the server that they came from.
    ours = [line for line in listed(user, dump) if not line.startswith("PUBLICATION")]
    assert listed(user, again) == ours
    assert any(line.startswith("TABLE DATA public big") for line in ours)
    assert not jobs(user)


def test_refusals(user: User, dump: Path, tmp_path: Path) -> None:
    """Each in one line, and nothing is changed."""
    whole = dump.read_bytes()
    newer = re.sub(rb"\x0017\.", b"\x0019.", whole[:200], count=1) + whole[200:]
    file = tmp_path / "dump"
    for name, content, given, reason in (
        (BARE, b"", {}, "The dump is empty, and nothing was changed"),
        (BARE, b"--\n-- PostgreSQL database dump\n", {}, "That is a script of SQL"),
        (BARE, b"\x1f\x8b\x08", {}, "That is no dump in pg_dump's custom format"),
        (BARE, whole[:40], {}, "The dump ends within its head"),
        (BARE, newer, {}, f"{BARE} is PostgreSQL 17, which cannot take a dump of PostgreSQL 19; nothing was changed"),
        (BARE, whole[:1000], {}, f"{BARE} was not changed: the dump is not complete"),
        (BARE, whole, {}, f"{BARE} lacks extensions of the source, and nothing was changed; run provision.yml -e db={BARE}"),
        (NOBODY, whole, {}, f"{NOBODY}: there is no such database"),
        (SOURCE, whole, {}, f"{SOURCE} is not empty (4 tables, views, sequences and functions)"),
        (SOURCE, whole[: len(whole) // 2], {"replace": True}, f"{SOURCE} is as it was, the transfer failed"),
        (SOURCE, whole[:-50], {"replace": True}, f"{SOURCE} is as it was, the transfer failed"),
    ):
        file.write_bytes(content)
        before = [user.query(SOURCE, query) for query in FINGERPRINTS[:-1]]
        refused = module(user, database_load.SPEC, name, file, **given)
        assert refused.get("msg", "").startswith(reason), (len(content), refused)
        assert [user.query(SOURCE, query) for query in FINGERPRINTS[:-1]] == before
    none = tmp_path / "none"
    for spec, name, path, reason in (
        (database_load.SPEC, BARE, none, f"file: cannot read {none} (No such file or directory)"),
        (database_load.SPEC, BARE, Path("/dev/fd/999"), "file: cannot read the standard input (Bad file descriptor)"),
        (database_dump.SPEC, NOBODY, none, f"{NOBODY}: there is no such database"),
        (database_dump.SPEC, SOURCE, none / "x", f"file: cannot write to {none / 'x'} (No such file or directory)"),
        (
            database_dump.SPEC,
            SOURCE,
            Path("/dev/full"),
            "Cannot write to /dev/full (No space left on device), so",
        ),
    ):
        assert module(user, spec, name, path)["msg"].startswith(reason)
    assert not none.exists()
    assert not jobs(user)


def test_replace(user: User, dump: Path) -> None:
    user.query(TARGET, 'drop view if exists "Other Place".biggest; drop table if exists big; create table old (x int)')
    done = module(user, database_load.SPEC, TARGET, dump, replace=True)
    assert done["tables"] == 1, done
    assert user.query(TARGET, "select to_regclass('old')") is None
    assert user.query(TARGET, FINGERPRINTS[0]) == user.query(SOURCE, FINGERPRINTS[0])


def test_interrupted_dumps(user: User, source: str) -> None:
    """Whoever reads has stopped reading, so the dump is in the middle. No password can be seen meanwhile."""
    password = user.login(source)["password"]
    for end, status in ((signal.SIGINT, 99), (signal.SIGTERM, -signal.SIGTERM)):
        run = start("dump", source, stdout=subprocess.PIPE)
        (job,) = wait_until(lambda: jobs(user))
        wait_until(lambda: user.query(source, STALLED))
        (alloc,) = user.client.job.get(job, "allocations", namespace="dumps")
        seen = json.dumps(user.client.job.get(job, namespace="dumps")) + user.node("ps", "axwwe")
        seen += user.node("docker", "inspect", f"programs-{alloc['ID']}")
        os.killpg(run.pid, end)
        assert run.wait(30) == status
        # Ansible's workers outlive it for a moment, to end what they began.
        wait_until(lambda: not jobs(user))
        wait_until(lambda: not user.query(source, DUMPING))
        _part, err = run.communicate()
        assert password not in seen + err.decode()


def test_a_dump_that_breaks_off_is_noticed(user: User, source: str, tmp_path: Path) -> None:
    run = start("dump", source, stdout=subprocess.PIPE)
    wait_until(lambda: user.query(source, "select count(*) from pg_stat_activity where query like 'COPY public.big %'"))
    user.as_superuser(source, "select pg_terminate_backend(pid) from pg_stat_activity where query like 'COPY public.big %'")
    _part, err = run.communicate(timeout=60)
    assert run.returncode == 2
    assert f'{source}: the dump is not complete: pg_dump: error: Dumping the contents of table "big" failed' in err.decode()


def test_a_load_that_is_interrupted_changes_nothing(user: User, dump: Path) -> None:
    user.query(TARGET, 'drop view "Other Place".biggest; drop schema "Other Place"; drop table big; select lo_unlink(4711)')
    run = start("load", TARGET, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert run.stdin
    os.write(run.stdin.fileno(), dump.read_bytes()[:200_000])
    writing = "select count(*) from pg_stat_activity where query like 'COPY public.big %' and state = 'active'"
    wait_until(lambda: user.query(TARGET, writing))
    os.killpg(run.pid, signal.SIGINT)
    run.wait(30)
    run.communicate()
    assert run.returncode == 99
    wait_until(lambda: not jobs(user))
    wait_until(lambda: not user.query(TARGET, writing))
    assert user.query(TARGET, "select to_regclass('big')") is None


@pytest.mark.slow
def test_a_killed_dump_ends_by_itself(user: User, source: str) -> None:
    """Nobody is left to end it; it notices within two minutes."""
    run = start("dump", source, stdout=subprocess.PIPE)
    wait_until(lambda: user.query(source, STALLED))
    os.kill(run.pid, signal.SIGSTOP)
    for pid in [*workers(run.pid), run.pid]:
        os.kill(pid, signal.SIGKILL)
    run.communicate()
    wait_until(lambda: not user.query(source, DUMPING), 150)
    wait_until(lambda: not jobs(user))


def test_the_right_opens_no_database(user: User, source: str) -> None:
    """The provisioner's token runs commands in the containers of dumps, and in no others."""
    (alloc,) = running_allocs(user.client, [source])[source]
    token = {"nomad_token_file": str(Path(user.connection["nomad_token_file"]).with_name("nomad-provisioner.token"))}
    provisioner = NomadClient(user.connection | token)
    with pytest.raises(NomadDenied, match="the token's policies do not allow it"):
        Exec(provisioner, alloc, "postgres", ["true"], lambda _stream, _data: None).run()
    as_management = Exec(user.client, alloc, "postgres", ["true"], lambda _stream, _data: None)
    assert as_management.run() == 0
