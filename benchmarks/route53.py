# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares many records in one task with a loop over them: the time of ansible-playbook, and its calls. moto takes Route53's place.

moto answers in milliseconds. Route53 takes longer, and allows five requests a second, so there the number of calls decides.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.environment import PLAYBOOK_SECONDS, ROOT, BenchError
from benchmarks.report import Figure, show, wait_quiet
from tests.support.aws.server import environ


class Account:
    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.environment = environ(endpoint, os.environ)
        self.zones = 0

    def calls(self) -> list[str]:
        """Return the calls since this function was last called."""
        request = urllib.request.Request(f"{self.endpoint}/_calls", method="DELETE")  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return list(json.load(answer))

    def zone(self) -> str:
        import boto3

        self.zones += 1
        name = f"bench-{self.zones}.example.com"
        session = boto3.Session("testing", "testing", region_name="us-east-1")
        session.client("route53", endpoint_url=self.endpoint).create_hosted_zone(Name=name, CallerReference=name)
        return name

    def playbook(self, path: str, changed: int, **extra: Any) -> tuple[float, list[str]]:
        """Run a playbook, and return the seconds and the calls."""
        command = ["ansible-playbook", "-i", "localhost,", "-e", "ansible_python_interpreter={{ ansible_playbook_python }}"]
        command += ["-e", json.dumps(extra), path]
        wait_quiet()
        self.calls()
        start = time.perf_counter()
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False, timeout=PLAYBOOK_SECONDS
        )
        seconds = time.perf_counter() - start
        found = sum(int(count) for count in re.findall(r"changed=(\d+)", done.stdout))
        if done.returncode != 0 or found != changed:
            raise BenchError(f"{path} says changed={found}, not {changed}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return seconds, self.calls()


@contextmanager
def account() -> Iterator[Account]:
    """Run moto in a process of its own, so that its work does not slow the measuring process down."""
    command = [sys.executable, "-m", "tests.support.aws"]
    daemon = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        endpoint = (daemon.stdout.readline() if daemon.stdout else "").strip()
        if not endpoint:
            raise BenchError("moto did not start; run `make setup`, then `pytest tests/unit`, which install the test tools")
        yield Account(endpoint)
    finally:
        daemon.terminate()
        daemon.wait(10)


def records(zone: str, count: int) -> list[dict[str, Any]]:
    return [{"name": f"db{number}.db.{zone}", "type": "A", "values": ["192.0.2.1"]} for number in range(count)]


def said(calls: list[str]) -> str:
    writes = calls.count("route53:ChangeResourceRecordSets")
    return f"{len(calls) - writes} to read, {writes} to write"


def compare(runs: int, count: int = 100) -> Iterator[Figure]:
    ours = Figure(f"{count} new records, one route53_record task", "s", mark=3)
    again = Figure("the same again, nothing to do", "s")
    theirs = Figure(f"{count} new records, amazon.aws.route53 in a loop", "s")
    theirs_again = Figure("the same again in a loop", "s")
    one = Figure("one new record in a zone of 1,000, one route53_record task", "s")
    with account() as aws:
        empty = [aws.playbook("benchmarks/playbooks/empty.yml", 0)[0] for _number in range(runs)]
        floor = {"empty playbook": f"{show(sorted(empty)[len(empty) // 2])} s"}
        for figure in (ours, again, theirs, theirs_again, one):
            figure.floors = dict(floor)

        def measure(figure: Figure, playbook: str, changed: int, zone: str, wanted: list[dict[str, Any]]) -> None:
            seconds, calls = aws.playbook(f"benchmarks/playbooks/{playbook}.yml", changed, zone=zone, records=wanted)
            figure.samples.append(seconds)
            figure.floors["calls"] = said(calls)

        for number in range(runs):
            zone = aws.zone()
            measure(ours, "route53", 1, zone, records(zone, count))
            measure(again, "route53", 0, zone, records(zone, count))
            if number == 0:
                zone = aws.zone()
                measure(theirs, "route53_loop", 1, zone, records(zone, count))
                measure(theirs_again, "route53_loop", 0, zone, records(zone, count))
        zone = aws.zone()
        # Each record has a second one, its mark. So these 500 become 1,000.
        aws.playbook("benchmarks/playbooks/route53.yml", 1, zone=zone, records=records(zone, 500))
        for number in range(runs):
            measure(one, "route53", 1, zone, [{"name": f"new{number}.db.{zone}", "type": "A", "values": ["192.0.2.1"]}])
    yield from (ours, again, theirs, theirs_again, one)
