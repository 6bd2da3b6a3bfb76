# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Change a job back to the version that ran before an update failed.

Nomad's own auto_revert does that after the update's progress_deadline, ten minutes, and may go back to a stopped version.
https://developer.hashicorp.com/nomad/api-docs/jobs#revert-to-older-job-version
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_item import Item
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import wait_for
from ansible_collections.infinite.databases.plugins.module_utils.errors import JobFailed, NomadError

SETTLE_SECONDS = 20.0


def former(versions: Iterable[Mapping[str, Any]], failed: int) -> int | None:
    """The version to go back to: the one before the failed version, if that one was healthy and not stopped.

    None where there is none, and where the failed version is not the newest: somebody has changed the job since.
    """
    known = {int(one["Version"]): one for one in versions}
    before = known.get(failed - 1)
    if max(known, default=failed) != failed or not before or before["Stop"] or not before["Stable"]:
        return None
    return failed - 1


def change_back(client: NomadClient, items: Iterable[Item]) -> None:
    """Change back the jobs of those items whose update failed, and say so in the items' errors."""
    changed = []
    for item in items:
        if not item.error or item.action != "updated" or "version" not in item.details:
            continue
        failed = item.details["version"]
        try:
            found = client.job.get(item.id, "versions", namespace=item.namespace)["Versions"]
            if (version := former(found, failed)) is None:
                continue
            body = {"JobID": item.id, "JobVersion": version, "EnforcePriorVersion": failed}
            client.job.put(item.id, "revert", json=body, namespace=item.namespace)
        except NomadError as problem:
            item.error = JobFailed(f"{item.error}; it could not be changed back: {problem}")
        else:
            item.error = JobFailed(f"{item.error}; it was changed back to what it was before")
            changed.append(item.key)
    if changed:
        wait_for(client, changed, SETTLE_SECONDS)
