# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The managed block of the hosts file."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.infinite.databases.plugins.module_utils._database import hosts_file
from ansible_collections.infinite.databases.plugins.module_utils._database.hosts_file import SPEC, join, marks, plan, split

BEGIN, END = marks("test")
OTHERS = "# mine\n127.0.0.1\tlocalhost\n\n::1 localhost ip6-localhost\n"
BLOCK = f"{BEGIN}\n192.0.2.1 a.db.invalid\n192.0.2.1 b.db.invalid\n{END}\n"
HOSTS = st.from_regex(r"\A[a-z][a-z0-9]{0,9}(\.[a-z]{1,5}){0,2}\Z")
ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
# Lines of anybody's; splitlines() knows more line ends than a hosts file has.
LINES = st.lists(st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" \t#")))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "hosts"
    file.write_text(OTHERS)
    return file


def run(path: Path, names: Sequence[str] = (), check_mode: bool = False, **params: Any) -> dict[str, Any]:
    defaults = {"names": list(names), "address": "192.0.2.1", "addresses": {}, "state": "present", "marker": "test", "all": False}
    defaults["path"] = str(path)
    return SPEC.execute(defaults | params, check_mode)


@given(LINES, st.dictionaries(HOSTS, ADDRESSES))
def test_round_trip(others: list[str], entries: dict[str, str]) -> None:
    text = join(others, entries, BEGIN, END)
    assert text.endswith("\n")
    assert split(text.splitlines(), BEGIN, END) == (others, entries) or (not others and not entries)


@given(st.dictionaries(HOSTS, ADDRESSES), st.lists(HOSTS), ADDRESSES)
def test_plan(entries: dict[str, str], names: list[str], address: str) -> None:
    addresses = dict.fromkeys(names, address)
    added = plan(entries, names, addresses)
    assert set(added) == set(entries) | set(names)
    assert all(added[name] == address for name in names)
    assert plan(added, names, addresses) == added, "again: nothing to do"
    removed = plan(added, names, None)
    assert removed == {name: value for name, value in entries.items() if name not in names}
    assert plan(entries, names, None, []) == {}
    exact = plan(entries, names, addresses, names)
    assert exact == dict.fromkeys(names, address), "no others stay"


def test_add_remove_and_again(path: Path) -> None:
    names = ["b.db.invalid", "a.db.invalid"]
    added = run(path, names)
    assert added["changed"]
    assert added["names"] == [("a.db.invalid", "192.0.2.1"), ("b.db.invalid", "192.0.2.1")]
    assert path.read_text() == OTHERS + BLOCK
    assert added["diff"]["before"] == OTHERS
    assert added["diff"]["after"] == OTHERS + BLOCK
    assert not run(path, names)["changed"]
    assert run(path, ["b.db.invalid"], state="absent")["changed"]
    assert path.read_text() == OTHERS + BLOCK.replace("192.0.2.1 b.db.invalid\n", "")
    assert not run(path, ["b.db.invalid"], state="absent")["changed"]
    assert run(path, ["a.db.invalid"], state="absent")["changed"]
    assert path.read_text() == OTHERS


def test_names_of_several_nodes(path: Path) -> None:
    addresses = {"b.db.invalid": "192.0.2.2", "not-asked-for.db.invalid": "192.0.2.3"}
    done = run(path, ["a.db.invalid", "b.db.invalid"], addresses=addresses, all=True)
    assert done["names"] == [("a.db.invalid", "192.0.2.1"), ("b.db.invalid", "192.0.2.2")]
    assert not run(path, ["a.db.invalid", "b.db.invalid"], addresses=addresses, all=True)["changed"]
    assert run(path, ["b.db.invalid"])["names"] == [("b.db.invalid", "192.0.2.1"), ("b.db.invalid", "192.0.2.2")], "it moved"


def test_another_address_replaces(path: Path) -> None:
    path.write_text(OTHERS + BLOCK)
    assert run(path, ["a.db.invalid"], address="192.0.2.9")["changed"]
    assert "192.0.2.9 a.db.invalid\n192.0.2.1 b.db.invalid\n" in path.read_text()


def test_blocks_of_other_environments_stay(path: Path) -> None:
    other = BLOCK.replace(" test\n", " staging\n")
    path.write_text(OTHERS + other)
    run(path, ["a.db.invalid"])
    assert run(path, state="absent", all=True)["changed"]
    assert path.read_text() == OTHERS + other


def test_check_mode(path: Path) -> None:
    result = run(path, ["a.db.invalid"], check_mode=True)
    assert result["changed"]
    assert "a.db.invalid" in result["diff"]["after"]
    assert path.read_text() == OTHERS


def test_names_that_resolve_are_left_to_the_resolver(path: Path) -> None:
    assert not run(path, ["localhost"], address="127.0.0.1")["changed"]
    assert path.read_text() == OTHERS


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "{block}"),
        ("127.0.0.1 localhost", "127.0.0.1 localhost\n{block}"),
        (f"{BEGIN}\n\n# a person's note\n192.0.2.1   a.db.invalid b.db.invalid # here\n{END}\n127.0.0.1 x\n", None),
    ],
    ids=["empty", "no line end", "edited by hand"],
)
def test_unusual_files(path: Path, before: str, after: str | None) -> None:
    path.write_text(before)
    changed = run(path, ["a.db.invalid", "b.db.invalid"])["changed"]
    if after is None:
        assert not changed
    assert path.read_text() == (before if after is None else after.format(block=BLOCK))


def test_bytes_that_are_no_utf8_are_kept(path: Path) -> None:
    path.write_bytes(b"# caf\xe9\n127.0.0.1 localhost\n")
    assert run(path, ["a.db.invalid"])["changed"]
    assert path.read_bytes().startswith(b"# caf\xe9\n127.0.0.1 localhost\n# BEGIN")


@pytest.mark.parametrize("text", [f"{BEGIN}\n192.0.2.1 a.db.invalid\n127.0.0.1 localhost\n", f"127.0.0.1 localhost\n{END}\n"])
def test_half_a_block_is_left_alone(path: Path, text: str) -> None:
    path.write_text(text)
    result = run(path, ["b.db.invalid"])
    assert result["failed"]
    assert "BEGIN" in result["msg"]
    assert str(path) in result["msg"]
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"names": ["a b"]}, "names: 'a b' is not a host name"),
        ({"names": ["a\n127.0.0.1 evil"]}, "is not a host name"),
        ({"names": ["a."]}, "is not a host name"),
        ({"names": ["A.b"]}, "is not a host name"),
        ({"names": ["a" * 64]}, "is not a host name"),
        ({"address": "localhost"}, "address: 'localhost' is not an IP address"),
        ({"address": None}, "address: None is not an IP address"),
        ({"address": "127.0.0.1 x"}, "is not an IP address"),
        ({"names": ["a.db.invalid"], "addresses": {"a.db.invalid": "x"}}, "address: 'x' is not an IP address"),
        ({"path": "/nonexistent/hosts", "names": ["a.db.invalid"]}, "Cannot read /nonexistent (No such file or directory)"),
        ({"path": "/tmp/.nonexistent-hosts", "names": ["a.db.invalid"]}, "Cannot read /tmp/.nonexistent-hosts (No such"),
        ({"path": "/proc/version", "names": ["a.db.invalid"]}, "Cannot write /proc/version ("),
    ],
)
def test_refused(path: Path, params: dict[str, Any], message: str) -> None:
    result = run(**{"path": path} | params)
    assert result["failed"]
    assert message in result["msg"]
    assert "\n" not in result["msg"]
    assert path.read_text() == OTHERS


def add_when(go: Event, path: Path) -> None:
    go.wait()
    run(path, ["n1.db.invalid"])


def test_runs_at_once_lose_no_name(path: Path) -> None:
    """A run waits for another, and then sees what that has written. Processes, as playbooks are."""
    context = multiprocessing.get_context("fork")
    go = context.Event()
    # Started first: a lock would be inherited.
    other = context.Process(target=add_when, args=(go, path), daemon=True)
    other.start()
    with hosts_file.locked(str(path)):
        go.set()
        inode = path.parent.stat().st_ino
        wait_until(lambda: f":{inode} " in waiting_locks())
        path.write_text(OTHERS + BLOCK)
    other.join(10)
    assert other.exitcode == 0
    others, entries = split(path.read_text().splitlines(), BEGIN, END)
    assert others == OTHERS.splitlines()
    assert sorted(entries) == ["a.db.invalid", "b.db.invalid", "n1.db.invalid"]


def waiting_locks() -> str:
    """proc(5): a process that waits is shown with an arrow."""
    return "\n".join(line for line in Path("/proc/locks").read_text().splitlines() if "->" in line)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("names", [[], ["a.db.invalid"]])
def test_nothing_to_do_reads_no_file(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts_file, "resolves_to", lambda name, address: True)
    assert not run(Path("/nonexistent/hosts"), names)["changed"]
