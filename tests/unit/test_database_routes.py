# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which service registrations are whose."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database.routes import hosts, sort_out


def registration(job: str, alloc: str) -> dict[str, Any]:
    return {"JobID": job, "AllocID": alloc}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (None, []),
        (["traefik.enable=true", "node=1"], []),
        (["traefik.http.routers.page.rule=Host(`status.example`)"], []),
        (["traefik.tcp.routers.mydb.rule=HostSNI(`mydb.example`)"], ["mydb.example"]),
        (["Traefik.TCP.Routers.mydb.Rule=HostSNI(`b`) || HostSNI(`a`)"], ["a", "b"]),
        (["traefik.tcp.routers.all.rule=HostSNIRegexp(`.*`)"], [".*"]),
        (["traefik.tcp.routers.all.rule=ClientIP(127.0.0.1)"], ["ClientIP(127.0.0.1)"]),
    ],
)
def test_hosts(tags: list[str] | None, expected: list[str]) -> None:
    assert hosts(tags) == expected


def test_each_its_own() -> None:
    found = [registration("a", "a1"), registration("b", "b1")]
    assert sort_out(found, {"a": ["a1"], "b": ["b1"]}) == ([], [], [])


def test_foreign_stale_and_missing() -> None:
    found = [registration("a", "a1"), registration("a", "a2"), registration("impostor", "i1")]
    foreign, stale, missing = sort_out(found, {"a": ["a2"], "b": ["b1"], "stopped": []})
    assert foreign == [registration("impostor", "i1")]
    assert stale == [registration("a", "a1")]
    assert missing == ["b"]


def test_a_server_out_of_touch_keeps_its_registration() -> None:
    assert sort_out([registration("a", "a1")], {"a": []}) == ([], [], [])
