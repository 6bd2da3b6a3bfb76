# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measure what docs/performance.md promises, on the local environment: `make bench`, or python -m benchmarks --help."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.errors import InfiniteError
from benchmarks import memory, provisioning, route53, size, throughput
from benchmarks.environment import VERSION, BenchError, Environment
from benchmarks.report import Figure, hardware, load, table, to_json

Section = Callable[[], Iterator[Figure]]
# The sections that need no environment.
ALONE: dict[str, Callable[[int], Iterator[Figure]]] = {"route53": route53.compare}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench args=...", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer runs, and 20 databases where otherwise there are 100")
    parser.add_argument(
        "--only", choices=["one", "many", "size", "memory", "pgbench", *ALONE], action="append", help="measure only this"
    )
    parser.add_argument("--sizes", type=int, nargs="+", metavar="N", help="for size: how many databases; default 1 10 50 100 200")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there, too")
    parser.add_argument("--environment", default="local", metavar="NAME")
    parser.add_argument("--inventory", default="inventories/local", metavar="PATH")
    parser.add_argument("--node", default="infinite-node-1", metavar="NAME", help="the node's container")
    parser.add_argument("--cleanup", action="store_true", help="only erase what an interrupted measurement left")
    return parser.parse_args()


def facts(env: Environment) -> dict[str, Any]:
    def version(*command: str) -> str:
        out = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        found = re.search(r"\d+\.[\d.]*\d", out)
        return found[0] if found else "none"

    return hardware() | {
        "ansible-core": version("ansible", "--version"),
        "nomad": re.sub(r"(?s)\s.*", "", env.node("nomad", "version").removeprefix("Nomad ")),
        "docker": env.node("docker", "version", "--format", "{{.Server.Version}}").strip(),
        "postgresql": env.node("docker", "run", "--rm", "--entrypoint", "sh", env.images[VERSION], "-c", POSTGRES).strip(),
        "pgbench": version("pgbench", "--version"),
        "load average before": load(),
    }


POSTGRES = f"PATH=$PATH:/usr/lib/postgresql/{VERSION}/bin; postgres --version | sed 's/[^0-9]*//'"


def sections(env: Environment, quick: bool, sizes: Sequence[int] | None) -> dict[str, Section]:
    count = 20 if quick else 100
    return {
        "one": lambda: provisioning.one(env, 3 if quick else 7),
        "pgbench": lambda: throughput.compare(env, 2 if quick else 5, 3 if quick else 8),
        "many": lambda: provisioning.many(env, 1 if quick else 2, count),
        "size": lambda: size.measure(env, sizes or ([1, 10] if quick else [1, 10, 50, 100, 200])),
        "memory": lambda: memory.idle(env, [20] if quick else [20, 100], 10 if quick else 30),
        "route53": lambda: route53.compare(1 if quick else 3),
    }


def alone(args: argparse.Namespace) -> int:
    about = hardware() | {"load average before": load()}
    print("\n".join(f"{key}: {value}" for key, value in about.items()), flush=True)
    found: list[Figure] = []
    try:
        for name in args.only:
            found += ALONE[name](1 if args.quick else 3)
    except (BenchError, subprocess.TimeoutExpired) as error:
        sys.exit(f"bench: {error}")
    about["load average after"] = load()
    print(f"\n{table(found)}\n\nload average: {about['load average before']} before, {load()} after", flush=True)
    if args.json:
        args.json.write_text(to_json(found, about))
    return 0


def measure(env: Environment, section: str, figures: Iterator[Figure], found: list[Figure]) -> bool:
    """Add the section's figures to ``found``, and return whether all of them were measured."""
    start = time.monotonic()
    try:
        for figure in figures:
            found.append(figure)
            print(f"  {' | '.join(figure.cells())}", flush=True)
    except (BenchError, InfiniteError, subprocess.TimeoutExpired) as error:
        found.append(Figure(f"({section})", "", note=f"not measured: {error}".splitlines()[0][:150]))
        print(f"  {section}: {error}", file=sys.stderr, flush=True)
        return False
    finally:
        env.purge()
        print(f"  {section}: {time.monotonic() - start:.0f} s, load {load()}", flush=True)
    return True


def main() -> int:
    args = arguments()
    if args.only and set(args.only) <= set(ALONE):
        return alone(args)
    try:
        env = Environment(args.environment, args.inventory, args.node)
        env.purge()
        if args.cleanup:
            env.drain_pool()
            env.fill_pool()
            return 0
        about = facts(env)
    except (BenchError, InfiniteError) as error:
        sys.exit(f"bench: {error}")
    print("\n".join(f"{key}: {value}" for key, value in about.items()), flush=True)
    found: list[Figure] = []
    good = True
    try:
        for name, section in sections(env, args.quick, args.sizes).items():
            if not args.only or name in args.only:
                print(f"{name} ...", flush=True)
                good = measure(env, name, section(), found) and good
    finally:
        about["load average after"] = load()
        print(f"\n{table(found)}\n\nload average: {about['load average before']} before, {load()} after", flush=True)
        if args.json:
            args.json.write_text(to_json(found, about))
        env.purge()
        env.drain_pool()
        env.fill_pool()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
