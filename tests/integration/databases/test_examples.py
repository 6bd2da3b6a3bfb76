# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The examples in the documentation of the modules (for AWS: ../aws) work in the local environment, under names of the tests'.

What an example speaks of is there: the databases mydb and mydb-copy, what an earlier example registered, files beside the playbook.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from tests.support.examples import examples, modules
from tests.support.user import PREFIX, ROOT, User

MYDB, COPY = f"{PREFIX}mydb", f"{PREFIX}mydb-copy"
NAMESPACES = {"databases": "test-examples", "platform": "test-examples-platform"}
# The examples that need an environment with backups: test_backup.py runs them.
WITH_BACKUPS = ("database_backup", "database_recover", "database_restore")
# The examples that register what an example goes on with.
BEFORE = {
    "database_load": ["database_dump"],
    "database_claim": ["database_spec"],
    "database_confirm": ["database_spec", "database_claim"],
}
JOB = """
job "NAME" {
  type = "service"
  group "NAME" {
    service {
      name     = "NAME"
      provider = "nomad"
    }
    task "NAME" {
      driver = "docker"
      config {
        image      = "IMAGE"
        entrypoint = ["/bin/sh", "-c", "trap exit TERM; while :; do sleep 1; done"]
      }
      resources {
        cpu    = 20
        memory = 16
      }
    }
  }
}
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, Any], image: str) -> Path:
    """A playbook's directory with the files that examples look up."""
    directory = tmp_path_factory.mktemp("examples")
    shutil.copy(Path(environment["nomad_token_file"]), directory / "nomad-bootstrap.token")
    for file in (ROOT / "roles" / "database" / "files").iterdir():
        shutil.copy(file, directory)
    for name in ("web", "worker"):
        (directory / f"{name}.nomad.hcl").write_text(JOB.replace("NAME", name).replace("IMAGE", image))
    return directory


@pytest.fixture
def own_namespaces(client: NomadClient) -> Iterator[None]:
    yield
    for found in client.endpoint("namespaces").get():
        if found["Name"] in NAMESPACES.values():
            client.endpoint("namespace").delete(found["Name"])


@pytest.mark.parametrize("module", [module for module in modules(aws=False) if module not in WITH_BACKUPS])
@pytest.mark.usefixtures("own_namespaces")
def test_examples(
    user: User,
    namespace: str,
    connection: dict[str, Any],
    image: str,
    files: Path,
    module: str,
) -> None:
    names = {"mydb": MYDB, "db.example.com": user.domain, "postgres:17.6": image, "provisioner": "test-provisioner"}
    names |= {
        "mydb.db.localhost": f"{MYDB}.{user.domain}",
        "mydb.db.example.com": f"{MYDB}.{user.domain}",
        "traefik": "test-traefik",
    }
    if module.startswith("nomad_"):
        names |= NAMESPACES if module == "nomad_namespace" else {"databases": namespace}
    else:
        user.run("provision", databases=[{"name": MYDB}, {"name": COPY}])
    tasks = [task for one in [*BEFORE.get(module, []), module] for task in examples(one, names)]
    given = user.known | {"databases": [{"name": MYDB}], "environment_state_dir": str(files)}
    if module == "postgresql_ready":
        given["mydb_login"] = user.login(MYDB)
    head = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": given, "tasks": tasks}
    playbook = files / f"{module}.yml"
    playbook.write_text(json.dumps([head | {"module_defaults": {"group/infinite.databases.nomad": connection}}]))
    done = user.run(str(playbook), "-i", "localhost,")
    assert f"ok={len(tasks)} " in done.out
    assert "skipped=0" in done.out
