# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tests' environment, whose databases with the tests' prefix are erased before and after all tests, in one call."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database import pool as database_pool
from ansible_collections.infinite.databases.plugins.module_utils._nomad.hcl import job_text
from tests.support.user import ROOT, User

# Enough that the tests rarely wait for the pool.
SPARE_VOLUMES = 20


@pytest.fixture(scope="session")
def user(environment: dict[str, Any]) -> Iterator[User]:
    if "database_domain" not in environment:
        pytest.skip("needs an environment: unset NOMAD_ADDR")
    # One run of these tests at a time.
    lock = Path(environment["nomad_token_file"]).with_name("tests.lock")
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        user = User(environment)
        user.erase_all()
        fill = {
            "size": {"17": SPARE_VOLUMES},
            "images": environment["database_images"],
            "pool_job": job_text(ROOT / "roles/database/files/pool.nomad.hcl"),
            "wait": False,
            "wait_timeout": 60,
        }
        filled = database_pool.SPEC.execute(user.connection | fill, False)
        assert not filled.get("failed"), filled["msg"]
        yield user
        user.erase_all()


@pytest.fixture(scope="session")
def first(user: User) -> str:
    """A database that is there."""
    user.run("provision", db="infinite-test-first")
    return "infinite-test-first"
