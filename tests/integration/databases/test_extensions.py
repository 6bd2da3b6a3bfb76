# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Extensions: those of the image work for the owner, others are refused beforehand with a list of what there is."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.user import User


@pytest.fixture(scope="module")
def name(user: User) -> Iterator[str]:
    name = "infinite-test-extensions"
    user.run("provision", db=name, extensions=["pgvector", "postgis", "pg_cron", "pg_stat_statements"])
    yield name
    user.run("destroy", db=name, purge=True)


def test_postgis(user: User, name: str) -> None:
    """A degree of longitude on the equator, in kilometres; the projection needs PROJ's own data."""
    assert user.query(name, "select round(st_distance('point(0 0)'::geography, 'point(1 0)'::geography) / 1000)") == 111
    assert user.query(name, "select round(st_x(st_transform(st_setsrid(st_point(1, 0), 4326), 3857)))") == 111319


def test_pgvector(user: User, name: str) -> None:
    assert user.query(name, "select '[1,2]'::vector <-> '[1,3]'::vector") == 1


def test_pg_cron_runs_the_owners_jobs(user: User, name: str) -> None:
    user.query(name, "create table ticks (who text default current_user)")
    user.query(name, "select cron.schedule('tick', '1 second', 'insert into ticks default values')")
    deadline = time.monotonic() + 20
    while user.query(name, "select count(*) from ticks") == 0:
        assert time.monotonic() < deadline, user.query(name, "select string_agg(return_message, ';') from cron.job_run_details")
        time.sleep(0.2)
    user.query(name, "select cron.unschedule('tick')")
    assert user.query(name, "select who from ticks limit 1") == name


def test_pg_stat_statements(user: User, name: str) -> None:
    assert user.query(name, "select count(*) from pg_stat_statements") > 0


def test_what_the_image_lacks_is_refused_with_what_it_has(user: User, name: str) -> None:
    for db in (name, "infinite-test-lacking"):
        done = user.run("provision", plain=True, fails=True, db=db, extensions=["timescaledb", "vector"])
        assert f"{db}: PostgreSQL 17 has no extension timescaledb here; it has " in done.err
        assert "postgis" in done.err
    assert not user.variable("databases/infinite-test-lacking")
