# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""nomad_job on a real scheduler: waiting, failures, digests and races."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.infinite.databases.plugins.module_utils._nomad import job as nomad_job
from ansible_collections.infinite.databases.plugins.module_utils._nomad import job_revive as nomad_job_revive
from ansible_collections.infinite.databases.plugins.module_utils._nomad import variable as nomad_variable
from ansible_collections.infinite.databases.plugins.module_utils._nomad import volume as nomad_volume
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.task_log import TaskLog
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

Args = dict[str, Any]
TEMPLATE = """
variable "name" {}
variable "image" {}
variable "command" { default = "sleep 1000" }
variable "type" { default = "service" }
variable "memory" { default = 16 }
variable "tag" { default = "one" }
variable "healthy" { default = "0s" }
variable "volume" { default = "" }
job "name" {
  id   = var.name
  type = var.type
  group "main" {
    dynamic "update" {
      for_each = var.type == "service" ? [1] : []
      content {
        min_healthy_time  = var.healthy
        progress_deadline = "0s"
        healthy_deadline  = "60s"
      }
    }
    restart {
      attempts = 0
      mode     = "fail"
    }
    dynamic "reschedule" {
      for_each = var.type == "system" ? [] : [1]
      content {
        attempts  = 0
        unlimited = false
      }
    }
    service {
      name     = "test"
      provider = "nomad"
      tags     = [var.tag]
    }
    dynamic "volume" {
      for_each = var.volume == "" ? [] : [var.volume]
      labels   = ["data"]
      content {
        type            = "host"
        source          = volume.value
        access_mode     = "single-node-single-writer"
        attachment_mode = "file-system"
      }
    }
    task "main" {
      driver       = "docker"
      kill_timeout = "1s"
      config {
        image      = var.image
        entrypoint = ["/bin/sh", "-c"]
        args       = [var.command]
        init       = true
      }
      resources {
        cpu    = 20
        memory = var.memory
      }
    }
  }
}
"""


def complain(text: str) -> str:
    """Write where our tasks do: Nomad's collection of logs is off on our own nodes."""
    return f"echo '{text}' >> /alloc/data/main.stderr.0"


class Modules:
    """The modules' functions, as both the action plugins and the module processes call them."""

    def __init__(self, connection: Args, image: str) -> None:
        self.connection, self.image = connection, image

    def call(self, spec: ModuleSpec, params: Args, check_mode: bool = False) -> Args:
        validation = ArgumentSpecValidator(dict(spec.argument_spec), **spec.rules()).validate(self.connection | params)
        assert not validation.error_messages
        return spec.execute(validation.validated_parameters, check_mode)

    def job(self, name: str, check_mode: bool = False, options: Args | None = None, **variables: Any) -> Args:
        values = {"name": name, "image": self.image} | variables
        params = {"job": TEMPLATE, "variables": values, "wait_timeout": 60} | (options or {})
        return self.call(nomad_job.SPEC, params, check_mode)

    def end(self, *names: str, state: str = "absent") -> Args:
        return self.call(nomad_job.SPEC, {"jobs": [{"id": name, "state": state} for name in names]})


@pytest.fixture
def modules(connection: Args, image: str, namespace: str) -> Modules:
    return Modules(connection, image)


def test_a_failing_task_is_quoted(modules: Modules) -> None:
    bad: Args = {"command": f"echo starting; {complain('the disk is on fire')}; exit 3", "healthy": "2s"}
    result = modules.job("test-fails", **bad)
    assert result["failed"]
    assert result["changed"]
    for said in ("job test-fails", "Exit Code: 3", "the disk is on fire"):
        assert said in result["msg"]
    assert "\n" not in result["msg"]
    assert result["jobs"][0]["log"].strip() == "the disk is on fire"
    # It is registered, and nothing is different: but it still does not run.
    again = modules.job("test-fails", **bad)
    assert (again["failed"], again["changed"]) == (True, False)
    assert not modules.job("test-fails").get("failed")
    modules.end("test-fails")


def kill_all(client: NomadClient, job: str) -> None:
    """Until Nomad has noted that they have failed."""
    for alloc in client.job.get(job, "allocations"):
        if alloc["ClientStatus"] == "running":
            signal = {"Signal": "SIGKILL", "Task": "main"}
            client.endpoint("client/allocation").put(alloc["ID"], "signal", json=signal)
    deadline = time.monotonic() + 30
    while any(alloc["ClientStatus"] == "running" for alloc in client.job.get(job, "allocations")):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_system_job_that_failed_for_good(modules: Modules, client: NomadClient) -> None:
    """As Traefik would be after an outage that ended it: nothing in Nomad tries again."""

    def registered(check_mode: bool = False) -> Args:
        return modules.job("test-system", check_mode, type="system")

    def revived(check_mode: bool = False) -> Args:
        return modules.call(nomad_job_revive.SPEC, {"jobs": [{"id": "test-system"}, {"id": "test-nowhere"}]}, check_mode)

    registered()
    for again in (registered, revived):
        assert not again()["changed"]
        kill_all(client, "test-system")
        before = client.job.get("test-system", "allocations")
        assert again(check_mode=True)["changed"]
        assert len(client.job.get("test-system", "allocations")) == len(before)
        result = again()
        assert result["changed"]
        assert not result.get("failed")
        assert any(alloc["ClientStatus"] == "running" for alloc in client.job.get("test-system", "allocations"))
    assert modules.end("test-system")["changed"]


def test_a_log_is_followed_from_file_to_file(modules: Modules, client: NomadClient) -> None:
    """As a database's: a new file now and then, of which two are kept."""
    write = "echo $n >> /alloc/data/main.stderr.$((n / 5)); rm -f /alloc/data/main.stderr.$((n / 5 - 2)); sleep 0.2"
    modules.job("test-log", command=f"n=0; while [ $n -lt 19 ]; do {write}; n=$((n + 1)); done; sleep 1000")
    (alloc,) = client.job.get("test-log", "allocations")
    log = TaskLog(client, alloc["ID"], "main", "stderr")
    deadline = time.monotonic() + 120
    said = b""
    for piece in log.follow(None):
        said += piece
        if said.endswith(b"\n18\n"):
            break
        assert time.monotonic() < deadline, said
    numbers = [int(number) for number in said.split()]
    assert numbers == list(range(numbers[0], 19))
    assert len(numbers) > 10, "it never went on to another file"
    assert log.last(6) == "17\n18\n"
    assert set(log.sizes()) == {2, 3}
    assert TaskLog(client, alloc["ID"], "other", "stderr").last(100) == ""
    modules.end("test-log")


def test_what_no_node_can_take(modules: Modules) -> None:
    result = modules.job("test-big", memory=10_000_000, options={"wait_timeout": 1})
    assert "not ready within 1 s; no node can take it: group main: memory (exhausted" in result["msg"]
    modules.end("test-big")


def test_batch_jobs_are_waited_for_until_complete(modules: Modules, client: NomadClient) -> None:
    result = modules.job("test-batch", type="batch", command="sleep 1")
    assert result["changed"]
    assert not result.get("failed")
    (alloc,) = client.job.get("test-batch", "allocations")
    assert alloc["ClientStatus"] == "complete"
    assert not modules.job("test-batch", type="batch", command="sleep 1")["changed"]
    failed = modules.job("test-batch", type="batch", command=f"{complain('no')}; exit 1")
    assert "its log ends: no" in failed["msg"]
    modules.end("test-batch")


def test_one_invalid_job_changes_nothing(modules: Modules, client: NomadClient) -> None:
    jobs = [{"job": TEMPLATE, "variables": {"name": "test-good", "image": "none:1"}}, {"job": "job {"}]
    result = modules.call(nomad_job.SPEC, {"jobs": jobs})
    assert result["failed"]
    assert not result["changed"]
    assert "1 of 2 jobs failed; nothing was changed" in result["msg"]
    assert "Failed to parse job: input.hcl:1" in result["msg"]
    assert [item["changed"] for item in result["jobs"]] == [False, False]
    assert client.jobs.get(prefix="test-good") == []


def test_failed_jobs_are_reported_and_the_others_changed(modules: Modules) -> None:
    good = {"job": TEMPLATE, "variables": {"name": "test-good", "image": "none:1"}}
    result = modules.call(nomad_job.SPEC, {"jobs": [good, {"job": "job {"}], "report": True, "wait": False})
    assert not result.get("failed")
    assert "Failed to parse job: input.hcl:1" in result["jobs"][1]["msg"]
    assert [(item["changed"], item.get("failed", False)) for item in result["jobs"]] == [(True, False), (False, True)]
    modules.end("test-good")


def test_the_same_job_twice(modules: Modules) -> None:
    spec = {"ID": "test-twice", "Type": "service", "Datacenters": ["*"], "TaskGroups": []}
    result = modules.call(nomad_job.SPEC, {"jobs": [{"job": spec}, {"job": spec}]})
    assert "test-twice of namespace test-modules is in the list more than once" in result["msg"]


def test_digests(modules: Modules, client: NomadClient) -> None:
    def job(**given: Any) -> tuple[bool, int, str]:
        result = modules.job("test-digest", options={"digest_service": "test"} | given.pop("options", {}), **given)
        assert not result.get("failed"), result["msg"]
        tags = client.job.get("test-digest")["TaskGroups"][0]["Services"][0]["Tags"]
        return result["changed"], result["api_calls"], tags[-1].removeprefix("infinite_digest=")

    def registered(digest: str) -> None:
        """A registration follows its job a moment later."""
        deadline = time.monotonic() + 10
        while not any(f"infinite_digest={digest}" in one["Tags"] for one in client.services("test")):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    changed, _calls, first = job()
    assert changed
    registered(first)
    assert job() == (False, 2, first)  # two lists, and nothing else
    assert job(options={"plan_all": True})[0] is False
    # A change in place renews the digest, without a restart.
    before = client.job.get("test-digest", "allocations")[0]["ID"]
    changed, _calls, second = job(tag="two")
    assert changed
    assert second != first
    registered(second)
    assert client.job.get("test-digest", "allocations")[0]["ID"] == before
    assert job(tag="two") == (False, 2, second)
    # And so does the way back.
    assert job()[::2] == (True, first)
    registered(first)
    changed, _calls, third = job(tag="two", memory=20)
    assert changed
    registered(third)
    assert job(tag="two", memory=20) == (False, 2, third)
    # Changed behind our back, it keeps the digest; planning it all the same finds that.
    spec = client.job.get("test-digest")
    spec["TaskGroups"][0]["Services"][0]["Tags"][0] = "tampered"
    client.jobs.post(json={"Job": spec})
    assert job(tag="two", memory=20)[0] is False
    assert job(tag="two", memory=20, options={"plan_all": True})[0] is True
    assert client.job.get("test-digest")["TaskGroups"][0]["Services"][0]["Tags"][0] == "two"
    # Stopped, it is not what was asked for.
    modules.end("test-digest", state="stopped")
    assert job(tag="two", memory=20)[0] is True
    modules.end("test-digest")


def test_racing_writers(modules: Modules, client: NomadClient) -> None:
    modules.job("test-race")
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda tag: modules.job("test-race", tag=tag, options={"wait": False}), "abcd"))
    winners = [tag for tag, result in zip("abcd", results, strict=True) if not result.get("failed")]
    losers = [result["msg"] for result in results if result.get("failed")]
    assert winners
    assert all("somebody else changed it since it was read" in message for message in losers)
    assert client.job.get("test-race")["TaskGroups"][0]["Services"][0]["Tags"][0] in winners
    # They agree: then nobody has a conflict.
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: modules.job("test-race", tag="same", options={"wait": False}), range(4)))
    assert not any(result.get("failed") for result in results)
    assert client.job.get("test-race")["TaskGroups"][0]["Services"][0]["Tags"] == ["same"]
    modules.end("test-race")


def test_racing_variables(modules: Modules) -> None:
    def write(value: int, overwrite: str) -> Args:
        variable = {"path": "race", "items": {"password": f"value-{value}"}, "overwrite": overwrite}
        return modules.call(nomad_variable.SPEC, {"variables": [variable], "return_items": True})

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda value: write(value, "never"), range(8)))
    assert not any(result.get("failed") for result in results)
    assert sum(result["changed"] for result in results) == 1
    assert len({result["variables"][0]["data"]["password"] for result in results}) == 1
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda value: write(value, "always"), range(10, 18)))
    assert any(not result.get("failed") for result in results)
    assert all("somebody else" in result["msg"] for result in results if result.get("failed"))


def test_a_job_waits_for_its_new_volume(modules: Modules) -> None:
    """The scheduler sees a new volume only some seconds after its creation."""
    modules.call(nomad_volume.SPEC, {"volumes": [{"name": "test-volume"}]})
    hasty = modules.job("test-volume", volume="test-volume", options={"wait_timeout": 0.5})
    assert "missing compatible host volumes" in hasty["msg"]
    result = modules.job("test-volume", volume="test-volume")
    assert not result.get("failed"), result["msg"]
    used = modules.call(nomad_volume.SPEC, {"volumes": [{"name": "test-volume", "state": "absent"}]})
    assert "volume test-volume is in use; stop the job that uses it first" in used["msg"]
    modules.end("test-volume")
    assert modules.call(nomad_volume.SPEC, {"volumes": [{"name": "test-volume", "state": "absent"}]})["changed"]


def test_a_volume_that_its_node_has_reported(modules: Modules, client: NomadClient) -> None:
    def volume(**more: Any) -> Args:
        return modules.call(nomad_volume.SPEC, {"volumes": [{"name": "test-reported"}], **more})

    hasty = volume(wait_timeout=1)
    assert "did not report volume test-reported within 1 s" in hasty["msg"]
    assert not volume(wait_timeout=1)["changed"], "what is there is not waited for"
    modules.call(nomad_volume.SPEC, {"volumes": [{"name": "test-reported", "state": "absent"}], "wait_timeout": 1})
    assert volume(wait_timeout=60)["changed"]
    assert {one["State"] for one in client.volumes.list() if one["Name"] == "test-reported"} == {"ready"}
    modules.call(nomad_volume.SPEC, {"volumes": [{"name": "test-reported", "state": "absent"}]})


def test_many_at_once(modules: Modules) -> None:
    names = [f"test-many-{number}" for number in range(6)]
    jobs = [{"variables": {"name": name, "image": modules.image}} for name in names]
    params: Args = {"job": TEMPLATE, "jobs": jobs, "digest_service": "test", "wait_timeout": 120}
    first = modules.call(nomad_job.SPEC, params)
    assert not first.get("failed"), first["msg"]
    assert [item["id"] for item in first["jobs"]] == names
    assert all(item["action"] == "registered" for item in first["jobs"])
    again = modules.call(nomad_job.SPEC, params)
    assert (again["changed"], again["api_calls"]) == (False, 2)
    stopped = modules.end(*names, state="stopped")
    assert all(item["action"] == "stopped" for item in stopped["jobs"])
    assert all(item["action"] == "removed" for item in modules.end(*names)["jobs"])
