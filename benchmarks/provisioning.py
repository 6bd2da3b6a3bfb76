# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measures how long ansible-playbook takes for one database, for the same one again, and for many."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from benchmarks import floors
from benchmarks.environment import PREFIX, VERSION, BenchError, Environment, Run
from benchmarks.report import Figure, show

NO_POOL = {"database_pool_size": {VERSION: 0}}
numbers = itertools.count(1)


def new_names(count: int) -> list[str]:
    return [f"{PREFIX}{next(numbers)}" for _number in range(count)]


def unchanged(run: Run) -> float:
    if run.changed:
        raise BenchError(f"A run with nothing to do says changed={run.changed}; run it with -v --diff to see what")
    return run.seconds


def one(env: Environment, runs: int) -> Iterator[Figure]:
    """Measure a new database with a full pool and with an empty pool, and the same database again."""
    new = Figure("provision a new database, pool full", "s", mark=2.5)
    again = Figure("the same again, nothing to do (changed=0)", "s", mark=1.8)
    empty, raw, bare, container = [], [], [], []
    processor: tuple[list[float], list[float]] = [], []
    for number in range(runs):
        env.fill_pool()
        name = new_names(1)[0]
        empty.append(floors.empty_playbook(env))
        first = env.provision([name])
        new.samples.append(first.seconds)
        env.wait_pool()
        second = env.provision([name])
        again.samples.append(unchanged(second))
        processor[0].append(first.processor_seconds)
        processor[1].append(second.processor_seconds)
        record = env.record(name)
        bare += [floors.connect_and_query(env, record) for _number in range(5)]
        env.fill_pool()
        raw.append(floors.job_to_query(env, number))
        container.append(floors.docker_run(env))
    floor = {
        "empty playbook": median(empty, "s"),
        "job to first query by raw API": median(raw, "s"),
        "docker run of the image": median(container, "s"),
    }
    new.floors = floor | {"the command's own processor time": median(processor[0], "s")}
    again.floors = {
        "empty playbook": floor["empty playbook"],
        "connect and query by psycopg": median(bare, "s"),
        "the command's own processor time": median(processor[1], "s"),
    }
    yield new
    slow = Figure("provision a new database, pool empty", "s", mark=12)
    slow.floors = floor
    for _number in range(max(2, runs // 2)):
        env.drain_pool()
        slow.samples.append(env.provision(new_names(1), **NO_POOL).seconds)
    yield slow
    yield again


def many(env: Environment, runs: int, count: int) -> Iterator[Figure]:
    """Measure many new databases in one run, from a pool as large and from the default pool, and a run with nothing to do."""
    mark = 40 if count == 100 else None
    prepared = Figure(f"{count} new databases in one run, pool of {count}", "s", mark=mark)
    default = Figure(f"{count} new databases in one run, default pool", "s", mark=mark)
    ratio = Figure(f"nothing to do for {count}, against one", "x", mark=2)
    filling = Figure(f"fill a pool of {count} (nobody waits for it)", "s")
    hundred: list[float] = []
    single: list[float] = []
    for number in range(runs):
        env.purge()
        env.drain_pool()
        filling.samples.append(fill(env, count))
        names = new_names(count)
        prepared.samples.append(env.provision(names).seconds)
        env.wait_pool()
        # The two alternate, so that the machine is equally busy for both.
        for _number in range(2 if number else 3):
            hundred.append(unchanged(env.provision(names)))
            single.append(unchanged(env.provision(names[:1])))
            ratio.samples.append(hundred[-1] / single[-1])
        if number < max(1, runs - 1):
            env.purge()
            env.fill_pool()
            default.samples.append(env.provision(new_names(count)).seconds)
            env.wait_pool()
    env.purge()
    prepared.floors = default.floors = {"containers alone": f"{show(containers(env, min(count, 20)) * count)} s"}
    ratio.floors = {"for all": median(hundred, "s"), "for one": median(single, "s")}
    yield from (prepared, default, ratio, filling)


def fill(env: Environment, count: int) -> float:
    return env.playbook("benchmarks/playbooks/pool.yml", database_pool_size={VERSION: count}).seconds


def containers(env: Environment, count: int) -> float:
    """Start many containers of the image side by side without Nomad, and return the seconds for one of them."""
    script = (
        'a=$(date +%s%N); seq "$2" | xargs -P 8 -I{} docker run --rm --init --entrypoint true "$1"; echo $(($(date +%s%N) - a))'
    )
    return int(env.node("sh", "-c", script, "sh", env.images[VERSION], str(count)).split()[-1]) / 1e9 / count


def median(samples: Sequence[float], unit: str) -> str:
    return f"{show(sorted(samples)[len(samples) // 2])} {unit}"
