# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The common parts of the modules for lists of simple objects (namespaces, policies, variables ...)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.errors import BatchFailed


@dataclass
class Change:
    """One object before and after the change. None means that it does not exist. If both are equal, there is nothing to do."""

    name: str
    before: Any
    after: Any
    details: dict[str, Any] = field(default_factory=dict)
    failed: str = ""

    @property
    def changed(self) -> bool:
        return bool(self.before != self.after)

    @property
    def action(self) -> str:
        if not self.changed:
            return "unchanged"
        if self.before is None:
            return "created"
        return "removed" if self.after is None else "updated"

    def result(self) -> dict[str, Any]:
        failed = {"failed": True, "msg": self.failed} if self.failed else {}
        return {"name": self.name, "changed": self.changed, "action": self.action} | self.details | failed

    def diff(self) -> dict[str, str]:
        def text(value: Any) -> str:
            return "" if value is None else json.dumps(value, indent=2, sort_keys=True) + "\n"

        header = {"before_header": self.name, "after_header": self.name}
        return {"before": text(self.before), "after": text(self.after)} | header


def apply(client: NomadClient, changes: Sequence[Change], write: Callable[[Change], Any]) -> None:
    """Write all changes, several at once. A failure is noted in its change."""
    for outcome in client.map(write, [change for change in changes if change.changed]):
        if outcome.error:
            outcome.item.failed = str(outcome.error)


def result(client: NomadClient, key: str, changes: Sequence[Change]) -> dict[str, Any]:
    """Return the module's result, or raise BatchFailed with the result if something failed."""
    outcome = {
        "changed": any(change.changed and not change.failed for change in changes),
        key: [change.result() for change in changes],
        "diff": [change.diff() for change in changes if change.changed],
        "api_calls": client.api_calls,
    }
    failed = [f"{change.name}: {change.failed}" if len(changes) > 1 else change.failed for change in changes if change.failed]
    if failed:
        count = f"{len(failed)} of {len(changes)} {key} failed: " if len(changes) > 1 else ""
        raise BatchFailed(count + "; ".join(failed[:10]), **outcome)
    return outcome
