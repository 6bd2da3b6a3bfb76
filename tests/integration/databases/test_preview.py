# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A pull request's database, from its opening to its end, and the pipelines in examples/ that do so."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.user import ENVIRONMENT, PREFIX, ROOT, User

from .meanwhile import Meanwhile

PROJECT = f"{PREFIX}pre"
GITHUB = ROOT / "examples/github-actions/preview-database.yml"
GITLAB = ROOT / "examples/gitlab/preview-database.gitlab-ci.yml"
# What only their services can run: their own commands, and packages from elsewhere.
NOT_HERE = re.compile(r"gh pr comment|pip\"? install|apt-get|ansible-galaxy|api/v4|python3 - <<")


def labels(user: User, name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(user.variable(f"databases/{name}")["spec"])["labels"]
    return found


@pytest.fixture(scope="module")
def source(user: User) -> str:
    name = f"{PREFIX}pre-source"
    user.run("provision", db=name, extensions=["citext"])
    # One that its owner may make.
    user.query(name, "create extension pg_trgm")
    user.query(name, "create table kept as select 42 as answer, 'yes'::citext as sure")
    return name


def test_a_source_is_looked_for_before_a_database_is_made(user: User) -> None:
    refused = user.run("preview", plain=True, fails=True, project=PROJECT, pr=8, **{"from": f"{PREFIX}nobody"}).err
    assert f"from={PREFIX}nobody: there is no such database" in refused
    assert not user.variable(f"databases/{PROJECT}-pr-8")


def test_a_pull_request_from_its_opening_to_its_end(user: User, source: str) -> None:
    name = f"{PROJECT}-pr-7"
    copy: dict[str, Any] = {"project": PROJECT, "pr": 7, "from": source}
    user.run("preview", "--check", **copy)
    assert not user.variable(f"databases/{name}")
    opened = user.run("preview", plain=True, memory=72, labels={"team": "web"}, **copy)
    host, port = f"{name}.{user.domain}", user.known["database_port"]
    assert {f"name={name}", f"host={host}"} < set(opened.out.splitlines())
    assert f"\nurl=postgresql://{name}:********@{host}:{port}/{name}?" in opened.out
    assert user.login(name)["password"] not in opened.out + opened.err
    expected = {"preview": name, "preview-from": source, "preview-copy": "done", "team": "web"}
    assert labels(user, name) == expected
    assert user.query(name, "select answer from kept") == 42
    spec = json.loads(user.variable(f"databases/{name}")["spec"])
    assert (spec["ttl"], spec["memory"], spec["extensions"]) == ("7d", 72, ["citext", "pg_trgm"])

    user.query(name, "update kept set answer = 43")
    pushed = user.run("preview", **copy)
    assert pushed.changed == 0
    assert user.query(name, "select answer from kept") == 43, "a preview that is there keeps its data"

    # As if made a minute ago: the ttl counts from the last run.
    record = user.variable(f"databases/{name}")
    user.client.variables.write(f"databases/{name}", record | {"renewed": str(int(time.time()) - 61)})
    user.run("preview", project=PROJECT, pr=7, ttl="3d")
    record = user.variable(f"databases/{name}")
    assert time.time() - 60 < int(record["renewed"]) <= time.time()
    assert json.loads(record["spec"]) == {"ttl": "3d", "memory": 72, "labels": expected, "extensions": ["citext", "pg_trgm"]}

    other, bystander = f"{PREFIX}pre-other", f"{PROJECT}-pr-8"
    user.run("provision", databases=[{"name": other, "labels": {"preview": name}}, {"name": bystander}])
    foretold = user.run("preview", "--check", plain=True, project=PROJECT, pr=7, state="absent")
    assert user.has_job(name)
    assert f"{name}: would be erased, with its data and credentials: " in foretold.out
    user.run("preview", project=PROJECT, pr=7, state="absent")
    assert user.variable(f"databases/{name}") == user.variable(f"databases/{other}") == {}
    assert not {f"{name}.{user.domain}", f"{other}.{user.domain}"} & user.hosts()
    closed = user.run("preview", plain=True, project=PROJECT, pr=7, state="absent")
    assert closed.out == f"{name}: there is no such preview.\n"

    # A database of a preview's name that is none.
    refused = user.run("preview", plain=True, fails=True, project=PROJECT, pr=8)
    assert refused.err.startswith(f"{bystander}: another database, which is not this preview, has that name. Give")
    assert len(refused.problems) == 1
    user.run("preview", project=PROJECT, pr=8, state="absent")
    assert user.query(bystander, "select 1") == 1


def test_an_interrupted_copy_is_made_by_the_next_run(user: User, source: str) -> None:
    name = f"{PROJECT}-pr-9"
    given: dict[str, Any] = {"project": PROJECT, "pr": 9, "from": source}
    user.kill_when(user.start("preview", **given), lambda: user.has_job(name))
    assert labels(user, name)["preview-copy"] == "pending"
    user.run("preview", **given)
    assert labels(user, name)["preview-copy"] == "done"
    assert user.query(name, "select answer from kept") == 42


def test_why_the_copy_was_not_noted_is_told(user: User, source: str, tmp_path: Path) -> None:
    """What could be noted by then holds passwords, and so is never shown; the reason is."""
    name = f"{PROJECT}-pr-10"
    purge = ["ansible-playbook", "playbooks/purge.yml", "-e", f"db={name} confirm={ENVIRONMENT} environment_name={ENVIRONMENT}"]
    # The data has been copied, and its note is next.
    other = Meanwhile(tmp_path, "Say what was done", purge)
    given: dict[str, Any] = {"project": PROJECT, "pr": 10, "from": source}
    refused = user.run("preview", plain=True, fails=True, env=other.environ, **given)
    other.check()
    assert f"{name}: erased by another run meanwhile; provision it again" in refused.err


def test_a_branch_that_somebody_named(user: User, tmp_path: Path) -> None:
    """Its name is data, whatever is in it."""
    trap = tmp_path / "trap"
    env = {"PREVIEW_PR": f"feature/{{{{ lookup('pipe', 'touch {trap}') }}}}", "PREVIEW_PROJECT": PROJECT}
    done = user.run("preview", "--check", plain=True, env=env)
    assert f"{PROJECT}-pr-feature-lookup"[:40] in done.out
    assert not trap.exists()


def test_a_key_that_is_refused(user: User) -> None:
    """Before anything is asked of any API; more of them are in the unit tests."""
    done = user.run("preview", plain=True, fails=True, pr="x" * 10_000, nomad_address="https://127.0.0.1:1")
    assert done.err.startswith("pr: ")
    assert len(done.problems) == 1


class Pipeline:
    """A service's runner: its variables, and a directory of its own."""

    def __init__(self, user: User, directory: Path) -> None:
        self.directory = directory
        known = Path(user.known["nomad_ca_cert"]).with_name("connection.yml")
        # The command of docs/preview.md.
        command = next(text for text in (ROOT / "docs/preview.md").read_text().split("\n\n") if text.startswith("    sed "))
        command = re.sub(r"~/\S+/connection.yml", str(known), command)
        self.connection = subprocess.run(["bash", "-c", command], check=True, capture_output=True, text=True).stdout
        assert "nomad" not in self.connection.replace("NOMAD_CACERT", "")
        self.env = {name: text for name, text in os.environ.items() if not name.startswith(("NOMAD_", "ANSIBLE_", "XDG_"))}
        # Instead of what the installing step does. Nothing of this clone's own configuration is in effect.
        self.env |= {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections"), "HOME": str(directory)}
        self.secrets = {
            "NOMAD_ADDR": user.known["nomad_address"],
            "NOMAD_TOKEN": Path(user.known["nomad_token_file"]).with_name("nomad-provisioner.token").read_text().strip(),
            "CA": Path(user.known["nomad_ca_cert"]).read_text(),
        }

    def shell(self, script: str, env: dict[str, str]) -> str:
        subprocess.run(["bash", "-n"], input=script, check=True, text=True)
        if NOT_HERE.search(script):
            return ""
        command = ["bash", "-e", "-o", "pipefail", "-c", script]
        done = subprocess.run(
            command, cwd=self.directory, env=self.env | env, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        # The secret itself is in the log only where GitHub takes it out.
        log = "\n".join(line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("::add-mask::"))
        assert self.secrets["NOMAD_TOKEN"] not in log
        return log


@pytest.fixture
def pipeline(user: User, tmp_path: Path) -> Pipeline:
    return Pipeline(user, tmp_path)


def expressions(text: str, known: dict[str, Any]) -> str:
    """${{ ... }} of these names; any other is an error."""
    return re.sub(r"\$\{\{ *([\w.]+) *\}\}", lambda found: str(known[found[1]]), text)


def test_the_workflow_for_github(user: User, pipeline: Pipeline) -> None:
    workflow = yaml.safe_load(GITHUB.read_text())
    assert workflow["permissions"] == {}
    assert workflow["defaults"]["run"]["shell"] == "bash", "with pipefail, as it is run here"
    assert "event.pull_request.number" in workflow["concurrency"]["group"]
    (job,) = workflow["jobs"].values()
    assert job["permissions"] == {"pull-requests": "write"}
    assert "head.repo.full_name == github.repository" in job["if"], "forks get no secrets"
    assert [step for step in job["steps"] if "uses" in step] == [], "nothing of anybody else's"
    name = f"{PROJECT}-pr-21"
    known: dict[str, Any] = {f"secrets.{key}": text for key, text in pipeline.secrets.items()}
    known |= {"secrets.INFINITE_CA": pipeline.secrets["CA"], "vars.INFINITE_CONNECTION": pipeline.connection, "github.token": "t"}
    known |= {"github.event.pull_request.number": 21, "github.event.repository.name": PROJECT}

    def run(action: str) -> str:
        logs, files = [], {key: pipeline.directory / key.lower() for key in ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH")}
        temporary = pipeline.directory / action
        temporary.mkdir()
        for file in files.values():
            file.write_text("")
        runner = {key: str(file) for key, file in files.items()} | {"RUNNER_TEMP": str(temporary), "GITHUB_REPOSITORY": "a/b"}
        for step in job["steps"]:
            condition = step.get("if", "true").replace("github.event.action", f"'{action}'")
            if not eval(condition.replace("||", "or").replace("true", "True")):  # noqa: S307
                continue
            written = [
                line.split("=", 1) for key in ("GITHUB_ENV", "GITHUB_OUTPUT") for line in files[key].read_text().splitlines()
            ]
            outputs = {f"steps.database.outputs.{key}": text for key, text in written}
            env = {key: expressions(str(text), known | outputs) for key, text in (workflow["env"] | step.get("env", {})).items()}
            exported = dict(line.split("=", 1) for line in files["GITHUB_ENV"].read_text().splitlines())
            logs.append(pipeline.shell(step["run"], runner | exported | env))
        return "\n".join(logs)

    opened = run("opened")
    assert user.login(name)["password"] not in opened
    assert name in opened.splitlines(), "its own answer, through its URL"
    assert f"{name}: erased" in run("closed")
    assert not user.variable(f"databases/{name}")


def test_the_pipeline_for_gitlab(user: User, pipeline: Pipeline) -> None:
    jobs = yaml.safe_load(GITLAB.read_text())
    base = jobs[".preview-database"]
    assert "$CI_MERGE_REQUEST_IID" in base["resource_group"]
    assert jobs["preview-database"]["environment"]["on_stop"] == "preview-database-erase"
    assert jobs["preview-database-erase"]["environment"]["action"] == "stop"
    name = f"{PROJECT}-pr-22"
    given = {"CI_MERGE_REQUEST_IID": "22", "CI_PROJECT_PATH_SLUG": PROJECT}
    files = {key: pipeline.directory / key.lower() for key in ("INFINITE_CONNECTION", "NOMAD_CACERT")}
    files["INFINITE_CONNECTION"].write_text(pipeline.connection)
    files["NOMAD_CACERT"].write_text(pipeline.secrets["CA"])
    env = given | {key: str(file) for key, file in files.items()}
    env |= {key: pipeline.secrets[key] for key in ("NOMAD_ADDR", "NOMAD_TOKEN")}
    for variable, text in base["variables"].items():
        env[variable] = re.sub(r"\$(\w+)", lambda found: given[found[1]], text)
    for script in (*base["before_script"], *jobs["preview-database-comment"]["script"]):
        pipeline.shell(script, env)
    log = pipeline.shell("\n".join(jobs["preview-database"]["script"]), env)
    assert user.login(name)["password"] not in log
    assert (pipeline.directory / "database.env").read_text() == f"database_name={name}\ndatabase_host={name}.{user.domain}\n"
    assert f"{name}: erased" in pipeline.shell("\n".join(jobs["preview-database-erase"]["script"]), env)
    assert not user.variable(f"databases/{name}")
