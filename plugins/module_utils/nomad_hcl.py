# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Job specifications in HCL, with values for their variables."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.nomad import NomadClient


def to_hcl(value: Any) -> str:
    """A value as an HCL literal; what HCL would take for a template in it is escaped.

    JSON is HCL's own literal syntax but for that, for surrogate pairs (hence the real characters), and for two escapes
    that HCL does not know. https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md
    """
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    text = re.sub(r"\\.", lambda escape: {r"\b": r"\u0008", r"\f": r"\u000c"}.get(escape[0], escape[0]), text)
    return text.replace("${", "$${").replace("%{", "%%{")


def variables_file(variables: Mapping[str, Any]) -> str:
    """The variables as `nomad job run -var-file` would read them."""
    return "".join(f"{name} = {to_hcl(value)}\n" for name, value in sorted(variables.items()))


def parse_job(
    client: NomadClient, hcl: str, variables: Mapping[str, Any] | None = None, namespace: str | None = None
) -> dict[str, Any]:
    """The job as Nomad understands it. https://developer.hashicorp.com/nomad/api-docs/jobs#parse-job"""
    body = {"JobHCL": hcl, "Canonicalize": True, "Variables": variables_file(variables or {})}
    return dict(client.endpoint("jobs/parse").post(json=body, namespace=namespace))
