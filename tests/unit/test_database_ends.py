# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Databases that end while others provision them, and what is left of those that nobody knows any more."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database import confirm, details, orphans
from ansible_collections.infinite.databases.plugins.module_utils._database.claim import RENEWAL_SECONDS, revived_or_renewed
from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import META_VOLUME

RECORD: dict[str, Any] = {"volume": "v", "erasing": False, "destroyed": 0, "renewed": 0, "created_at": 1000, "spec": {"ttl": "1m"}}


@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        (None, "erased"),
        (RECORD, ""),
        (RECORD | {"volume": "other"}, "erased"),
        (RECORD | {"erasing": True}, "erasing"),
        (RECORD | {"erasing": True, "destroyed": 5}, "erasing"),
        (RECORD | {"destroyed": 5}, "destroyed"),
    ],
)
def test_what_became_of_it_meanwhile(record: dict[str, Any] | None, verdict: str) -> None:
    assert confirm.verdict(record, "v") == verdict


def test_what_a_run_notes() -> None:
    assert revived_or_renewed(RECORD, False, 5000) == {}
    assert revived_or_renewed(RECORD | {"destroyed": 7}, False, 5000) == {"destroyed": 0, "renewed": 5000}
    assert revived_or_renewed(RECORD, True, 1000 + RENEWAL_SECONDS - 1) == {}
    assert revived_or_renewed(RECORD, True, 1000 + RENEWAL_SECONDS) == {"renewed": 1000 + RENEWAL_SECONDS}
    assert revived_or_renewed(RECORD | {"renewed": 2000}, True, 2000) == {}
    assert revived_or_renewed({"name": "new", "created": True}, True, 5000) == {}


def test_a_ttl_counts_from_its_renewal() -> None:
    assert details.expiry(RECORD) == 1060
    assert details.expiry(RECORD | {"renewed": 3000}) == 3060
    assert details.due(RECORD | {"renewed": 3000}, 100, 3059) == ""
    assert details.due(RECORD | {"renewed": 3000}, 100, 3060) == "destroy"


def test_what_was_being_erased_is_due_at_once() -> None:
    assert details.due(RECORD | {"erasing": True}, 100, 0) == "erase"


def test_what_has_no_record() -> None:
    paths = ["databases/a", "nomad/jobs/a", "nomad/jobs/b", "nomad/jobs/_other", "pool/v", "nomad/jobs/c/group"]
    jobs: list[dict[str, Any]] = [{"ID": name, "Meta": {META_VOLUME: f"v-{name}"}} for name in ("a", "d")]
    jobs += [{"ID": "_pool-1", "Meta": {"infinite_pool_volumes": "x"}}, {"ID": "somebody-elses", "Meta": None}]
    assert orphans.without_record(paths, jobs) == (["b"], {"d": "v-d"})
