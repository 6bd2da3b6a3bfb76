# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which copies of records the agent writes, and which databases an environment has lost."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._backup import records as saved_records
from ansible_collections.infinite.databases.plugins.module_utils._backup.recover import Plan, plan

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "roles" / "backup" / "files"))
records: Any = importlib.import_module("records")
volumes: Any = importlib.import_module("volume")

STANZA, OTHER = "pg17-0123456789ab", "pg17-ba9876543210"


def items(volume: str = STANZA, word: str = "first", **more: str) -> dict[str, str]:
    logins = {"owner": {"user": "mydb", "password": word}}
    return {"logins": json.dumps(logins), "version": "17", "volume": volume, "spec": "{}"} | more


def saved(**more: Any) -> dict[str, Any]:
    return {"name": "mydb", "items": items(), "created": 100.0, "erased": 0, "written": 200.0} | more


class Kept:
    """In the place of the repository."""

    def __init__(self) -> None:
        self.written: dict[str, dict[str, Any]] = {}
        self.writes = 0

    def write_record(self, stanza: str, control: bytes, record: dict[str, Any]) -> None:
        assert control == b"control"
        self.writes += 1
        self.written[stanza] = record

    def read_record(self, stanza: str) -> dict[str, Any]:
        return self.written[stanza]


class Nomad:
    """Answers as Nomad does: a list of stubs without values, and variables."""

    def __init__(self) -> None:
        self.variables: dict[str, dict[str, Any]] = {}

    def ask(self, path: str, prefix: str = "") -> Any:
        if path == "vars":
            return [{"Path": name, "ModifyIndex": one["ModifyIndex"]} for name, one in self.variables.items()]
        return self.variables.get(path.removeprefix("var/"))

    def put(self, index: int, **given: Any) -> None:
        self.variables["databases/mydb"] = {"Items": items(**given), "ModifyIndex": index, "CreateTime": 100 * 10**9}


@pytest.fixture
def nomad() -> Nomad:
    return Nomad()


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def copier(nomad: Nomad, kept: Kept) -> Any:
    return records.Records(kept, nomad.ask)


@pytest.fixture
def present(tmp_path: Path) -> dict[str, Any]:
    """A volume of the database mydb."""
    (tmp_path / "data" / "global").mkdir(parents=True)
    (tmp_path / "data" / "global" / "pg_control").write_bytes(b"control")
    (tmp_path / "database").write_text("mydb\n")
    return {"volume": volumes.Volume(tmp_path, STANZA, 0.0, ready=True)}


def test_a_record_is_copied_when_it_changes(nomad: Nomad, kept: Kept, copier: Any, present: dict[str, Any]) -> None:
    for index, password in ((1, "first"), (1, "first"), (2, "second"), (2, "second")):
        nomad.put(index, word=password)
        copier.copy(present)
        assert present["volume"].recorded
        assert json.loads(kept.written[STANZA]["items"]["logins"])["owner"]["password"] == password
        assert kept.written[STANZA]["erased"] == 0
    assert kept.writes == 2


def test_a_volume_cannot_name_another_database(nomad: Nomad, kept: Kept, copier: Any, present: dict[str, Any]) -> None:
    nomad.put(1, volume=OTHER)
    copier.copy(present)
    assert (kept.writes, present["volume"].recorded) == (0, None)


def test_what_cannot_be_written_is_told_and_tried_again(nomad: Nomad, kept: Kept, copier: Any, present: dict[str, Any]) -> None:
    nomad.put(1)
    control = present["volume"].path / "data" / "global" / "pg_control"
    control.rename(f"{control}.away")
    control.symlink_to("/etc/passwd")
    copier.copy(present)
    assert "Too many levels of symbolic links" in present["volume"].record_error
    control.unlink()
    Path(f"{control}.away").rename(control)
    copier.copy(present)
    assert (present["volume"].record_error, kept.writes) == ("", 1)


@pytest.mark.parametrize("then", ["nothing", "another database of this name"])
def test_an_erased_database_is_told_so(nomad: Nomad, kept: Kept, copier: Any, present: dict[str, Any], then: str) -> None:
    nomad.put(1)
    copier.copy(present)
    nomad.variables.clear()
    if then != "nothing":
        nomad.put(2, volume=OTHER)
    copier.copy({})
    assert kept.written[STANZA]["erased"] > 0
    copier.copy({})
    assert kept.writes == 2


def test_a_database_that_is_left_out_is_not_erased(nomad: Nomad, kept: Kept, copier: Any, present: dict[str, Any]) -> None:
    nomad.put(1)
    copier.copy(present)
    nomad.put(2)
    copier.copy({})
    assert (kept.written[STANZA]["erased"], kept.writes) == (0, 1)


def test_a_new_agent_takes_nothing_for_erased(nomad: Nomad, kept: Kept, present: dict[str, Any]) -> None:
    """After Nomad's servers were lost, it knows no records, and the repository has some."""
    nomad.put(1)
    records.Records(kept, nomad.ask).copy(present)
    nomad.variables.clear()
    records.Records(kept, nomad.ask).copy({})
    assert (kept.written[STANZA]["erased"], kept.writes) == (0, 1)


def test_the_newest_copy_counts() -> None:
    # The agent has written last that the older database was erased.
    copies = [saved(created=2, written=3, items=items(OTHER)), saved(created=1, written=4, erased=4), saved(name="other")]
    found = saved_records.newest(copies)
    assert {name: (one["volume"], one["erased"]) for name, one in found.items()} == {"mydb": (OTHER, 0), "other": (STANZA, 0)}
    for source, volume in (("mydb", OTHER), (STANZA, STANZA)):
        record = saved_records.find_saved(copies[:2], source)
        assert record
        assert record["volume"] == volume
    assert saved_records.find_saved(copies, "nobody") is None


def test_what_cannot_be_read_is_told_and_the_rest_is_read() -> None:
    lines = [
        f"{STANZA} 0 {json.dumps(saved())} ",
        f"{OTHER} 1 ",
        f'{OTHER} 0 {{"name": ',
        f"{OTHER} 29 2026-12-01 P00  ERROR: [029]: unable to flush ",
    ]
    text = "\n".join([*lines, "end\n"])
    assert saved_records.read_lines(text.removesuffix("end\n")) is None
    assert saved_records.read_lines("") is None
    found = saved_records.read_lines(text)
    assert found
    assert found.copies == [saved()]
    assert [problem.partition(": ")[2].split(":")[0] for problem in found.problems] == [
        "the repository has backups, but no record of whose they are",
        "its record cannot be read",
        "its record cannot be read",
    ]
    assert saved_records.read_lines("end\n") == ([], [])


def record(**more: Any) -> dict[str, Any]:
    return saved_records.read_copy(saved()) | more


RESTORE = {"source": "mydb", "stanza": STANZA, "at": "", "reach": ""}


@pytest.mark.parametrize(
    ("of_copy", "here", "jobs", "expected"),
    [
        pytest.param({}, None, [], Plan(lost=["mydb"]), id="lost"),
        pytest.param({"destroyed": 5}, None, [], Plan(lost=["mydb"]), id="destroyed, but not erased"),
        pytest.param({"erased": 5}, None, [], Plan(), id="erased"),
        pytest.param({"erasing": True}, None, [], Plan(), id="an erasure was interrupted"),
        pytest.param({}, {}, ["mydb"], Plan(), id="here"),
        pytest.param({}, {}, [], Plan(), id="here, and stopped"),
        pytest.param({}, {"volume": OTHER, "restore": RESTORE}, [], Plan(begun=["mydb"]), id="its recovery was interrupted"),
        pytest.param({}, {"volume": OTHER}, [], Plan(restored=["mydb"]), id="restored, and never run"),
        pytest.param({}, {"volume": OTHER, "destroyed": 5}, [], Plan(), id="restored and destroyed"),
        pytest.param({}, {"volume": OTHER}, ["mydb"], Plan(), id="restored and run"),
        pytest.param(
            {},
            {"volume": OTHER, "logins": {"owner": {"user": "mydb", "password": "another"}}},
            ["mydb"],
            Plan(notes=[f"mydb: another database has this name now; restore the lost one under another name "
                        f"(idb restore mydb-lost --from {STANZA})"]),
            id="another one",
        ),
        pytest.param(
            {"restore": {"source": "prod"}},
            None,
            [],
            Plan(notes=["mydb: its restore from prod was not finished: restore it again"]),
            id="it was being restored",
        ),
        pytest.param(
            {"version": "14"}, None, [], Plan(notes=["mydb: postgres_image_versions lacks its version 14"]), id="an old version"
        ),
    ],
)  # fmt: skip
def test_what_is_recovered(of_copy: dict[str, Any], here: dict[str, Any] | None, jobs: list[str], expected: Plan) -> None:
    present = {} if here is None else {"mydb": record() | here}
    assert plan({"mydb": record(**of_copy)}, present, jobs, ["15", "17"]) == expected


def test_a_database_whose_node_is_away_is_named() -> None:
    assert plan({"mydb": record()}, {"mydb": record()}, ["mydb"], ["17"], [STANZA]).notes == [
        "mydb: its node is away; docs/backup.md says what to do if the node is lost for good"
    ]
