# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Least privilege: the roles' policies allow what they are for, and Nomad refuses them the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadDenied

ROLES = Path(__file__).parents[2] / "roles"
POLICIES = ROLES / "nomad" / "files" / "policies"
NAMESPACE = "test-modules"  # conftest's
Request = tuple[str, str, Any]


def job(namespace: str, driver: str = "docker") -> dict[str, Any]:
    task = {"Name": "test", "Driver": driver, "Config": {"image": "none:1"} if driver == "docker" else {"command": "/bin/id"}}
    group = {"Name": "test", "Tasks": [task]}
    return {"Job": {"ID": "test", "Namespace": namespace, "Type": "batch", "Datacenters": ["nowhere"], "TaskGroups": [group]}}


def job_with(volume: str) -> dict[str, Any]:
    found = job(NAMESPACE)
    found["Job"]["TaskGroups"][0]["Volumes"] = {"test": {"Name": "test", "Type": "host", "Source": volume}}
    return found


def variable(path: str, namespace: str = NAMESPACE) -> Request:
    return "put", f"var/{path}?namespace={namespace}", {"Namespace": namespace, "Path": path, "Items": {"key": "value"}}


def host_volume(**more: str) -> dict[str, Any]:
    capability = {"AttachmentMode": "file-system", "AccessMode": "single-node-single-writer"}
    return {"Volume": {"Name": "test", "Namespace": NAMESPACE, "RequestedCapabilities": [capability]} | more}


@pytest.fixture(scope="module")
def token(client: NomadClient, connection: dict[str, Any], namespace: str) -> Iterator[Callable[[str], NomadClient]]:
    """A client with a token of one policy, which is the role's own but for the namespace."""
    made = []

    def make(name: str) -> NomadClient:
        path = ROLES / "reaper" / "files" / "policy.hcl" if name == "reaper" else POLICIES / f"{name}.hcl"
        rules = path.read_text().replace('namespace "databases"', f'namespace "{namespace}"')
        client.endpoint("acl/policy").post(f"test-{name}", json={"Name": f"test-{name}", "Rules": rules})
        new = client.endpoint("acl/token").post(json={"Name": f"test-{name}", "Type": "client", "Policies": [f"test-{name}"]})
        made.append((name, new["AccessorID"]))
        return NomadClient(connection | {"nomad_token": new["SecretID"], "nomad_token_file": None})

    yield make
    for name, accessor in made:
        client.endpoint("acl/token").delete(accessor)
        client.endpoint("acl/policy").delete(f"test-{name}")


@pytest.fixture(scope="module")
def provisioner(token: Callable[[str], NomadClient]) -> NomadClient:
    return token("provisioner")


@pytest.fixture(scope="module")
def reader(token: Callable[[str], NomadClient]) -> NomadClient:
    return token("reader")


@pytest.fixture(scope="module")
def reaper(token: Callable[[str], NomadClient]) -> NomadClient:
    """As the reaper's workload identity may; that only its job has the policy is in test_reaper.py."""
    return token("reaper")


def send(client: NomadClient, request: Request) -> None:
    method, address, body = request
    parts = urlsplit(address)
    query: dict[str, Any] = dict(parse_qsl(parts.query))
    client.endpoint(parts.path).send(method, json=body, **query)


HERE = f"namespace={NAMESPACE}"
ALLOWED: list[Request] = [
    ("get", f"jobs?{HERE}&meta=true", None),
    ("put", f"job/test/plan?{HERE}", job(NAMESPACE)),
    ("put", f"jobs?{HERE}", job(NAMESPACE)),
    # A volume that has no rule of its own.
    ("put", f"jobs?{HERE}", job_with("infinite-other")),
    ("get", f"job/test?{HERE}", None),
    ("delete", f"job/test?purge=true&{HERE}", None),
    ("get", f"allocations?{HERE}", None),
    ("get", f"evaluations?{HERE}", None),
    ("get", f"services?{HERE}", None),
    ("get", f"volumes?type=host&{HERE}", None),
    ("get", "nodes", None),
    ("get", "agent/members", None),
    ("get", "jobs?namespace=platform", None),
    ("put", "job/traefik/evaluate?namespace=platform", {"JobID": "traefik"}),
    ("put", "jobs?namespace=dumps", job("dumps")),
    ("delete", "job/test?purge=true&namespace=dumps", None),
    variable("databases/test"),
    variable("nomad/jobs/test"),
    variable("pool/test"),
    ("get", f"var/databases/test?{HERE}", None),
    ("get", f"vars?{HERE}", None),
    ("delete", f"var/databases/test?{HERE}", None),
]
REFUSED: list[Request] = [
    ("put", "volume/host/register", host_volume(HostPath="/etc")),
    ("put", "jobs?namespace=default", job("default")),
    ("put", "jobs?namespace=platform", job("platform")),
    ("delete", "job/traefik?namespace=platform", None),
    ("get", "var/nomad/jobs/traefik?namespace=platform", None),
    # All databases' data, and the data of the database whose restore is being tested.
    *(("put", f"jobs?{HERE}", job_with(f"infinite-{name}")) for name in ("databases", "restores", "restored")),
    variable("other/test"),
    variable("nomad/jobs"),
    variable("databases/test", "default"),
    variable("nomad/jobs/test", "dumps"),
    ("put", "volume/host/create", host_volume(Namespace="dumps", PluginID="mkdir")),
    ("get", "acl/tokens", None),
    ("put", "acl/token", {"Name": "test-more", "Type": "management"}),
    ("put", "acl/policy/test-more", {"Name": "test-more", "Rules": 'agent { policy = "write" }'}),
    ("put", "namespace/test-more", {"Name": "test-more"}),
    ("get", "operator/scheduler/configuration", None),
    ("get", "operator/snapshot", None),
    ("get", "agent/self", None),
    ("put", "system/gc", None),
]


@pytest.mark.parametrize("request_", ALLOWED, ids=lambda request: f"{request[0]} {request[1]}")
def test_provisioner_may(provisioner: NomadClient, request_: Request) -> None:
    send(provisioner, request_)


@pytest.mark.parametrize("request_", REFUSED, ids=lambda request: f"{request[0]} {request[1]}")
def test_provisioner_may_not(provisioner: NomadClient, request_: Request) -> None:
    with pytest.raises(NomadDenied):
        send(provisioner, request_)


def test_provisioner_creates_and_deletes_volumes(provisioner: NomadClient) -> None:
    made = provisioner.endpoint("volume/host/create").put(json=host_volume(PluginID="mkdir"))
    send(provisioner, ("delete", f"volume/host/{made['Volume']['ID']}/delete?{HERE}", None))


def test_reaper_ends_what_others_made(reaper: NomadClient, provisioner: NomadClient) -> None:
    for request in [variable("databases/test"), variable("nomad/jobs/test"), variable("pool/test")]:
        send(provisioner, request)
    send(provisioner, ("put", f"jobs?{HERE}", job(NAMESPACE)))
    made = provisioner.endpoint("volume/host/create").put(json=host_volume(PluginID="mkdir"))
    volume = f"volume/host/{made['Volume']['ID']}/delete?{HERE}"
    may: list[Request] = [
        ("get", f"jobs?{HERE}&meta=true", None),
        ("get", f"vars?{HERE}", None),
        ("get", f"var/databases/test?{HERE}", None),
        ("get", f"var/pool/test?{HERE}", None),
        ("get", f"var/nomad/jobs/test?{HERE}", None),
        variable("databases/test"),
        ("get", "nodes", None),
        ("delete", f"job/test?{HERE}", None),
        ("delete", f"job/test?purge=true&{HERE}", None),
        ("get", f"volumes?type=host&{HERE}", None),
        ("delete", volume, None),
        *(("delete", f"var/{path}/test?{HERE}", None) for path in ("databases", "nomad/jobs", "pool")),
    ]
    for request in may:
        send(reaper, request)


REAPER_REFUSED: list[Request] = [
    ("put", f"jobs?{HERE}", job(NAMESPACE)),
    ("put", f"job/test/plan?{HERE}", job(NAMESPACE)),
    ("put", f"job/test/dispatch?{HERE}", {}),
    ("put", "jobs?namespace=platform", job("platform")),
    ("delete", "job/traefik?namespace=platform", None),
    ("delete", "job/traefik?namespace=platform&purge=true", None),
    ("get", "var/nomad/jobs/traefik?namespace=platform", None),
    ("get", f"var/other/test?{HERE}", None),
    variable("pool/test"),
    variable("other/test"),
    ("put", "volume/host/create", host_volume(PluginID="mkdir")),
    ("put", "volume/host/register", host_volume(HostPath="/etc")),
    ("get", "acl/tokens", None),
    ("get", "agent/self", None),
    ("put", "system/gc", None),
]


@pytest.mark.parametrize("request_", REAPER_REFUSED, ids=lambda request: f"{request[0]} {request[1]}")
def test_reaper_may_not(reaper: NomadClient, request_: Request) -> None:
    with pytest.raises(NomadDenied):
        send(reaper, request_)


def test_reader_lists_without_secrets(reader: NomadClient, provisioner: NomadClient) -> None:
    send(provisioner, variable("databases/secret"))
    assert [item["Path"] for item in reader.endpoint("vars").get(namespace=NAMESPACE, prefix="databases/")] == ["databases/secret"]
    reader.endpoint("jobs").get(namespace=NAMESPACE)
    refusals: list[Request] = [
        ("get", f"var/databases/secret?{HERE}", None),
        ("put", f"jobs?{HERE}", job(NAMESPACE)),
        ("put", "volume/host/create", host_volume(PluginID="mkdir")),
    ]
    for refused in refusals:
        with pytest.raises(NomadDenied):
            send(reader, refused)


def test_nobody_sees_nothing(connection: dict[str, Any], namespace: str) -> None:
    nobody = NomadClient(connection | {"nomad_token": None, "nomad_token_file": None})
    for path in ("jobs", "nodes", "services", "agent/self"):
        with pytest.raises(NomadDenied):
            nobody.endpoint(path).get(namespace=namespace)
