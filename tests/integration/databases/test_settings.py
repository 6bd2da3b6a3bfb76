# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings that PostgreSQL would not start with are refused before anything changes; what fails later is not kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.user import User

NAME, NEW = "infinite-test-settings", "infinite-test-unset"
# The server's check does not ask the kernel for huge pages, its start does, and no node has any.
TOO_LATE = {"huge_pages": "on"}
WORDS = "could not map anonymous shared memory"


@pytest.fixture(scope="module")
def name(user: User) -> Iterator[str]:
    user.run("provision", databases=[{"name": NAME, "settings": {"work_mem": "3MB"}}])
    yield NAME
    user.erase([NAME, NEW])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("wrk_mem=8MB", 'unrecognized configuration parameter "wrk_mem"'),
        ("work_mem=8XB", 'invalid value for parameter "work_mem": "8XB"; Valid units for this parameter are'),
        ("max_connections=3", '"superuser_reserved_connections" (3)'),
        ("shared_preload_libraries=nosuch", 'could not access file "nosuch"'),
        ("shared_buffers=1GB", "MiB of shared memory, and memory_max is 256"),
    ],
)
def test_a_wrong_setting_of_a_running_database(user: User, name: str, settings: str, words: str) -> None:
    with user.connect(name) as session:
        done = user.changes_nothing(lambda: user.run("provision", plain=True, fails=True, db=name, settings=settings))
        assert f"Nothing was changed: {name}: PostgreSQL 17 does not start with these settings: " in done.err
        assert words in done.err
        assert len(done.problems) == 1
        assert session.execute("show work_mem").fetchone() == ("3MB",), "the session lives"


def test_a_wrong_setting_of_a_new_database(user: User) -> None:
    done = user.changes_nothing(lambda: user.run("provision", plain=True, fails=True, db=NEW, settings="wrk_mem=8MB"))
    assert f'{NEW}: PostgreSQL 17 does not start with these settings: unrecognized configuration parameter "wrk_mem"' in done.err


def test_a_good_setting(user: User, name: str) -> None:
    user.run("provision", db=name, settings="work_mem=4MB")
    assert user.query(name, "show work_mem") == "4MB"
    assert [job for job in user.client.jobs.get() if job["ID"].startswith("_settings-")] == []


def test_what_fails_at_its_start_is_not_kept(user: User, name: str) -> None:
    before = user.variable(f"databases/{name}")["spec"]
    done = user.run("provision", plain=True, fails=True, db=name, settings=TOO_LATE, database_timeout=8)
    assert WORDS in done.err
    assert user.variable(f"databases/{name}")["spec"] == before
    assert "it was changed back to what it was before" in done.err
    assert user.query(name, "show huge_pages") == "off"
    assert f"{name}: unchanged" in user.run("provision", db=name).out
