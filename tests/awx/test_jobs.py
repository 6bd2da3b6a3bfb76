# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every job template that is for databases, run as AWX runs it, on the local environment. No job shows a secret.

In the order of a database's life: each test goes on from what those before it left.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadNotFound
from tests.awx.comments import TOKEN as COMMENTS_TOKEN
from tests.awx.comments import Comments
from tests.awx.conftest import ENVIRONMENT, PREFIX, ROOT, SETTINGS
from tests.awx.controller import Controller
from tests.awx.jobs import Awx, Job, Refused
from tests.support.environments import HERE

A, B = "awx-test-a", "awx-test-b"
pytestmark = pytest.mark.usefixtures("databases")

Run = Callable[..., str]


def record(nomad: NomadClient, name: str) -> dict[str, str]:
    try:
        items: dict[str, str] = nomad.variables.read(f"databases/{name}")["Items"]
    except NomadNotFound:
        return {}
    return items


def passwords(nomad: NomadClient) -> set[str]:
    """Of all roles of all databases of the tests."""
    names = [stub["Path"].removeprefix("databases/") for stub in nomad.variables.list(f"databases/{PREFIX}")]
    logins = [json.loads(record(nomad, name).get("logins", "{}")) for name in names]
    return {login["password"] for of_one in logins for login in of_one.values()}


@pytest.fixture(scope="module")
def secrets(controller: Controller, awx: Awx) -> set[str]:
    """Those seen so far; passwords are added as they come."""
    credentials = [one["inputs"] for one in controller.all("credentials")]
    return {str(inputs[key]).strip() for inputs in credentials for key in ("token", "password") if key in inputs}


@pytest.fixture
def run(awx: Awx, nomad: NomadClient, secrets: set[str]) -> Run:
    """Launch a template and return what it says."""

    def launch(name: str, *, fails: bool = False, **answers: Any) -> str:
        secrets.update(passwords(nomad))
        job = awx.launch(name, **answers)
        secrets.update(passwords(nomad))
        assert job.successful != fails, job.output
        shows_no_secret(job, secrets)
        return job.said

    return launch


def shows_no_secret(job: Job, secrets: set[str]) -> None:
    everything = job.everything()
    assert len(job.events) > 3
    assert [secret[:4] for secret in secrets if secret in everything] == []


def empty(awx: Awx, name: str, **answers: str) -> dict[str, str]:
    """All questions of type text left empty, but for these."""
    template = awx.controller.named("job_templates", f"Infinite Databases: {name}")
    return {one["variable"]: "" for one in awx.questions(template) if one["type"] in ("text", "textarea")} | answers


def connect(nomad: NomadClient, awx: Awx, name: str) -> psycopg.Connection[tuple[Any, ...]]:
    known = json.loads(awx.controller.named("inventories", "Infinite Databases")["variables"])
    login = json.loads(record(nomad, name)["logins"])["owner"]
    return psycopg.connect(
        host=f"{name}.{known['database_domain']}",
        port=known["database_port"],
        dbname=name,
        user=login["user"],
        password=login["password"],
        sslmode="verify-full",
        sslrootcert=str(HERE.state / "ca.crt"),
        autocommit=True,
    )


def test_secrets_are_known(secrets: set[str], nomad: NomadClient) -> None:
    """So that looking for them means something."""
    assert {COMMENTS_TOKEN, SETTINGS["awx_aws_secret_key"]} < secrets
    assert all(len(secret) > 8 for secret in secrets)
    assert len(secrets) == 3


def test_provision(run: Run, awx: Awx, nomad: NomadClient) -> None:
    answers = empty(awx, "provision", db=f"{A}, {B}", labels="team=awx", memory="64", settings="work_mem = 8MB\njit = off")
    said = run("provision", **answers)
    assert f"{A}: created" in said
    assert "********" in said
    assert len(passwords(nomad)) == 6
    with connect(nomad, awx, A) as connection:
        assert connection.execute("show work_mem").fetchone() == ("8MB",)
        connection.execute("create table kept as select 7 as number")
    assert f"{A}: unchanged" in run("provision", **empty(awx, "provision", db=A))


def test_provision_of_the_inventorys(run: Run) -> None:
    assert "No database was named" in run("provision the inventory's")


def test_answers_that_are_refused(awx: Awx) -> None:
    with pytest.raises(Refused, match="too small"):
        awx.launch("provision", db="")
    with pytest.raises(Refused, match="not allowed on launch"):
        awx.launch("url", db=A, masked="false")
    with pytest.raises(Refused, match="expected to be one of"):
        awx.launch("url", db=A, role="admin")


def test_an_answer_is_no_template(run: Run) -> None:
    assert "is not a name" in run("provision", fails=True, db="{{ lookup('env', 'NOMAD_TOKEN') }}")


def test_reading(run: Run, awx: Awx) -> None:
    assert A in run("list", **empty(awx, "list"))
    assert [one["name"] for one in json.loads(run("list", labels="team=awx", output="json"))["databases"]] == [A, B]
    assert "running" in run("info", db=A)
    assert f'{{database="{A}"}}' in run("metrics")
    assert "ready to accept connections" in run("logs", **empty(awx, "logs", db=A))
    assert len(run("logs", db=A, lines="1").splitlines()) == 1
    assert "databases compared" in run("drift", job_type="check")


def test_drift_that_is_found_at_night_is_a_failed_job(run: Run, controller: Controller, nomad: NomadClient) -> None:
    """Which is what AWX's notification is about."""
    schedule = controller.named("schedules", "Infinite Databases: drift, every night")
    told = controller.related(controller.by_id(schedule["unified_job_template"]), "notification_templates_error")
    assert [one["name"] for one in told] == ["Infinite Databases: a scheduled job has failed"]
    as_scheduled = schedule["extra_data"] | {"job_type": schedule["job_type"]}
    run("drift")
    assert "nothing differs" in run("drift", **as_scheduled)
    job = nomad.job.get(A)
    job["TaskGroups"][0]["Tasks"][0]["Env"]["CONTROL"] = "true"
    nomad.jobs.put(json={"Job": job})
    assert "Something differed" in run("drift", fails=True, **as_scheduled)
    assert f"{A}: its job differed" in run("drift")


def test_the_url_has_no_password(run: Run) -> None:
    assert f"postgresql://{A}:********@{A}." in run("url", db=A)
    assert "PGPASSWORD=********" in run("env", db=A, role="ro")


def test_a_secret_would_be_found(awx: Awx, secrets: set[str]) -> None:
    """The same job without the template's own variable."""
    template = awx.controller.named("job_templates", "Infinite Databases: url")
    decided, template["extra_vars"] = template["extra_vars"], "{}"
    try:
        job = awx.launch("url", db=A)
    finally:
        template["extra_vars"] = decided
    with pytest.raises(AssertionError):
        shows_no_secret(job, secrets)


def test_a_person_has_the_password_by_a_token_of_their_own(nomad: NomadClient, awx: Awx, tmp_path: Path) -> None:
    """As docs/awx.md says: with its policy, which allows nothing else, and without the environment's directory."""
    rules = (ROOT / "docs" / "awx.md").read_text().partition("```text\n")[2].partition("```")[0].replace("mydb", A)
    nomad.endpoint("acl/policy").post("test-awx", json={"Name": "test-awx", "Rules": rules})
    token = nomad.endpoint("acl/token").post(json={"Name": "test-awx", "Type": "client", "Policies": ["test-awx"]})
    known = json.loads(awx.controller.named("inventories", "Infinite Databases")["variables"])
    place = {"database_domain": known["database_domain"], "database_port": known["database_port"]}
    env = {
        "PATH": awx.path,
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "NOMAD_ADDR": nomad.address,
        "NOMAD_CACERT": str(HERE.state / "ca.crt"),
        "NOMAD_TOKEN": token["SecretID"],
        "ANSIBLE_STDOUT_CALLBACK": "infinite.databases.plain",
    }

    def url(name: str) -> subprocess.CompletedProcess[str]:
        extra = json.dumps(place | {"db": name, "database_ca_cert": env["NOMAD_CACERT"]})
        command = ["ansible-playbook", "playbooks/url.yml", "-i", "localhost,", "-e", extra]
        return subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True)

    try:
        with psycopg.connect(url(A).stdout.strip()) as connection:
            assert connection.execute("select current_user").fetchone() == (A,)
        other = url(B)
        assert other.returncode != 0
        assert "postgresql://" not in other.stdout + other.stderr
    finally:
        nomad.endpoint("acl/token").delete(token["AccessorID"])
        nomad.endpoint("acl/policy").delete("test-awx")


@pytest.mark.slow
def test_stop_start_restart(run: Run, awx: Awx) -> None:
    assert "Which database?" in run("stop", fails=True, **empty(awx, "stop"))
    assert f"{B}: stopped" in run("stop", **empty(awx, "stop", db=B))
    assert B in run("start", **empty(awx, "start", labels="team=awx"))
    assert f"{B}: restarted" in run("restart", **empty(awx, "restart", db=B))


@pytest.mark.slow
def test_rotate(run: Run, awx: Awx, nomad: NomadClient) -> None:
    before = passwords(nomad)
    assert A in run("rotate", **empty(awx, "rotate", db=A))
    assert len(passwords(nomad) - before) == 1


@pytest.mark.slow
def test_import_and_export(run: Run, awx: Awx, nomad: NomadClient, controller: Controller, secrets: set[str]) -> None:
    """From a server elsewhere by its credential, which is chosen at launch, and from one of the environment by its name."""
    login = json.loads(record(nomad, A)["logins"])["owner"]
    known = json.loads(controller.named("inventories", "Infinite Databases")["variables"])
    (node,) = [node["Address"] for node in nomad.endpoint("nodes").get() if node["Status"] == "ready"]
    host = f"{A}.{known['database_domain']}:{known['database_port']}"
    url = f"postgresql://{login['user']}:{login['password']}@{host}/{A}?hostaddr={node}"
    kind = controller.named("credential_types", "Infinite Databases server elsewhere")
    inputs = {"source_url": url, "ca": (HERE.state / "ca.crt").read_text()}
    controller.make("credentials", {"name": "elsewhere", "credential_type": kind["id"], "inputs": inputs})
    run("import", **empty(awx, "import", db=B), credentials=("elsewhere",))
    with connect(nomad, awx, B) as connection:
        assert connection.execute("select number from kept").fetchone() == (7,)
    run("export", **empty(awx, "export", db=A, to=B), fails=True)
    run("export", **empty(awx, "export", db=A, to=B), replace="true")


@pytest.mark.slow
def test_dump_and_load(run: Run, awx: Awx, nomad: NomadClient, tmp_path: Path) -> None:
    """A file in a directory that AWX exposes to jobs."""
    file = str(tmp_path / "a.dump")
    run("dump", **empty(awx, "dump", db=A, file=file))
    run("load", **empty(awx, "load", db=B, file=file), replace="true")
    run("load", **empty(awx, "load", db=B, file=file), fails=True)
    with connect(nomad, awx, B) as connection:
        assert connection.execute("select number from kept").fetchone() == (7,)


@pytest.mark.slow
def test_preview_workflow(awx: Awx, nomad: NomadClient, secrets: set[str]) -> None:
    """Made, said in a comment, once, and what is past its time ended."""
    jobs = awx.workflow("preview of a pull request", pr="7", project=PREFIX.strip("-"), **{"from": "", "ttl": ""})
    assert [job.successful for job in jobs] == [True, True, True], jobs[-1].output
    told = jobs[0].stats
    assert told["preview_host"].partition(".")[0] == told["preview_name"] == f"{PREFIX}pr-7"
    made = [{"body": f"This pull request's database is at `{told['preview_host']}`."}]
    assert Comments.made["/repos/acme/shop/issues/7/comments"] == made
    jobs.append(awx.launch("comment", passed=told | {"pr": "7"}))
    assert Comments.made["/repos/acme/shop/issues/7/comments"] == made, "one is enough"
    secrets.update(passwords(nomad))
    for job in jobs:
        shows_no_secret(job, secrets)
    assert "Have destroyed" in jobs[2].said


def test_comments_that_are_refused(awx: Awx, controller: Controller) -> None:
    credential = controller.named("credentials", "Infinite Databases comments")
    token, credential["inputs"]["token"] = credential["inputs"]["token"], "another"
    try:
        job = awx.launch("comment", passed={"pr": "7", "preview_host": "a"})
    finally:
        credential["inputs"]["token"] = token
    assert not job.successful
    assert "answers 401; look at the credential" in job.said


@pytest.mark.slow
def test_preview(run: Run, awx: Awx, nomad: NomadClient) -> None:
    run("preview", **empty(awx, "preview", pr="7", project=PREFIX.strip("-")), state="absent")
    assert record(nomad, f"{PREFIX}pr-7") == {}


def test_ends(run: Run, awx: Awx, nomad: NomadClient) -> None:
    run("destroy", **empty(awx, "destroy", db=B))
    assert f"{B}" in run("undestroy", **empty(awx, "undestroy", db=B))
    run("purge", **empty(awx, "purge", labels="team=awx", confirm=ENVIRONMENT))
    assert record(nomad, A) == record(nomad, B) == {}
    assert PREFIX not in run("expire")
