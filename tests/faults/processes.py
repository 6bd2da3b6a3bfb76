# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shows the arguments of all processes (and, with the argument `environ`, their environments) until standard input ends.

A program of its own, run on the controller and on the node. Each text once, as a line of JSON. A new process is looked at for some
rounds, as it may become another program.
"""

from __future__ import annotations

import json
import os
import select
import sys

ROUND = 0.02
YOUNG = 10


def read(pid: str, what: str) -> str:
    try:
        with open(f"/proc/{pid}/{what}", "rb") as file:
            return file.read().replace(b"\0", b"\n").decode(errors="replace")
    except OSError:
        return ""


def main() -> None:
    kinds = ["cmdline", *sys.argv[1:]]
    ages: dict[str, int] = {}
    seen: set[tuple[str, str]] = set()
    number = 0
    while not select.select([sys.stdin], [], [], ROUND)[0]:
        number += 1
        pids = [name for name in os.listdir("/proc") if name.isdigit()]
        ages = {pid: ages.get(pid, 0) + 1 for pid in pids}
        for pid in pids if number % 25 == 1 else [pid for pid in pids if ages[pid] <= YOUNG]:
            for kind in kinds:
                text = read(pid, kind)
                if text and (kind, text) not in seen:
                    seen.add((kind, text))
                    print(json.dumps({"kind": kind, "text": text}), flush=True)


main()
