# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measures what each verb costs for one database and for hundreds: time, and requests to Nomad's agent."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import requests

from benchmarks.environment import Environment, Run
from benchmarks.provisioning import fill, new_names, unchanged
from benchmarks.report import Figure

# The agent writes one such line into its debug log for each request. Requests of Traefik and of this measurement do not count.
SERVED = re.compile(r"http: request complete: method=\w+ path=\"?(/v1/[^\" ]*)")
NOT_OURS = ("/v1/services?", "/v1/service/postgres?", "/v1/agent/monitor")
# The agent sends this when it had to leave lines out.
DROPPED = re.compile(r"(\d+) logs during monitor request")
# The log arrives with a delay.
SETTLE_SECONDS = 2.0


class Requests:
    """Counts the requests that the agent logs. https://developer.hashicorp.com/nomad/api-docs/agent#stream-logs"""

    def __init__(self, env: Environment) -> None:
        token = (env.state_dir / "nomad-bootstrap.token").read_text().strip()
        self.served, self.dropped = 0, 0
        session = requests.Session()
        # Otherwise REQUESTS_CA_BUNDLE would replace the environment's CA.
        session.trust_env = False
        self.log = session.get(
            f"{env.connection['nomad_address']}/v1/agent/monitor",
            params={"log_level": "debug", "plain": "true"},
            headers={"X-Nomad-Token": token},
            verify=env.connection["nomad_ca_cert"],
            stream=True,
            timeout=(10, 600),
        )
        self.log.raise_for_status()
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self) -> None:
        for line in self.log.iter_lines(chunk_size=None, decode_unicode=True):
            if lost := DROPPED.search(line):
                self.dropped += int(lost[1])
            elif (found := SERVED.search(line)) and not found[1].startswith(NOT_OURS):
                self.served += 1

    def during(self, act: Callable[[], Run]) -> tuple[Run, int, int]:
        """Return the run, the number of requests, and the number of lines of any kind that the agent left out meanwhile."""
        served, dropped = self.served, self.dropped
        run = act()
        time.sleep(SETTLE_SECONDS)
        return run, self.served - served, self.dropped - dropped


def measure(env: Environment, counts: Sequence[int]) -> Iterator[Figure]:
    """Measure each verb once at each size. The growth is of interest, not the single value."""
    for count in counts:
        env.purge()
        env.drain_pool()
        fill(env, count)
        log = Requests(env)
        names = new_names(count)
        databases = [{"name": name} for name in names]
        verbs: dict[str, Callable[[], Run]] = {
            "create": lambda names=names: env.provision(names),  # type: ignore[misc]
            "nothing to do": lambda names=names: env.provision(names),  # type: ignore[misc]
            "list": lambda: env.playbook("playbooks/list.yml"),
            "change memory": lambda databases=databases: env.playbook(  # type: ignore[misc]
                "provision.yml", databases=[one | {"memory_max": 320} for one in databases]
            ),
            "destroy": lambda names=names: env.playbook("playbooks/destroy.yml", db=names),  # type: ignore[misc]
            "purge": lambda names=names: env.playbook("playbooks/purge.yml", db=names, confirm=env.name),  # type: ignore[misc]
        }
        for verb, act in verbs.items():
            run, served, dropped = log.during(act)
            if verb == "nothing to do":
                unchanged(run)
            calls = f"{served} requests" + (f", {served / count:.1f} for each" if count > 1 else "")
            calls += f"; {dropped} lines of its log are missing" if dropped else ""
            yield Figure(f"{verb}: {count}", "s", [run.seconds], floors={"Nomad": calls})
            if verb == "create":
                env.wait_pool()
