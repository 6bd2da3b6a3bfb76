# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every module: create, change, delete, each in check mode, for real, and again; and what is said when it cannot work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient

Args = dict[str, Any]


def job(image: str, name: str = "test-cycle", command: str = "sleep 1000", kind: str = "service", memory: int = 16) -> str:
    update = 'update {\n    min_healthy_time = "0s"\n    progress_deadline = "0s"\n    healthy_deadline = "30s"\n  }'
    return f"""
job "{name}" {{
  type = "{kind}"
  group "main" {{
    {update if kind == "service" else ""}
    restart {{
      attempts = 0
      mode     = "fail"
    }}
    reschedule {{
      attempts  = 0
      unlimited = false
    }}
    task "main" {{
      driver       = "docker"
      kill_timeout = "1s"
      config {{
        image      = "{image}"
        entrypoint = ["/bin/sh", "-c"]
        args       = ["{command}"]
        init       = true
      }}
      resources {{
        cpu    = 20
        memory = {memory}
      }}
    }}
  }}
}}
"""


RULES = 'namespace "test-modules" {\n  policy = "read"\n}\n'
# What creates, what changes, what deletes. Lists are changed in one of two items.
CYCLES: dict[str, tuple[Args, Args, Args]] = {
    "nomad_namespace": (
        {"namespaces": [{"name": "test-a", "description": "one"}, {"name": "test-b"}]},
        {"namespaces": [{"name": "test-a", "meta": {"k": "v"}}, {"name": "test-b"}]},
        {"namespaces": [{"name": "test-a", "state": "absent"}, {"name": "test-b", "state": "absent"}]},
    ),
    "nomad_acl_policy": (
        {"policies": [{"name": "test-a", "rules": RULES}, {"name": "test-b", "rules": RULES}]},
        {
            "policies": [
                {"name": "test-a", "rules": RULES, "job_acl": {"namespace": "test-modules", "job_id": "traefik"}},
                {"name": "test-b", "rules": RULES},
            ]
        },
        {"policies": [{"name": "test-a", "state": "absent"}, {"name": "test-b", "state": "absent"}]},
    ),
    "nomad_acl_token": (
        {"name": "test-a", "policies": ["a"], "secret_file": "TMP/token"},
        {"name": "test-a", "policies": ["a", "b"], "secret_file": "TMP/token"},
        {"name": "test-a", "secret_file": "TMP/token", "state": "absent"},
    ),
    "nomad_variable": (
        {"variables": [{"path": "a/b", "items": {"k": "hunter2"}}, {"path": "c", "items": {"k": "hunter3"}}]},
        {"variables": [{"path": "a/b", "items": {"k": "hunter4"}}, {"path": "c", "items": {"k": "x"}, "overwrite": "never"}]},
        {"variables": [{"path": "a/b", "state": "absent"}, {"path": "c", "state": "absent"}]},
    ),
    "nomad_volume": (
        {"volumes": [{"name": "test-a", "parameters": {"mode": "0700"}}, {"name": "test-b"}]},
        {"volumes": [{"name": "test-a", "parameters": {"mode": "0750"}}, {"name": "test-b"}]},
        {"volumes": [{"name": "test-a", "state": "absent"}, {"name": "test-b", "state": "absent"}]},
    ),
    "nomad_job": (
        {"jobs": [{"job": "JOB:test-a:16"}, {"job": "JOB:test-b:16"}]},
        {"jobs": [{"job": "JOB:test-a:20"}, {"job": "JOB:test-b:16"}]},
        {"jobs": [{"id": "test-a", "state": "absent"}, {"id": "test-b", "state": "absent"}]},
    ),
}


def filled(value: Any, image: str, tmp_path: Path) -> Any:
    if isinstance(value, dict):
        return {key: filled(inner, image, tmp_path) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [filled(inner, image, tmp_path) for inner in value]
    if isinstance(value, str) and value.startswith("JOB:"):
        _kind, name, memory = value.split(":")
        return job(image, name, memory=int(memory))
    return value.replace("TMP", str(tmp_path)) if isinstance(value, str) else value


@pytest.mark.parametrize("module", CYCLES)
def test_create_change_delete(module: str, play: Any, image: str, tmp_path: Path) -> None:
    tasks = []
    for step in filled(CYCLES[module], image, tmp_path):
        task = {f"infinite.databases.{module}": step}
        tasks += [task | {"check_mode": True}, task, task]
    results = play(tasks)
    messages = [result.get("msg") for result in results]
    assert not any(result["failed"] for result in results), messages
    assert [result["changed"] for result in results] == [True, True, False] * 3, messages
    for checked, done in zip(results[0::3], results[1::3], strict=True):
        assert checked["diff"] == done["diff"]  # check mode foretells what is done
        assert any(part["before"] != part["after"] for part in as_list(done["diff"]))
    assert "hunter" not in str(results)


def as_list(diff: Any) -> list[dict[str, Any]]:
    return diff if isinstance(diff, list) else [diff]


def test_a_list_says_what_became_of_each(play: Any) -> None:
    create, change, delete = CYCLES["nomad_namespace"]
    results = play([{"infinite.databases.nomad_namespace": args} for args in (create, change, delete)])
    actions = [[item["action"] for item in result["namespaces"]] for result in results]
    assert actions == [["created", "created"], ["updated", "unchanged"], ["removed", "removed"]]


def test_scheduler_config(play: Any, client: NomadClient) -> None:
    endpoint = client.endpoint("operator/scheduler/configuration")
    before = endpoint.get()["SchedulerConfig"]
    wanted = not before["PreemptionConfig"]["BatchSchedulerEnabled"]
    task = {"infinite.databases.nomad_scheduler_config": {"preemption": {"batch": wanted}}}
    try:
        results = play([task | {"check_mode": True}, task, task])
    finally:
        after = endpoint.get()["SchedulerConfig"]
        endpoint.put(json=before)
    assert [result["changed"] for result in results] == [True, True, False]
    assert after["PreemptionConfig"] == before["PreemptionConfig"] | {"BatchSchedulerEnabled": wanted}
    assert after["MemoryOversubscriptionEnabled"] == before["MemoryOversubscriptionEnabled"]


def test_bootstrap_can_be_repeated(play: Any, client: NomadClient) -> None:
    secrets = [client.settings["token"], "99999999-2222-3333-4444-555555555555", "no-uuid"]
    same, other, invalid = play([{"infinite.databases.nomad_acl_bootstrap": {"secret": secret}} for secret in secrets])
    assert not same["changed"]
    assert same["accessor_id"]
    assert "bootstrapped with another secret" in other["msg"]
    assert "not a UUID" in invalid["msg"]
    assert not any(secret in str(result) for secret in secrets[:2] for result in (same, other, invalid))


def test_a_token_is_not_made_if_its_secret_cannot_be_kept(play: Any, client: NomadClient) -> None:
    (result,) = play([{"infinite.databases.nomad_acl_token": {"name": "test-nowhere", "secret_file": "/nowhere/token"}}])
    assert "/nowhere is not a directory that can be written to" in result["msg"]
    assert not any(token["Name"] == "test-nowhere" for token in client.endpoint("acl/tokens").get())


def test_a_lost_token_is_made_again(play: Any, tmp_path: Path, client: NomadClient) -> None:
    path = tmp_path / "token"
    task = {"infinite.databases.nomad_acl_token": {"name": "test-lost", "policies": ["a"], "secret_file": str(path)}}
    play([task])
    first = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("99999999-2222-3333-4444-555555555555\n")
    (again,) = play([task])
    assert again["changed"]
    assert path.read_text() != first
    assert sum(token["Name"] == "test-lost" for token in client.endpoint("acl/tokens").get()) == 1


def test_variables_that_are_never_overwritten(play: Any) -> None:
    def task(value: str, **more: Any) -> Args:
        variable = {"path": "once", "items": {"password": value, "user": "once"}, "overwrite": "never"}
        return {"infinite.databases.nomad_variable": {"variables": [variable], **more}}

    first, second, silent = play([task("one", return_items=True), task("two", return_items=True), task("three")])
    assert first["variables"][0]["data"] == second["variables"][0]["data"] == {"password": "one", "user": "once"}
    assert not second["changed"]
    assert "one" not in str(silent["variables"]).replace("once", "")
    assert "three" not in str(silent)


MINIMAL: dict[str, Args] = {
    "nomad_acl_policy": {"policies": [{"name": "test-x", "rules": RULES}]},
    "nomad_acl_token": {"name": "test-x", "policies": ["a"]},
    "nomad_agent_info": {},
    "nomad_job": {"job": {"ID": "test-x"}},
    "nomad_job_info": {},
    "nomad_job_revive": {"jobs": [{"id": "test-x"}]},
    "nomad_namespace": {"namespaces": [{"name": "test-x"}]},
    "nomad_node_info": {},
    "nomad_scheduler_config": {"memory_oversubscription": True},
    "nomad_variable": {"variables": [{"path": "x", "items": {"k": "v"}}]},
    "nomad_volume": {"volumes": [{"name": "test-x"}]},
}
WRONG_TOKEN = "99999999-2222-3333-4444-555555555556"
TROUBLES: dict[str, tuple[Args, str]] = {
    "wrong token": ({"nomad_token": WRONG_TOKEN, "nomad_token_file": None}, r"does not know this token"),
    "no token": ({"nomad_token": None, "nomad_token_file": None}, r"no token was given"),
    "wrong CA": ({"nomad_ca_cert": "OTHER_CA"}, r"certificate is not trusted"),
    "no CA": ({"nomad_ca_cert": None}, r"certificate is not trusted .*nomad_ca_cert"),
    "wrong name": ({"nomad_tls_server_name": "other.example"}, r"certificate is for another name"),
    "no TLS": ({"nomad_address": "PLAIN"}, r"use an https:// address"),
    "nobody there": ({"nomad_address": "https://127.0.0.1:9", "nomad_retries": 0}, r"unreachable \(Connection refused\)"),
    "missing CA file": ({"nomad_ca_cert": "/nowhere/ca.crt"}, r"nomad_ca_cert: /nowhere/ca.crt does not exist"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_one_line_says_what_is_wrong(trouble: str, play: Any, connection: Args, other_ca: str) -> None:
    options, said = TROUBLES[trouble]
    values = {"OTHER_CA": other_ca, "PLAIN": connection["nomad_address"].replace("https:", "http:")}
    defaults = connection | {key: values.get(str(value), value) for key, value in options.items()}
    defaults = {key: value for key, value in defaults.items() if value is not None}
    tasks = [{f"infinite.databases.{module}": args} for module, args in MINIMAL.items()]
    for module, result in zip(MINIMAL, play(tasks, defaults), strict=True):
        # Nomad answers a list with what the token may see, which is nothing at all; then only the write is refused.
        if module == "nomad_job_info" and not result["failed"]:
            assert result["jobs"] == []
            continue
        assert result["failed"], (module, result)
        assert not result["changed"], (module, result)
        assert re.search(said, result["msg"]), (module, result["msg"])
        assert "\n" not in result["msg"], (module, result["msg"])
        assert WRONG_TOKEN not in str(result), module


@pytest.fixture(scope="session")
def other_ca(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CA that signed nothing of ours: certifi's first."""
    import certifi

    path = tmp_path_factory.mktemp("ca") / "other.crt"
    end = "-----END CERTIFICATE-----\n"
    path.write_text(Path(certifi.where()).read_text().partition(end)[0] + end)
    return str(path)


def test_a_module_process_gives_the_same_result(play: Any) -> None:
    """Where the task's environment differs from ours, or it runs elsewhere, the module runs as any other."""
    task = {"infinite.databases.nomad_variable": {"variables": [{"path": "p", "items": {"k": "hunter2"}}], "return_items": True}}
    info: Args = {"infinite.databases.nomad_job_info": {}}
    elsewhere = {"environment": {"SOMETHING": "else"}}
    here, there, listed, listed_there = play([task, task | elsewhere, info, info | elsewhere])
    assert [here["changed"], there["changed"]] == [True, False]
    assert there["variables"][0]["data"] == {"k": "hunter2"}
    assert "hunter2" not in str(there.get("invocation"))
    assert listed["jobs"] == listed_there["jobs"]


def test_bad_parameters(play: Any) -> None:
    unknown, missing, exclusive = play(
        [
            {"infinite.databases.nomad_job": {"id": "x", "state": "absent", "bogus": 1}},
            {"infinite.databases.nomad_job": {}},
            {"infinite.databases.nomad_job": {"id": "x", "jobs": []}},
        ]
    )
    assert "bogus" in unknown["msg"]
    assert "one of the following is required: job, jobs, id" in missing["msg"]
    assert "mutually exclusive: id|jobs" in exclusive["msg"]
