# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Passwords, tokens and keys whose values are known are looked for wherever somebody might see them, and found nowhere.

Wherever: what every playbook says with -vvv and --diff, the arguments of processes, the job API, logs, files that others can read.
"""

from __future__ import annotations

import json
import re
import secrets as random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.aws import ec2_user
from tests.support.aws.server import Aws
from tests.support.environments import HERE
from tests.support.faults import ROOT, Faults, playbook

from .canaries import Secrets, Watch, forms, of_every_job, of_the_logs, readable, seen

NAME, SOURCE = "infinite-test-canary", "infinite-test-canary-source"
# A server that logs all that it may.
LOUD = {"log_statement": "all", "log_min_duration_statement": "0", "log_connections": "on", "log_min_error_statement": "debug5"}
CONTROLLER = [str(HERE.state), str(Path.home() / ".ansible"), str(Path.home() / ".cache"), "/etc", "/tmp", "/var/tmp", str(ROOT)]
# Where secrets are shown to those who shall see them. Each has to be found: so it is known that they would be.
WANTED = {
    rf"the output of url, .* password \d+ of {NAME}, owner": "it prints the URL",
    rf"the output of env, .* password \d+ of {NAME}, ro": "it prints the URL",
    # Nomad's way to tell Traefik who it is; root and Traefik's own user can read it.
    r"arguments and environments on the node.* workload identity \d+ of Traefik": "in its environment",
    r"docker inspect has workload identity \d+ of Traefik": "in its environment",
}
# The AWS library's credentials are the only secret there.
ON_EC2 = ("launch", "teardown")
# Playbooks on hosts, as opposed to those of the environment's user.
ON_HOSTS = ("local_down", "local_up", "site")


class Canaries:
    """All secrets that there ever were, and all that was said."""

    def __init__(self, faults: Faults) -> None:
        self.faults, self.secrets = faults, Secrets()
        self.said: dict[str, str] = {}
        # Nothing of this environment is older than its CA.
        self.since = (HERE.state / "ca.key").stat().st_mtime
        self.secrets.add_environment(faults)

    def note(self) -> None:
        for stub in self.faults.client.variables.list("databases/"):
            self.secrets.add_database(self.faults, stub["Path"].removeprefix("databases/"))

    def run(self, verb: str, *args: str, fails: bool = False, env: dict[str, str] | None = None, **extra: Any) -> None:
        done = self.faults.run(verb, "-vvv", "--diff", *args, fails=fails, env=env, **extra)
        self.said[f"the output of {verb}, {len(self.said)}"] = done.out + done.err
        self.note()

    def url(self, name: str, password: str = "") -> str:
        """As of a database elsewhere."""
        (node,) = self.faults.client.endpoint("nodes").get()
        login, port = self.faults.login(name), self.faults.known["database_port"]
        secret = quote(password or login["password"])
        return f"postgresql://{login['user']}:{secret}@{name}.{self.faults.domain}:{port}/{name}?hostaddr={node['Address']}"

    def look(self) -> list[str]:
        """All of them, wherever they are now."""
        self.note()
        self.secrets.add_environment(self.faults)
        texts = of_every_job(self.faults) | of_the_logs(self.faults)
        return seen(texts, self.secrets) + readable(self.secrets, CONTROLLER, ["/"], self.since)

    def look_back(self, *watches: Watch) -> list[str]:
        """And what was said and seen before."""
        return [one for texts in (self.said, *(watch.texts() for watch in watches)) for one in seen(texts, self.secrets)]


def unwanted(found: list[str]) -> list[str]:
    return [one for one in found if not any(re.match(pattern, one) for pattern in WANTED)]


def make_and_change(canaries: Canaries) -> None:
    """Databases, their passwords, and a run that fails."""
    canaries.run("provision", databases=[{"name": NAME, "settings": LOUD}, {"name": SOURCE}])
    canaries.run("provision", db=NAME, memory=80)
    canaries.run("provision", "--check", db=NAME, memory=96)
    canaries.run("provision", fails=True, db=NAME, database_port=1, database_timeout=0)
    for role in ("owner", "rw", "ro"):
        canaries.run("rotate", db=NAME, role=role)
    canaries.run("rotate", fails=True, db=NAME)
    canaries.run("rotate", db=NAME, end=True)


def show(canaries: Canaries, tmp_path: Path) -> None:
    canaries.run("url", db=NAME, role="owner")
    canaries.run("env", db=NAME, role="ro")
    canaries.run("list")
    canaries.run("info", db=NAME)
    canaries.run("logs", db=NAME, lines=1000)
    canaries.run("metrics")
    canaries.run("metrics", file=str(tmp_path / "infinite.prom"))


def run_and_end(canaries: Canaries) -> None:
    for verb in ("stop", "start", "restart", "destroy", "undestroy", "destroy", "purge"):
        canaries.run(verb, db=NAME)
    canaries.run("drift")
    canaries.run("expire")


def copy(canaries: Canaries, tmp_path: Path) -> None:
    """From and to databases by name, by URL, and with a wrong password."""
    source, file = canaries.url(SOURCE), tmp_path / "url"
    file.write_text(f"{source}\n")
    file.chmod(0o600)
    wrong = random.token_urlsafe(24)
    canaries.secrets.add("a wrong password", wrong)
    origin: dict[str, Any] = {"from": SOURCE}
    given: dict[str, Any] = {"db": NAME, "ca_file": canaries.faults.ca, "replace": True}
    canaries.run("import", **given, **origin)
    canaries.run("import", **given, env={"SOURCE_URL": source})
    canaries.run("import", **given, from_file=str(file))
    canaries.run("import", fails=True, **given, env={"SOURCE_URL": canaries.url(SOURCE, wrong)})
    canaries.run("import", fails=True, **given, env={"SOURCE_URL": f"{source}&nonsense=1"})
    canaries.run("export", **given, to=SOURCE)
    canaries.run("export", **given, env={"TARGET_URL": source})
    canaries.run("preview", pr=19, **origin)
    canaries.run("preview", pr=19, state="absent")


@pytest.mark.quick
def test_provisioning_shows_no_secret(faults: Faults) -> None:
    canaries = Canaries(faults)
    with Watch() as watch:
        canaries.run("provision", db=NAME, settings=LOUD)
        canaries.run("rotate", db=NAME)
        canaries.run("url", db=NAME, masked=True)
    print(f"looked for {len(canaries.secrets)} secrets")
    assert unwanted(canaries.look() + canaries.look_back(watch)) == []


def test_no_playbook_shows_a_secret(faults: Faults, tmp_path: Path) -> None:
    """From the first task of site.yml to the last database's end."""
    said: dict[str, str] = {}
    watches: list[Watch] = []
    for name in ON_HOSTS:
        # Without a node there is nothing to be seen on it.
        with Watch(node=name == "site") as watch:
            said[f"the output of {name}, anew"] = playbook(f"playbooks/{name}.yml", "-vvv", "--diff")
        watches.append(watch)
    faults.renew()
    canaries = Canaries(faults)
    canaries.said |= said
    with Watch() as watch:
        canaries.said["the output of site, again"] = playbook("site.yml", "-vvv", "--diff")
        make_and_change(canaries)
        show(canaries, tmp_path)
        copy(canaries, tmp_path)
        found = canaries.look()
        run_and_end(canaries)
    watches.append(watch)
    found += canaries.look() + canaries.look_back(*watches)
    run = {name.split(",")[0].removeprefix("the output of ") for name in canaries.said}
    assert {path.stem for path in ROOT.glob("playbooks/*.yml")} == run | set(ON_EC2), "a playbook was left out"
    processes = sum(len(one.texts()) for one in watches)
    print(
        f"looked for {len(canaries.secrets)} secrets in the output of {len(canaries.said)} runs, and in {processes} arguments and "
        "environments of processes"
    )
    assert unwanted(found) == []
    assert [pattern for pattern in WANTED if not any(re.match(pattern, one) for one in found)] == [], "not found where it is"


def test_no_playbook_on_ec2_shows_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets, began = Secrets(), time.time()
    secrets.add("AWS_SECRET_ACCESS_KEY", random.token_urlsafe(30))
    secrets.add("AWS_SESSION_TOKEN", random.token_urlsafe(90))
    ec2_user.pretend(monkeypatch)
    given: dict[str, Any] = {"environment_domain": "db.infinite.test", "traefik_certificate": "local_ca", "environment_dns": "none"}
    given |= {"admin_cidrs": ["203.0.113.7/32"], "ec2_host_database_cidrs": ["0.0.0.0/0"], "ec2_host_wait_seconds": 0}
    with Aws() as server, Watch(node=False) as watch:
        user = ec2_user.Ec2User(server, tmp_path)
        user.environ |= secrets
        said = {
            "launch": user.play("launch", "-vvv", "--diff", "-e", json.dumps(given)).out,
            "teardown": user.play("teardown", "-vvv", "--diff", "-e", json.dumps({"confirm": "aws", "purge": True})).out,
        }
    assert set(said) == set(ON_EC2)
    secrets.add_key("the SSH key", (user.home / ".ssh" / "id_ed25519").read_text())
    assert seen(said | watch.texts(), secrets) == []
    assert readable(secrets, [*CONTROLLER, str(tmp_path)], [], began) == []


PLANT = "infinite-test-planted"


def plant_in_a_job(faults: Faults, value: str) -> None:
    """In its specification, its container and its log."""
    faults.run("provision", db=PLANT, settings={**LOUD, "cluster_name": value})
    faults.query(PLANT, f"select '{value}'")


def plant_in_the_journal(faults: Faults, value: str) -> None:
    faults.host.run("logger", value)


def plant_in_a_container(faults: Faults, value: str) -> None:
    image = faults.known["database_images"]["17"]
    faults.host.run("docker", "run", "--name", PLANT, "--entrypoint", "echo", image, value)


PLANTED: dict[str, tuple[Callable[[Faults, str], None], list[str]]] = {
    "job": (plant_in_a_job, [f"job API, job {PLANT} has", "docker inspect has", "log /var/lib/nomad/alloc/"]),
    "journal": (plant_in_the_journal, ["journal has"]),
    "container": (plant_in_a_container, ["docker logs has"]),
}


@pytest.mark.parametrize("place", PLANTED)
def test_control(faults: Faults, place: str) -> None:
    """A secret that is there is found."""
    plant, expected = PLANTED[place]
    secrets = Secrets()
    secrets.add("planted", random.token_urlsafe(24))
    assert seen(of_every_job(faults) | of_the_logs(faults), secrets) == []
    plant(faults, secrets["planted"])
    try:
        found = seen(of_every_job(faults) | of_the_logs(faults), secrets)
        assert [one for one in expected if not any(each.startswith(one) for each in found)] == [], found
    finally:
        faults.host.shell(f"docker rm -f {PLANT} 2>/dev/null || true")
        faults.erase([PLANT])


@pytest.mark.parametrize("form", range(4))
def test_control_of_outputs(faults: Faults, form: int) -> None:
    """As it is, and within base64."""
    canaries = Canaries(faults)
    canaries.secrets.add("planted", random.token_urlsafe(24))
    canaries.run("provision", "--check", db=PLANT, settings={"cluster_name": forms(canaries.secrets["planted"])[form]})
    assert seen(canaries.said, canaries.secrets) == ["the output of provision, 0 has planted"]


def test_control_of_processes(faults: Faults) -> None:
    secrets = Secrets()
    for name in ("argument here", "argument there", "environment there"):
        secrets.add(name, random.token_urlsafe(24))
    with Watch() as watch:
        time.sleep(0.5)
        subprocess.run(["sh", "-c", "sleep 0.2; :", secrets["argument here"]], check=True)
        faults.host.run("sh", "-c", "sleep 0.2; :", secrets["argument there"])
        faults.host.run("env", f"SECRET={secrets['environment there']}", "sleep", "0.2")
    found = seen(watch.texts(), secrets)
    for name in secrets:
        where = (
            "arguments on the controller"
            if name.endswith("here") and "there" not in name
            else "arguments and environments on the node"
        )
        assert any(one.startswith(where) and one.endswith(name) for one in found), f"{name}: {found}"


def test_control_of_files(faults: Faults, tmp_path: Path) -> None:
    """Those that others can read, and no others."""
    secrets, began = Secrets(), time.time() - 1
    secrets.add("planted", random.token_urlsafe(24))
    tmp_path.chmod(0o755)
    for name, mode in (("open", 0o644), ("closed", 0o600)):
        (tmp_path / name).write_text(f"password={secrets['planted']}\n")
        (tmp_path / name).chmod(mode)
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "private" / "open").write_text(secrets["planted"])
    faults.host.shell(
        f"echo {secrets['planted']} | tee /run/{PLANT} > /root/{PLANT}; chmod 700 /root; chmod 644 /run/{PLANT} /root/{PLANT}"
    )
    try:
        assert readable(secrets, [str(tmp_path)], ["/"], began) == [
            f"controller: {tmp_path}/open has planted",
            f"node: /run/{PLANT} has planted",
        ]
    finally:
        faults.host.run("rm", f"/run/{PLANT}", f"/root/{PLANT}")
