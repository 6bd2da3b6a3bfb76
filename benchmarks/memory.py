# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measures the memory per idle database: that of all processes on the node, with N databases and without."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from benchmarks.environment import Environment
from benchmarks.provisioning import fill, new_names
from benchmarks.report import Figure, show

# Adds up the proportional set sizes, in which a page that processes share is counted once. Page tables belong to the kernel.
SCRIPT = """
import collections, glob, json, os, re
found = collections.Counter()
for path in glob.glob('/proc/[0-9]*'):
    if path == f'/proc/{os.getpid()}':
        continue
    try:
        name = open(path + '/comm').read().strip()
        rollup = open(path + '/smaps_rollup').read()
        status = open(path + '/status').read()
    except OSError:
        continue
    if pss := re.search(r'^Pss: +([0-9]+)', rollup, re.M):
        found[name] += int(pss[1])
        found['(page tables)'] += int(re.search(r'^VmPTE:\\s+([0-9]+)', status, re.M)[1])
print(json.dumps(found))
"""
PAGE_TABLES = "(page tables)"


def measure(env: Environment) -> dict[str, float]:
    """Return MiB by the processes' names."""
    return {name: kib / 1024 for name, kib in json.loads(env.node("python3", "-", stdin=SCRIPT)).items()}


def idle(env: Environment, counts: list[int], settle: float) -> Iterator[Figure]:
    for count in counts:
        env.purge()
        env.drain_pool()
        fill(env, count)
        env.wait_pool()
        time.sleep(settle)
        before = measure(env)
        env.provision(new_names(count))
        env.wait_pool()
        time.sleep(settle)
        after = measure(env)
        growth = {name: (after.get(name, 0) - before.get(name, 0)) / count for name in after}
        tables = growth.pop(PAGE_TABLES)
        figure = Figure(f"memory per idle database, {count} databases", "MiB", [sum(growth.values())], mark=25)
        largest = sorted(growth.items(), key=lambda pair: -pair[1])
        figure.floors = {name: show(size) for name, size in largest if size >= 0.05}
        figure.floors["page tables (kernel, not counted)"] = show(tables)
        yield figure
    env.purge()
