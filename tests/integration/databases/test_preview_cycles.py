# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Previews come and go, and their pipelines are cancelled at any moment: once `expire` has run, nothing is left of any.

INFINITE_PREVIEW_CYCLES (5) and INFINITE_PREVIEW_SEED are how many and which ones.
"""

from __future__ import annotations

import json
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database import prepared_volumes as pool
from tests.support.user import PREFIX, User

CYCLES = int(os.environ.get("INFINITE_PREVIEW_CYCLES", "5"))
SEED = int(os.environ.get("INFINITE_PREVIEW_SEED", "0")) or random.randrange(1, 1_000_000)
# Pipelines at once, each with a pull request of its own.
LANES = 2
KILLED = 0.6


def left_of(user: User, prefix: str) -> dict[str, Any]:
    """All that has the prefix, wherever it may be, but for volumes."""
    paths = [stub["Path"] for stub in user.client.variables.list()]
    claims = {path: user.variable(path).get("database", "") for path in paths if path.startswith(pool.CLAIMS)}
    found = {
        "variables": [path for path in paths if prefix in path],
        "claims": [path for path, name in claims.items() if name.startswith(prefix)],
        "jobs": [job["ID"] for job in user.client.jobs.get() if prefix in job["ID"]],
        "hosts": [word for word in Path("/etc/hosts").read_text().split() if word.startswith(prefix)],
    }
    return {kind: things for kind, things in found.items() if things}


def records(user: User, prefix: str) -> list[str]:
    return [stub["Path"] for stub in user.client.variables.list(pool.RECORDS + prefix)]


def unprepared(user: User) -> list[str]:
    """Volumes that are neither a database's nor, now or soon, in the pool."""
    state = pool.read_state(*pool.read_lists(user.client))
    return [volume.name for volume in state.volumes if volume.state in ("unknown", "failed")]


def interrupted(user: User, dice: random.Random, seconds: float, **given: Any) -> bool:
    """Run a pipeline's step; or begin to, and be cancelled."""
    kill = dice.random() < KILLED
    # The beginning of a run, in which Ansible itself starts, is of no interest.
    after = dice.uniform(0.3, 1.1) * seconds
    run = user.start("preview", **given)
    if not kill:
        user.end(run)
        return False
    deadline = time.monotonic() + after
    while run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    user.kill(run)
    return True


def cycles(user: User, project: str, count: int, seed: int) -> int:
    """Pull requests that are opened and closed, with and without data; how many steps were cancelled."""
    source = f"{project}-source"
    start = time.monotonic()
    user.run("provision", db=source, ttl="1h")
    seconds = time.monotonic() - start
    user.query(source, "create table if not exists kept as select 42 as answer")

    def lane(number: int) -> int:
        dice, killed = random.Random(seed + number), 0
        for cycle in range(number, count, LANES):
            given = {"project": project, "pr": f"{number}-{cycle % 3}", "ttl": "1m", "database_timeout": 30}
            # A pull request's pipeline asks for the same each time.
            given |= {"from": source} if cycle % 3 == 0 else {}
            killed += interrupted(user, dice, seconds, **given)
            if dice.random() < 0.8:
                killed += interrupted(user, dice, seconds, **given, state="absent")
        return killed

    with ThreadPoolExecutor(LANES) as lanes:
        return sum(lanes.map(lane, range(LANES)))


def expire_all(user: User, project: str) -> None:
    """As time would: past the ttl, then past the retention time. Each record is seen to have a ttl and its label."""
    for aged in ("renewed", "destroyed"):
        for path in records(user, project):
            items = user.variable(path)
            spec = json.loads(items["spec"])
            assert spec["ttl"]
            assert spec.get("labels", {}).get("preview") == path.removeprefix(pool.RECORDS) or path.endswith("-source")
            user.client.variables.write(path, items | {aged: "1"})
        user.run("expire", database_orphan_age=0)


@pytest.mark.slow
def test_nothing_is_left_of_previews(user: User) -> None:
    project = f"{PREFIX}cycle"
    print(f"INFINITE_PREVIEW_CYCLES={CYCLES} INFINITE_PREVIEW_SEED={SEED}")
    killed = cycles(user, project, CYCLES, SEED)
    print(f"{killed} steps were cancelled")
    # A run that is not interrupted finishes what others left, volumes for the pool among them.
    user.run("preview", project=project, pr="last", ttl="1m")
    assert user.query(f"{project}-pr-last", "select 1") == 1
    expire_all(user, project)
    assert left_of(user, project) == {}
    deadline = time.monotonic() + 30
    while unprepared(user) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert unprepared(user) == []
