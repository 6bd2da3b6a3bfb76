# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A database copied into another version of PostgreSQL: into a newer one, and not into an older one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.faults import playbook
from tests.support.user import PREFIX, User

PLAY = Path(__file__).with_name("images.yml")
OLD, NEW = (PREFIX + name for name in ("older", "newer"))
CONTENTS = """
create table kept (id bigserial primary key, text text not null check (text <> ''), tags hstore);
insert into kept (text, tags) select md5(i::text), hstore('a', i::text) from generate_series(1, 10000) as i;
create index on kept using gin (tags);
create view seen as select count(*) from kept;
create materialized view counted as select count(*) from kept;
create function twice(x int) returns int language sql as 'select 2 * x';
create table parts (id int generated always as identity, day date) partition by range (day);
create table part partition of parts for values from ('2026-01-01') to ('2027-01-01');
insert into parts (day) values ('2026-06-01');
select lo_from_bytea(4711, 'large object');
"""


@pytest.fixture(scope="module")
def images(user: User) -> dict[str, str]:
    """The environment's version, and a newer one, which its connection.yml does not know."""
    found = {version: name for name, version in re.findall(r"([\w.-]+/[\w-]+/postgres:(\d+)-\w+)", playbook(str(PLAY)))}
    described = [{"name": name, "version": version, "extensions": ["hstore"]} for name, version in ((OLD, 17), (NEW, 18))]
    user.run("provision", databases=described, database_images=found)
    user.query(OLD, CONTENTS)
    return found


@pytest.mark.slow
def test_into_a_newer_version(user: User, images: dict[str, str]) -> None:
    given: dict[str, Any] = {"db": NEW, "from": OLD}
    done = user.run("import", plain=True, database_images=images, **given)
    assert f"{NEW}: now has a copy of {OLD}: 2 tables" in done.out
    assert user.query(NEW, "show server_version_num") >= "180000"
    for query in (
        "select md5(string_agg(kept::text, '' order by id)) from kept",
        "select count from seen union select count from counted",
        "select twice(id)::text || day from parts",
        "select convert_from(lo_get(4711), 'UTF8')",
    ):
        assert user.query(NEW, query) == user.query(OLD, query), query


@pytest.mark.slow
def test_not_into_an_older_version(user: User, images: dict[str, str]) -> None:
    user.query(NEW, "create table newest (x int)")
    told = f"{OLD} is PostgreSQL 17, which cannot take the data of {NEW}, PostgreSQL 18; nothing was changed, so provision a "
    told += "database of version 18 and copy into that"
    ways: list[tuple[str, dict[str, Any]]] = [("import", {"db": OLD, "from": NEW}), ("export", {"db": NEW, "to": OLD})]
    for verb, given in ways:
        refused = user.run(verb, plain=True, fails=True, replace=True, database_images=images, **given)
        assert refused.problems == [told]
    assert user.query(OLD, "select count(*) from kept") == 10000
