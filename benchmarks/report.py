# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measurements, and the table of them."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# The machine is at rest if at least this part of the processors is idle.
QUIET = 0.8


@dataclass
class Figure:
    """One row of the table: what was measured, the value of each run, and values to compare it with."""

    name: str
    unit: str
    samples: list[float] = field(default_factory=list)
    # The value to reach, and whether smaller values are better. A figure without a mark explains another figure.
    mark: float | None = None
    smaller: bool = True
    # What the parts alone cost in the same run. Nothing that is built on them can cost less.
    floors: dict[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def reached(self) -> str:
        if self.mark is None or not self.samples:
            return "-"
        good = self.median <= self.mark if self.smaller else self.median >= self.mark
        return "yes" if good else "NO"

    def cells(self) -> list[str]:
        mark = "" if self.mark is None else f"{'<=' if self.smaller else '>='} {show(self.mark)} {self.unit}"
        measured = self.note or "not measured"
        if self.samples:
            spread = f" ({show(min(self.samples))}-{show(max(self.samples))}, {len(self.samples)} runs)"
            measured = f"{show(self.median)} {self.unit}{spread if len(self.samples) > 1 else ' (1 run)'}"
        floors = "; ".join(f"{name} {value}" for name, value in self.floors.items())
        return [self.name, mark.strip(), measured, floors, self.reached]


def show(value: float) -> str:
    """Return the value with about three digits."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(figures: Sequence[Figure]) -> str:
    """Return a Markdown table, aligned so that it is easy to read on a terminal."""
    rows = [["figure", "mark", "measured: median (min-max)", "floors in the same run", "reached"]]
    rows += [figure.cells() for figure in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def hardware() -> dict[str, str]:
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": f"{os.cpu_count()} ({cpu.partition(': ')[2] or platform.machine()})",
        "memory": f"{memory:.1f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def load() -> str:
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def idle_part(seconds: float) -> float:
    """Return which part of the processors was idle. proc(5), /proc/stat: user nice system idle iowait ..."""

    def times() -> list[int]:
        return [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]

    before = times()
    time.sleep(seconds)
    passed = [after - earlier for earlier, after in zip(before, times(), strict=True)]
    return (passed[3] + passed[4]) / max(1, sum(passed))


def wait_quiet(most: float = 8) -> None:
    """Wait until the machine has been at rest for a second, so that other work does not slow the run; at most ``most`` s."""
    deadline = time.monotonic() + most
    while idle_part(1) < QUIET and time.monotonic() < deadline:
        pass


def to_json(figures: Sequence[Figure], facts: dict[str, Any]) -> str:
    rows = [asdict(f) | {"median": f.median if f.samples else None, "reached": f.reached} for f in figures]
    return json.dumps({"facts": facts, "figures": rows}, indent=2) + "\n"
