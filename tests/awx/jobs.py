# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs a job template as AWX does: project, collections, inventory, variables and credentials in a directory of the job's own, and
ansible-runner on that. There is no container: the environment is empty but for what AWX gives.

After awx/main/ in AWX: tasks/jobs.py, models/mixins.py (surveys), models/workflow.py and utils/safe_yaml.py.
Credentials are put in by AWX's own code, awx_plugins.interfaces.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from awx_plugins.interfaces import _temporary_private_container_api as container
from awx_plugins.interfaces._temporary_private_api import ManagedCredentialType
from awx_plugins.interfaces._temporary_private_credential_api import Credential
from awx_plugins.interfaces._temporary_private_inject_api import inject_credential

from tests.awx.controller import Controller, Item

ROOT = Path(__file__).resolve().parents[2]


class Refused(Exception):
    """An answer that AWX does not accept."""


class Unsafe(yaml.SafeDumper):
    """Strings that Ansible shall not take for templates."""

    def represent_data(self, data: Any) -> Any:
        return self.represent_scalar("!unsafe", data) if isinstance(data, str) else super().represent_data(data)


@dataclass
class Job:
    """A finished one."""

    successful: bool
    output: str
    events: list[Item]
    directory: Path
    # What AWX keeps of the environment, and shows.
    environment: dict[str, str] = field(repr=False)

    @property
    def stats(self) -> Item:
        """What set_stats said, which the next steps of a workflow get."""
        told: list[Item] = [event["event_data"] for event in self.events if event["event"] == "playbook_on_stats"]
        return dict(told[-1].get("artifact_data") or {}) if told else {}

    @property
    def said(self) -> str:
        """What its debug tasks say, or why it failed."""
        told: list[Any] = []
        for event in self.events:
            data = event.get("event_data", {})
            if event["event"] == "runner_on_failed" or (event["event"] == "runner_on_ok" and data["task_action"].endswith("debug")):
                message = data["res"].get("msg", "")
                told += message if isinstance(message, list) else [message]
        return "\n".join(map(str, told))

    def everything(self) -> str:
        """All that AWX keeps of it and shows to those who may see the job."""
        return "\n".join([self.output, json.dumps(self.events, ensure_ascii=False), json.dumps(self.environment)])


def synchronise_files(directory: Path) -> None:
    """The files that git has, or would have."""
    listed = subprocess.check_output(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, text=True)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, directory / name)


def synchronise(directory: Path, path: str) -> None:
    """What AWX's project update leaves: the project's files, and the collections of collections/requirements.yml.

    Those of requirements.yml, which AWX installs as well, come with the package `ansible` here: tests download nothing.
    """
    synchronise_files(directory / "project")
    collections = str(directory / "requirements_collections")
    env = {"PATH": path, "HOME": str(directory), "LANG": "C.UTF-8", "ANSIBLE_COLLECTIONS_PATH": collections}
    install = ["ansible-galaxy", "collection", "install", "-r", "collections/requirements.yml", "--no-deps", "--offline"]
    subprocess.run([*install, "-p", collections], cwd=directory / "project", env=env, check=True, capture_output=True)


class Awx:
    """One that has been configured."""

    def __init__(self, controller: Controller, synchronised: Path, jobs: Path, path: str) -> None:
        self.controller = controller
        self.synchronised = synchronised
        self.jobs = jobs
        self.path = path
        self.launched: set[str] = set()
        # AWX's setting of that name, for all jobs.
        self.extra_environment_variables: dict[str, str] = {}

    def questions(self, template: Item) -> list[Item]:
        return list(self.controller.surveys.get(template["id"], {}).get("spec", [])) if template.get("survey_enabled") else []

    def variables(self, template: Item, answers: Item, passed: Item) -> Item:
        """The template's own, the survey's defaults, the answers; what a workflow passes is not asked about."""
        questions = self.questions(template)
        if unknown := set(answers) - {question["variable"] for question in questions}:
            raise Refused(f"Variables {unknown} are not allowed on launch")
        for question in questions:
            refuse(question, answers | passed)
        defaults = {one["variable"]: one["default"] for one in questions if "default" in one}
        own: Item = json.loads(template.get("extra_vars") or "{}")
        return own | defaults | answers | passed

    def launch(
        self, name: str, *, credentials: tuple[str, ...] = (), job_type: str = "", passed: Item | None = None, **answers: Any
    ) -> Job:
        template = self.controller.named("job_templates", f"Infinite Databases: {name}")
        self.launched.add(name)
        private = self.jobs / f"awx_{uuid.uuid4().hex[:8]}"
        for folder in ("env", "inventory", "home"):
            (private / folder).mkdir(parents=True)
        for folder in ("project", "requirements_collections"):
            (private / folder).symlink_to(self.synchronised / folder)
        variables = self.variables(template, answers, passed or {})
        own = json.loads(template.get("extra_vars") or "{}")
        job = {"awx_job_id": 1, "awx_user_name": "somebody", "awx_job_template_name": template["name"]}
        extra = "".join(
            yaml.dump({key: value}, Dumper=yaml.SafeDumper if key in own and own[key] == value else Unsafe, sort_keys=False)
            for key, value in (variables | job).items()
        )
        (private / "env" / "extravars").write_text(extra)
        env, shown, args = self.inject(private, template, credentials)
        self.write_inventory(private, template, env)
        args += ["--check"] if (job_type or template["job_type"]) == "check" else []
        (private / "env" / "cmdline").write_text(shlex.join(args))
        (private / "env" / "envvars").write_text(yaml.safe_dump(env))
        (private / "env" / "settings").write_text(yaml.safe_dump({"job_timeout": 0, "suppress_ansible_output": True}))
        command = ["ansible-runner", "run", str(private), "-p", template["playbook"], "--ident", "job"]
        surroundings = {"PATH": self.path, "HOME": str(private / "home"), "LANG": "C.UTF-8"}
        done = subprocess.run(command, env=surroundings, cwd=private, check=False, capture_output=True, text=True, timeout=600)
        artifacts = private / "artifacts" / "job"
        events = [json.loads(path.read_text()) for path in sorted(artifacts.glob("job_events/*-*.json"), key=number)]
        output = (artifacts / "stdout").read_text() if artifacts.exists() else done.stderr
        return Job(done.returncode == 0, output, events, private, shown)

    def update(self, source: Item, private: Path, env: dict[str, str]) -> Item:
        """What a source of hosts in the project says now."""
        project = private / "project"
        listing = ["ansible-inventory", "-i", source["source_path"], "--playbook-dir", str(project), "--list", "--export"]
        surroundings = {"PATH": self.path, "HOME": str(private / "home"), "LANG": "C.UTF-8"} | env
        done = subprocess.run(listing, cwd=project, env=surroundings, check=True, capture_output=True, text=True)
        found: Item = json.loads(done.stdout)
        return found

    def write_inventory(self, private: Path, template: Item, env: dict[str, str]) -> None:
        """A script that prints it: what its source says, and its own variables, which win."""
        inventory = self.controller.by_id(template["inventory"])
        content: Item = {"all": {"hosts": []}, "_meta": {"hostvars": {}}}
        for source in self.controller.all("inventory_sources"):
            if source["inventory"] == inventory["id"]:
                content = self.update(source, private, env)
        content["all"]["vars"] = content["all"].get("vars", {}) | json.loads(inventory["variables"])
        script = private / "inventory" / "hosts"
        script.write_text(f"#! /usr/bin/env python3\n# -*- coding: utf-8 -*-\nprint({json.dumps(content)!r})\n")
        script.chmod(0o700)

    def inject(self, private: Path, template: Item, chosen: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str], list[str]]:
        """The environment, what AWX shows of it, and arguments."""
        env: dict[str, Any] = {
            "ANSIBLE_FORCE_COLOR": "True",
            "ANSIBLE_HOST_KEY_CHECKING": "False",
            "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
            "ANSIBLE_PARAMIKO_RECORD_HOST_KEYS": "False",
            "ANSIBLE_COLLECTIONS_PATH": f"{private}/requirements_collections:~/.ansible/collections:/usr/share/ansible/collections",
            "AWX_PRIVATE_DATA_DIR": str(private),
            "JOB_ID": "1",
            "INVENTORY_ID": str(template["inventory"]),
        } | self.extra_environment_variables
        shown = dict(env)
        credentials = self.controller.related(template, "credentials")
        credentials += [self.controller.named("credentials", name) for name in chosen]
        kinds = [self.controller.by_id(credential["credential_type"]) for credential in credentials]
        logins = [one["inputs"]["username"] for one, kind in zip(credentials, kinds, strict=True) if kind["kind"] == "ssh"]
        args = ["-u", logins[0] if logins else "root"]
        # /runner, if this were a container.
        container.CONTAINER_ROOT = str(private)
        for credential, kind in zip(credentials, kinds, strict=True):
            of = ManagedCredentialType("", kind["name"], kind["kind"], kind["inputs"], kind["injectors"])
            inject_credential(of, Credential(credential["inputs"]), env, shown, args, str(private))
        return env, shown, args

    def workflow(self, name: str, **answers: Any) -> list[Job]:
        """Each step after the one that leads to it: with the workflow's variables, and what those before it told by set_stats."""
        template = self.controller.named("workflow_job_templates", f"Infinite Databases: {name}")
        variables = self.variables(template, answers, {})
        steps = self.controller.all("workflow_job_template_nodes")
        led_to = [next_step for step in steps for next_step in self.controller.related(step, "success_nodes")]
        step: Item | None = next(one for one in steps if one not in led_to)
        done: list[Job] = []
        told: Item = {}
        while step:
            of = self.controller.by_id(step["unified_job_template"])["name"].removeprefix("Infinite Databases: ")
            done.append(self.launch(of, passed=told | variables))
            if not done[-1].successful:
                break
            told |= done[-1].stats
            step = next(iter(self.controller.related(step, "success_nodes")), None)
        return done


def number(path: Path) -> int:
    return int(path.name.partition("-")[0])


def refuse(question: Item, answers: Item) -> None:
    """What AWX says no to."""
    name = question["variable"]
    if name not in answers:
        if question["required"]:
            raise Refused(f"'{name}' value missing")
        return
    value, kind = answers[name], question["type"]
    if kind in ("text", "textarea") and not isinstance(value, str):
        raise Refused(f"Value {value} for '{name}' expected to be a string.")
    if kind == "multiplechoice" and value not in question["choices"]:
        raise Refused(f"Value {value} for '{name}' expected to be one of {question['choices']}.")
    if kind == "text" and len(value) < question.get("min", 0):
        raise Refused(f"'{name}' value {value} is too small")
