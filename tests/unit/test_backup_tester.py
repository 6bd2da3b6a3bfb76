# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Test restores: when one is due, what counts, what the agent gives to a server, and what is left."""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "roles" / "backup" / "files"))
repository: Any = importlib.import_module("repository")
schedule: Any = importlib.import_module("schedule")
tester: Any = importlib.import_module("tester")
volume: Any = importlib.import_module("volume")

DAY = 86400.0
STANZA = "pg17-0123456789ab"
SCHEDULE = schedule.Schedule(7 * DAY, DAY, 7 * DAY)
SEGMENT = "000000010000000000000003"
WELL = "done 0/3000158 12 2026-12-01 15:33:51.346522+00"


class Recorder:
    """A repository that has one file of the log, and of the backup only what a test restore needs."""

    def check(self, _volume: Any) -> None:
        raise AssertionError("the server does not run, so it cannot be asked for a mark")

    def last_archived(self, _volume: Any) -> str:
        return SEGMENT

    def restore(self, _volume: Any, target: Path) -> None:
        (target / "global").mkdir()
        (target / "global" / "pg_control").write_text("control")
        (target / "backup_label").write_text("label")

    def fetch(self, _volume: Any, control: Path, name: str, target: Path) -> bool:
        assert (control / "global" / "pg_control").read_text() == "control"
        assert (control / "backup_label").read_text() == "label"
        if name == SEGMENT:
            target.write_text("segment")
        return name == SEGMENT


def make(directory: Path, disks: tuple[Path, ...] = ()) -> Any:
    (directory / "work").mkdir(exist_ok=True)
    return tester.Tester(directory, disks, Recorder(), SCHEDULE)


def a_volume(directory: Path) -> Any:
    return volume.Volume(directory / "volume", STANZA, 0.0, backups=[{"size": 1000}])


class Server(threading.Thread):
    """The other container. It waits for a restored database, wants some files, and says something."""

    def __init__(self, work: Path, wanted: tuple[str, ...], said: str, before: Callable[[Path], None] = lambda _test: None) -> None:
        super().__init__(daemon=True)
        self.work, self.wanted, self.said, self.before = work, wanted, said, before
        self.got: dict[str, str | None] = {}
        self.start()

    def run(self) -> None:
        while not (found := [one for one in self.work.glob("17-*") if one.is_dir()]):
            time.sleep(0.01)
        test = found[0]
        self.before(test)
        self.write(test, "begun", "")
        for name in self.wanted:
            self.write(test, "wanted", name)
            while test.exists() and not ((self.work / name).exists() or (self.work / f"{name}.none").exists()):
                time.sleep(0.01)
            self.got[name] = (self.work / name).read_text() if (self.work / name).exists() else None
        self.write(test, "result", self.said)

    @staticmethod
    def write(test: Path, kind: str, text: str) -> None:
        new = test.with_name(f"{test.name}.new")
        new.write_text(text)
        new.rename(test.with_name(f"{test.name}.{kind}"))


def test_a_database_is_tested_once_a_period() -> None:
    now, tested = 1.7e9, [1.7e9]
    for _quarter in range(4 * 28):
        now += DAY / 4
        if SCHEDULE.is_test_due(STANZA, tested[-1], now):
            tested.append(now)
    assert len(tested) == 1 + 4
    days = {int((1.7e9 - schedule.last_slot(f"test of pg17-{number:012x}", 7 * DAY, 1.7e9)) / DAY) for number in range(100)}
    assert len(days) == 7
    assert not schedule.Schedule(7 * DAY, DAY, 0).is_test_due(STANZA, 0.0, now)


def test_positions_in_the_log() -> None:
    assert tester.position("1/A2B3C") == (1 << 32) + 0xA2B3C
    assert tester.begin_of("0000000200000001000000FF") == (1 << 32) + 0xFF000000


def test_a_database_is_restored_and_the_result_outlives_the_agent(tmp_path: Path) -> None:
    ours = make(tmp_path)
    server = Server(ours.work, ("00000002.history", SEGMENT), WELL)
    ours.test(a_volume(tmp_path), None)
    server.join()
    assert server.got == {"00000002.history": None, SEGMENT: "segment"}
    kept = make(tmp_path).results[STANZA]
    assert kept["error"] == ""
    assert (kept["relations"], kept["until"]) == (12, "2026-12-01 15:33:51.346522+00")
    assert kept["tried"] <= kept["time"] <= time.time()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["results.json", "work"]
    assert list(ours.work.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "reach", "expected"),
    [
        ("failed pg_amcheck: heap is broken", "0/0", "pg_amcheck: heap is broken"),
        (
            "done 0/3000000 12 none",
            "0/0",
            "the log was replayed only up to 0/3000000; after that, files up to 0000",
        ),
        ("done 0/3000158 12 none", "0/4000000", "the log was replayed only up to 0/3000158; after that, files"),
        ("nonsense", "0/0", "nonsense"),
    ],
    ids=["server", "last file", "order", "nonsense"],
)
def test_what_is_no_restore(tmp_path: Path, said: str, reach: str, expected: str) -> None:
    ours, one = make(tmp_path), a_volume(tmp_path)
    Server(ours.work, (), said)
    ours.test(one, volume.Order("0123456789ab", "test", reach, time.time()))
    assert one.orders["0123456789ab"]["error"].startswith(expected)
    assert ours.results[STANZA]["error"].startswith(expected)
    assert ours.results[STANZA]["time"] is None


@pytest.mark.parametrize("name", ["../../volumes/x", "PG_VERSION", "x" * 2000])
def test_a_server_gets_only_files_of_the_log(tmp_path: Path, name: str) -> None:
    ours = make(tmp_path)

    def want(test: Path) -> None:
        Server.write(test, "wanted", name)
        time.sleep(0.5)

    Server(ours.work, (), WELL, want)
    ours.test(a_volume(tmp_path), None)
    assert "no file of the log" in ours.results[STANZA]["error"]


def test_a_server_cannot_have_the_agent_write_elsewhere(tmp_path: Path) -> None:
    """Its container may be under the control of whoever has broken into the database."""
    ours = make(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")

    def plant(test: Path) -> None:
        for name in (SEGMENT, "00000002.history.none"):
            (ours.work / name).symlink_to(outside / "file")
        (test / "data" / "linked").symlink_to(outside)
        (ours.work / "more").symlink_to(outside)
        Server.write(test, "wanted", SEGMENT)
        while (ours.work / SEGMENT).is_symlink():
            time.sleep(0.01)
        Server.write(test, "wanted", "00000002.history")
        while (ours.work / "00000002.history.none").is_symlink():
            time.sleep(0.01)

    Server(ours.work, (), WELL, plant)
    ours.test(a_volume(tmp_path), None)
    assert ours.results[STANZA]["error"] == ""
    assert (outside / "file").read_text() == "mine"
    assert list(ours.work.iterdir()) == []


def test_a_result_that_is_a_link_is_not_read(tmp_path: Path) -> None:
    ours = make(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("secret")

    def plant(test: Path) -> None:
        test.with_name(f"{test.name}.result").symlink_to(secret)
        time.sleep(0.5)

    Server(ours.work, (), WELL, plant)
    ours.test(a_volume(tmp_path), None)
    assert "Too many levels of symbolic links" in ours.results[STANZA]["error"]


def test_without_a_server_the_test_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tester, "BEGIN_SECONDS", 0.2)
    ours = make(tmp_path)
    ours.test(a_volume(tmp_path), None)
    assert ours.results[STANZA]["error"].startswith("no server of PostgreSQL 17 took the restored database")


def test_without_room_nothing_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, one = make(tmp_path, (tmp_path,)), a_volume(tmp_path)
    one.backups = [{"size": 2**60}]
    ours.test(one, None)
    assert ours.results[STANZA]["error"].startswith("no room for a test restore: it takes 1073741824.0 GiB; ")
    # The control: what is there is enough for a small one.
    monkeypatch.setattr(tester, "KEEP_FREE", 0.0)
    one.backups = [{"size": 1000}]
    Server(ours.work, (), WELL)
    ours.test(one, None)
    assert ours.results[STANZA]["error"] == ""


def test_what_a_killed_agent_has_left_is_removed(tmp_path: Path) -> None:
    ours = make(tmp_path)
    for left in ("new/data", "control/global", "work/17-0123abcd/data"):
        (tmp_path / left).mkdir(parents=True)
        (tmp_path / left / "file").touch()
    (tmp_path / "ready").touch()
    (tmp_path / "work" / "17-0123abcd.begun").touch()
    ours.clean()
    assert [one.name for one in tmp_path.iterdir()] == ["work"]
    assert list(ours.work.iterdir()) == []


def test_what_is_due(tmp_path: Path) -> None:
    ours, one = make(tmp_path), a_volume(tmp_path)
    now = schedule.last_slot(f"test of {STANZA}", 7 * DAY, 1.7e9) + 60
    ours.look(one, now)
    assert ours.waiting.qsize() == 0, "a new database has its first test at its moment of the week"
    assert make(tmp_path).results[STANZA]["since"] == now
    for later, news, expected in (
        (7 * DAY, {}, 1),
        (tester.RETRY_SECONDS / 2, {"tried": now, "error": "x"}, 0),
        (tester.RETRY_SECONDS * 2, {"tried": now, "error": "x"}, 1),
        (tester.RETRY_SECONDS * 2, {"tried": now}, 0),
    ):
        ours.results[STANZA] = tester.nothing_since(now) | news
        ours.queued.clear()
        ours.look(one, now + later)
        ours.look(one, now + later)
        assert ours.waiting.qsize() == expected, news
        while ours.waiting.qsize():
            ours.waiting.get()
    one.backups = []
    ours.results[STANZA] = tester.nothing_since(now)
    ours.queued.clear()
    ours.look(one, now + 7 * DAY)
    assert ours.waiting.qsize() == 0, "there is nothing to restore yet"


def test_an_order_is_carried_out_once(tmp_path: Path) -> None:
    ours, one = make(tmp_path), a_volume(tmp_path)
    ordered = volume.Order("0123456789ab", "test", "0/1", 1.7e9)
    ours.order(one, ordered)
    assert ours.waiting.get() == (one, ordered)
    # After a restart of the agent, a test that began after the order is its test.
    ours.results[STANZA] = tester.nothing_since(0.0) | {"tried": 1.7e9 + 1, "error": "broken"}
    ours.order(one, ordered)
    assert ours.waiting.qsize() == 0
    assert one.orders == {"0123456789ab": {"error": "broken", "reach": "0/1"}}


def test_an_unreadable_file_of_results_harms_nothing(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps({STANZA: {"since": 5.0}})[:-3])
    ours = make(tmp_path)
    assert ours.results == {}
    ours.look(a_volume(tmp_path), 6.0)
    assert json.loads((tmp_path / "results.json").read_text())[STANZA]["since"] == 6.0
