# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The jobs in the parameters of nomad_job."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.hcl import variables_file
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import JobKey
from ansible_collections.infinite.databases.plugins.module_utils.errors import InfiniteError, InvalidInput

ITEM_SPEC: dict[str, dict[str, Any]] = {
    "job": {"type": "raw"},
    "variables": {"type": "dict"},
    "id": {"type": "str"},
    "namespace": {"type": "str"},
}


@dataclass
class Item:
    """One job: what was asked for, what is planned, and what was done."""

    state: str
    source: Any
    id: str
    namespace: str
    variables: dict[str, Any] = field(default_factory=dict)
    digest: str = ""
    spec: dict[str, Any] | None = None
    action: str = "unchanged"
    settled: bool = False
    # Whether this is a system job that has the right specification, but has failed for good on some node.
    failed_for_good: bool = False
    enforce: int = 0
    diff: dict[str, str] | None = None
    details: dict[str, Any] = field(default_factory=dict)
    error: InfiniteError | None = None

    @property
    def name_in_messages(self) -> str:
        """The name of an item whose specification could not be read."""
        text = " ".join(str(self.source).split())
        return text if len(text) < 40 else f"{text[:40]}..."

    @property
    def key(self) -> JobKey:
        return self.namespace, self.id

    def result(self) -> dict[str, Any]:
        failed = {"failed": True, "msg": str(self.error)} if self.error else {}
        identity = {"id": self.id, "namespace": self.namespace, "state": self.state}
        return identity | {"changed": self.action != "unchanged", "action": self.action} | self.details | failed


def digest_of(source: Any, variables: dict[str, Any], namespace: str) -> str:
    """Return the digest. The namespace is a part of it: the same specification in another namespace is another job."""
    text = source if isinstance(source, str) else json.dumps(source, sort_keys=True)
    return hashlib.sha256(f"{namespace}\n{variables_file(variables)}\n{text}".encode()).hexdigest()


def specification(given: Any, number: int) -> Any:
    """Return HCL as text, and JSON or a structure as a structure."""
    if isinstance(given, str) and given.lstrip().startswith("{"):
        try:
            given = json.loads(given)
        except ValueError as error:
            raise InvalidInput(f"Job {number}: its specification looks like JSON but is not ({error})") from None
    if isinstance(given, dict):
        return given.get("Job", given)
    if given is not None and not isinstance(given, str):
        raise InvalidInput(f"Job {number}: its specification must be HCL, JSON or a structure, not {type(given).__name__}")
    return given


def items_of(params: dict[str, Any], namespace: str) -> list[Item]:
    """Return the jobs in the parameters."""
    given = params["jobs"] if params.get("jobs") is not None else [params]
    items = []
    for number, entry in enumerate(given):
        source = specification(entry.get("job") or params.get("job"), number)
        item = Item(entry.get("state") or params["state"], source, entry.get("id") or "", entry.get("namespace") or "")
        if isinstance(source, dict):
            item.id = item.id or source.get("ID") or source.get("Name") or ""
            item.namespace = item.namespace or source.get("Namespace") or namespace
        item.variables = entry.get("variables") or {}
        if not source and item.state == "present":
            raise InvalidInput(f"Job {item.id or number}: state present needs its specification; give job")
        if not source and not item.id:
            raise InvalidInput(f"Job {number}: give its id or its specification (job)")
        if params.get("digest_service") and source:
            item.digest = digest_of(source, item.variables, item.namespace or namespace)
        items.append(item)
    return items
