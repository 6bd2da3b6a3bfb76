# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a database is backed up, what is an alarm, and which moments are understood."""

from __future__ import annotations

import importlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._backup import moment, order, restore, state
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

# The agent's files import each other by name, as they do in its container.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "roles" / "backup" / "files"))
agent: Any = importlib.import_module("agent")
repository: Any = importlib.import_module("repository")
schedule: Any = importlib.import_module("schedule")
tester: Any = importlib.import_module("tester")
volume: Any = importlib.import_module("volume")

DAY = 86400.0
NOW = datetime(2026, 11, 30, 12, 30, tzinfo=UTC)
SCHEDULE = schedule.Schedule(7 * DAY, DAY, 7 * DAY)


def backups(*kinds_and_starts: tuple[str, float]) -> list[dict[str, Any]]:
    return [{"kind": kind, "start": start, "stop": start + 5} for kind, start in kinds_and_starts]


def test_a_database_without_a_backup_gets_a_full_one() -> None:
    assert SCHEDULE.due("pg17-0123456789ab", [], 1e9) == "full"


def test_each_period_has_one_backup_at_a_moment_of_the_stanza() -> None:
    now, kinds, taken = 1.7e9, [], backups(("full", 1.7e9))
    for _quarter in range(4 * 14):
        now += DAY / 4
        if kind := SCHEDULE.due("pg17-0123456789ab", taken, now):
            taken += backups((kind, now))
            kinds.append(kind)
    assert kinds.count("full") == 2
    assert 11 <= kinds.count("diff") <= 14
    assert len(kinds) <= 15


def test_the_backups_of_many_databases_are_spread() -> None:
    now = 1.7e9
    hours = {int((now - schedule.last_slot(f"pg17-{number:012x}", DAY, now)) / 3600) for number in range(200)}
    assert len(hours) > 18


def test_pgbackrest_gives_the_reason() -> None:
    text = "P00   WARN: something\nP00  ERROR: [032]: key not found\n            HINT: is it there?\nP00   INFO: end\n"
    assert repository.reason(text, 32) == "[032]: key not found HINT: is it there?"
    headers = "*** Request Headers ***:\n   host: x\n   *** Response Content ***:\n   <Error><Code>NoSuchBucket</Code></Error>\n"
    failure = "[039]: HTTP request failed with 404 (Not Found):"
    answer = f"P00  ERROR: {failure}\n   *** Path/Query ***:\n   HEAD /b\n   {headers}P00 INFO: end"
    assert repository.reason(answer, 39) == f"{failure} *** Path/Query ***: HEAD /b NoSuchBucket"
    assert repository.reason("", 9) == "pgbackrest ended with status 9"


def test_broken_backups_do_not_count() -> None:
    one = {"label": "a", "type": "full", "timestamp": {"start": 1, "stop": 2}, "info": {"size": 9, "repository": {"delta": 3}}}
    told = [{"backup": [one | {"error": False}, one | {"error": True, "label": "b"}]}]
    assert repository.read_backups(told) == [
        {"label": "a", "kind": "full", "start": 1, "stop": 2, "size": 9, "repository_size": 3},
    ]
    assert repository.read_backups([{"status": {"code": 1}}]) == []


def told(**news: Any) -> dict[str, Any]:
    """What an agent says of a database for which all is well."""
    nothing = {"pending": 0, "pending_bytes": 0, "pending_since": None, "archive_error": "", "backup_error": ""}
    well = {"time": 1e9, "seen": 1e9 - DAY, "running": True, "schedule": {"full": 7 * DAY, "differential": DAY, "test": 7 * DAY}}
    well |= {"record_error": "", "recorded": 1e9 - 5, "continuous": True}
    return well | nothing | {"backups": backups(("full", 1e9 - 3600))} | news


@pytest.mark.parametrize(
    ("news", "expected"),
    [
        ({}, ""),
        ({"time": 1e9 - 61}, "its node's backup agent has said nothing for 1 minutes"),
        ({"pending_since": 1e9 - 200}, ""),
        ({"pending_since": 1e9 - 360, "archive_error": "no route"}, "its log has not been archived for 6 minutes: no route"),
        ({"backup_error": "[032]: key"}, "its backup failed: [032]: key"),
        (
            {"record_error": "[032]: key"},
            "its record is not in the repository, so `recover` would not bring it back: [032]: key",
        ),
        (
            {"recorded": None},
            "its record is not in the repository, so `recover` would not bring it back: the agent's log may say why",
        ),
        ({"recorded": None, "running": False}, ""),
        ({"recorded": None, "seen": 1e9 - 200}, ""),
        ({"backups": backups(("full", 1e9 - 1.2 * DAY))}, ""),
        ({"backups": backups(("full", 1e9 - 2 * DAY))}, "its newest backup is 48 hours old"),
        ({"backups": backups(("full", 1e9 - 2 * DAY)), "running": False}, ""),
        ({"backups": [], "seen": 1e9 - 60}, ""),
        ({"backups": None}, ""),
        ({"backups": [], "seen": 1e9 - 3 * DAY}, "its newest backup is 72 hours old"),
        ({"test": {"since": 1e9 - 7.9 * DAY, "time": None, "error": ""}}, ""),
        ({"test": {"since": 1e9 - 8.1 * DAY, "time": None, "error": ""}}, "no restore of it was tested for 194 hours"),
        ({"test": {"since": 0.0, "time": 1e9 - 7.9 * DAY, "error": ""}}, ""),
        (
            {"test": {"since": 0.0, "time": 1e9 - 9 * DAY, "error": ""}, "running": False},
            "no restore of it was tested for 216 hours",
        ),
        ({"test": {"since": 0.0, "time": 1e9, "error": "no room"}}, "its test restore failed: no room"),
        ({"test": {"since": 0.0, "time": None, "error": ""}, "schedule": {"full": DAY, "differential": DAY, "test": 0}}, ""),
        ({"test": {"since": 0.0, "time": None, "error": ""}, "backups": [], "running": False}, ""),
    ],
)
def test_alarm(news: dict[str, Any], expected: str) -> None:
    assert state.alarm(told(**news), 1e9) == expected


def test_a_database_that_no_agent_knows_is_an_alarm() -> None:
    assert "no agent knows it" in state.summary(None, True, 1e9)["alarm"]
    assert state.summary(None, False, 1e9)["alarm"] == ""


def record(**given: Any) -> dict[str, Any]:
    return {"volume": STANZA, "spec": {}, "destroyed": 0, "erasing": False, "restore": {}, "created_at": 1e9 - DAY} | given


@pytest.mark.parametrize(
    ("known", "given", "expected"),
    [
        (False, {}, True),
        (False, {"created_at": 1e9 - 30}, False),
        (False, {"restore": {"source": "other"}}, False),
        (False, {"spec": {"backup": False}}, False),
        (False, {"destroyed": 1e9 - 90}, False),
        (False, {"erasing": True}, False),
        (True, {"created_at": 1e9 - 30}, True),
        (True, {"spec": {"backup": False}}, False),
        (True, {"destroyed": 1e9 - 90}, False),
    ],
)
def test_which_databases_can_have_an_alarm(known: bool, given: dict[str, Any], expected: bool) -> None:
    states = {STANZA: told(backup_error="[032]: key")} if known else {}
    assert bool(state.of_database(states, record(**given), 1e9)["alarm"]) is expected


@pytest.mark.parametrize(
    ("news", "expected"),
    [
        ({}, 1e9 - state.FILE_SECONDS),
        ({"pending_since": 1e9 - 400}, 1e9 - 400 - state.FILE_SECONDS),
        # The agent has said nothing since.
        ({"time": 1e9 - 600}, 1e9 - 600 - state.FILE_SECONDS),
        ({"pending_since": 1e9 - 400, "backups": backups(("full", 1e9 - 30))}, 1e9 - 25),
        ({"continuous": False}, 1e9 - 3595),
        ({"backups": []}, None),
        ({"backups": None}, None),
    ],
)
def test_the_last_moment_that_can_be_restored(news: dict[str, Any], expected: float | None) -> None:
    assert state.summary(told(**news), True, 1e9)["newest"] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("latest", None),
        ("10 minutes ago", "2026-11-30T12:20:00+00:00"),
        ("2h ago", "2026-11-30T10:30:00+00:00"),
        ("1 day ago", "2026-11-29T12:30:00+00:00"),
        ("9:05", "2026-11-30T09:05:00+00:00"),
        ("12:00:30", "2026-11-30T12:00:30+00:00"),
        ("2026-11-30 12:00", "2026-11-30T12:00:00+00:00"),
        ("2026-11-30T12:00:00Z", "2026-11-30T12:00:00+00:00"),
        ("2026-11-30 12:00+01:00", "2026-11-30T11:00:00+00:00"),
        ("2026-11-29", "2026-11-29T00:00:00+00:00"),
    ],
)
def test_moments(text: str, expected: str | None) -> None:
    read = moment.read_moment(text, NOW)
    assert (read and read.isoformat()) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("noon", "'noon' is not a moment such as `10 minutes ago`"),
        ("12:61", "'12:61' is not a moment"),
        ("2026-13-01", "is not a moment"),
        ("13:00", "2026-11-30 13:00:00 UTC is in the future; it is 2026-11-30 12:30:00 UTC now"),
    ],
)
def test_what_is_no_moment(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=r"moment|future") as error:
        moment.read_moment(text, NOW)
    assert expected in str(error.value)


def test_nothing_can_be_restored_from_before_the_first_backup() -> None:
    has = {"backups": backups(("full", NOW.timestamp() - 3605), ("diff", NOW.timestamp() - 60))}
    restore.check_moment("mydb", None, has)
    restore.check_moment("mydb", NOW, has)
    before = moment.read_moment("61 minutes ago", NOW)
    with pytest.raises(InvalidInput, match="mydb: 2026-11-30 11:29:00 UTC is before its first backup, which was finished at"):
        restore.check_moment("mydb", before, has)
    with pytest.raises(InvalidInput, match="there is no backup of it"):
        restore.check_moment("mydb", None, {"backups": []})
    # The repository will tell.
    restore.check_moment("mydb", before, None)
    restore.check_moment("mydb", before, {"backups": None})


def test_roles_get_the_new_databases_names() -> None:
    assert restore.renames("mydb", "mydb") == []
    assert restore.renames("mydb", "copy") == [
        "mydb:copy",
        "mydb_b:copy_b",
        "mydb_rw:copy_rw",
        "mydb_rw_b:copy_rw_b",
        "mydb_ro:copy_ro",
        "mydb_ro_b:copy_ro_b",
    ]


def test_long_names_may_have_the_same_roles() -> None:
    one, other = "a" * 60 + "x", "a" * 60 + "y"
    assert restore.renames(one, other) == [f"{one}:{other}", f"{one}_b:{other}_b"]


RECORD = {"erasing": False, "destroyed": 0, "spec": {}, "volume": "v"}
WELL = {"time": 1e9}


@pytest.mark.parametrize(
    ("record", "told_of", "is_running", "expected"),
    [
        (RECORD, WELL, True, ""),
        (None, None, False, "there is no such database"),
        (RECORD | {"destroyed": 5}, WELL, True, "it is destroyed"),
        (RECORD | {"spec": {"backup": False}}, None, True, "it has `backup: false`"),
        (RECORD, WELL, False, "its server does not run"),
        (RECORD, None, True, "no backup agent knows it"),
        (RECORD, {"time": 1e9 - 100}, True, "its node's backup agent does not answer"),
    ],
)
def test_what_cannot_be_backed_up(record: Any, told_of: Any, is_running: bool, expected: str) -> None:
    why = order.refusal(record, told_of, is_running, 1e9)
    assert why.startswith(expected)
    assert bool(why) == bool(expected)


class Recorder:
    """A repository that only notes what it is asked for."""

    def __init__(self, base: bool = True) -> None:
        self.base, self.name, self.taken = base, "here", list[str]()

    def create(self, volume: Any) -> None:
        volume.ready = True

    def archive(self, volume: Any, name: str) -> None:
        self.taken.append(name)

    def back_up(self, volume: Any, kind: str) -> None:
        self.taken.append(kind)

    def backups(self, volume: Any) -> list[dict[str, Any]]:
        return []

    def has_base(self, volume: Any) -> bool:
        return self.base


def agent_of(directory: Path, base: bool = True) -> Any:
    return agent.Agent(directory, directory / "state.json", Recorder(base), SCHEDULE, None)


def make_volume(directory: Path, name: str, stanza: str) -> Path:
    path = directory / name
    (path / "data" / "pg_wal" / "archive_status").mkdir(parents=True)
    (path / "stanza").write_text(stanza)
    return path


STANZA = "pg17-0123456789ab"


def test_only_volumes_that_name_a_stanza_are_backed_up(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(STANZA)
    for name, stanza in {"a": STANZA, "b": "../../etc", "c": STANZA, "d": "x" * 5000, "e": ""}.items():
        make_volume(tmp_path, name, stanza)
    linked = make_volume(tmp_path, "f", "")
    (linked / "stanza").unlink()
    (linked / "stanza").symlink_to(secret)
    piped = make_volume(tmp_path, "g", "")
    (piped / "stanza").unlink()
    os.mkfifo(piped / "stanza")
    (make_volume(tmp_path, "h", "") / "stanza").write_bytes(b"\xff")
    ours = agent_of(tmp_path)
    ours.find()
    assert [(name, one.stanza) for name, one in ours.volumes.items()] == [("a", STANZA)]


@pytest.mark.parametrize(
    ("base", "running", "seen", "backed_up", "expected"),
    [
        (True, True, 100.0, None, ""),
        (True, True, 5.0, [], None),
        (True, True, 100.0, [], "full"),
        (False, True, 100.0, [("full", 1.7e9)], "full"),
        (True, True, 100.0, [("full", 1.7e9)], None),
        (False, False, 100.0, [], None),
    ],
    ids=["unknown", "new", "first", "a gap in the log", "nothing", "stopped"],
)
def test_what_is_due(
    tmp_path: Path, base: bool, running: bool, seen: float, backed_up: list[tuple[str, float]] | None, expected: str | None
) -> None:
    path, now = make_volume(tmp_path, "a", STANZA), 1.7e9 + 1
    if running:
        (path / "data" / "postmaster.pid").touch()
    one = volume.Volume(path, STANZA, now - seen, continuous=base)
    one.backups = None if backed_up is None else backups(*backed_up)
    assert agent_of(tmp_path, base).due(one, now) == expected


def test_an_order_is_carried_out_once(tmp_path: Path) -> None:
    path, ours = make_volume(tmp_path, "a", STANZA), agent_of(tmp_path)
    one = volume.Volume(path, STANZA, 0.0, backups=[], continuous=True)
    (path / "order").write_text("0123456789ab incr 0/1A2B3C")
    ours.look_at_order(one, [])
    # Another run's order comes between.
    (path / "order").write_text("ba9876543210 wal 0/1A2B3C")
    ours.look_at_order(one, [])
    (path / "order").write_text("0123456789ab incr 0/1A2B3C")
    ours.look_at_order(one, [])
    assert one.accepted == ["0123456789ab"]
    assert ours.waiting.qsize() == 1
    ours.back_up(*ours.waiting.get())
    assert ours.repository.taken == ["incr"]
    assert one.orders["0123456789ab"] == {"error": "", "reach": "0/1A2B3C"}
    ours.look_at_order(one, [])
    assert ours.waiting.qsize() == 0
    # After a restart of the agent, a backup that is younger than the order is its backup.
    again = volume.Volume(path, STANZA, 0.0, backups=[])
    ours.look_at_order(again, backups(("incr", (path / "order").stat().st_mtime + 1)))
    assert ours.waiting.qsize() == 0
    assert "0123456789ab" in again.orders


def test_an_order_for_the_log_waits_for_its_files(tmp_path: Path) -> None:
    path, ours = make_volume(tmp_path, "a", STANZA), agent_of(tmp_path)
    one = volume.Volume(path, STANZA, 0.0, backups=[], pending=1)
    (path / "order").write_text("0123456789ab wal 0/1A2B3C\n")
    ours.look_at_order(one, [])
    assert one.orders == {}
    one.pending = 0
    ours.look_at_order(one, [])
    assert one.orders == {"0123456789ab": {"error": "", "reach": "0/1A2B3C"}}


def test_after_a_gap_in_the_log_an_order_is_a_full_backup(tmp_path: Path) -> None:
    path, ours = make_volume(tmp_path, "a", STANZA), agent_of(tmp_path, base=False)
    (path / "order").write_text("0123456789ab incr 0/1A2B3C")
    ours.look_at_order(volume.Volume(path, STANZA, 0.0, backups=[]), [])
    assert ours.waiting.get()[1] == "full"


def test_a_directory_with_a_symbolic_link_is_not_backed_up(tmp_path: Path) -> None:
    path = make_volume(tmp_path, "a", STANZA)
    assert volume.find_link(path / "data") == ""
    (path / "data" / "pg_wal" / "here").symlink_to("/etc")
    assert volume.find_link(path / "data") == str(path / "data" / "pg_wal" / "here")
    ours = repository.Repository(tmp_path / "none.conf", tmp_path, "here")
    with pytest.raises(repository.Failed, match="is a symbolic link"):
        ours.back_up(volume.Volume(path, STANZA, 0.0), "full")


def test_one_volume_does_not_keep_the_others_from_being_archived(tmp_path: Path) -> None:
    for name, stanza in {"a": STANZA, "b": "pg17-ba9876543210"}.items():
        path = make_volume(tmp_path, name, stanza)
        (path / "data" / "pg_wal" / "archive_status" / "000000010000000000000001.ready").touch()
    status = tmp_path / "a" / "data" / "pg_wal" / "archive_status"
    (status / "000000010000000000000001.ready").unlink()
    status.rmdir()
    status.touch()
    ours = agent_of(tmp_path)
    ours.look_at_all()
    ours.archivers.shutdown()
    assert ours.repository.taken == ["000000010000000000000001"]
    assert "Not a directory" in ours.volumes["a"].archive_error
