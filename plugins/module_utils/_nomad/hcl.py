# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Job specifications in HCL, with values for their variables."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient

FILE = re.compile(r'\bfile\("([\w.-]+)"\)')
# A line that is only a comment, in a shell script (except its first line, #!) or in SQL.
COMMENT = re.compile(r"^[ \t]*(?:#(?!!)|-- ).*\n", re.MULTILINE)


def to_hcl(value: Any) -> str:
    """Return a value as an HCL literal. Text that HCL would take for a template is escaped.

    HCL's literals are those of JSON, except for templates, for surrogate pairs (so characters are written as they are), and for two
    escapes that HCL does not know. https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md
    """
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    text = re.sub(r"\\.", lambda escape: {r"\b": r"\u0008", r"\f": r"\u000c"}.get(escape[0], escape[0]), text)
    return text.replace("${", "$${").replace("%{", "%%{")


def variables_file(variables: Mapping[str, Any]) -> str:
    """Return the variables as the text of a file for `nomad job run -var-file`."""
    return "".join(f"{name} = {to_hcl(value)}\n" for name, value in sorted(variables.items()))


def read_variables(text: str) -> dict[str, Any]:
    """Read the text that variables_file() wrote. Lines that somebody else wrote in another form are ignored."""
    found = {}
    # A JSON value never has a line feed in it, but it may have other characters that str.splitlines() takes for the end of a line.
    for line in text.split("\n"):
        name, _equals, literal = line.partition(" = ")
        with suppress(ValueError):
            found[name] = json.loads(literal.replace("$${", "${").replace("%%{", "%{"))
    return found


def job_text(path: str | Path) -> str:
    """Return a job file's HCL. Each file("NAME") is replaced with the contents of that file, which lies beside the job file.

    `nomad job run` reads such files itself, but Nomad's API does not. Comments in the files are left out, because Nomad keeps six
    versions of every job in memory.
    """
    job = Path(path)

    def contents(named: re.Match[str]) -> str:
        return to_hcl(COMMENT.sub("", (job.parent / named[1]).read_text(encoding="utf-8")))

    return FILE.sub(contents, job.read_text(encoding="utf-8"))


def parse_job(
    client: NomadClient, hcl: str, variables: Mapping[str, Any] | None = None, namespace: str | None = None
) -> dict[str, Any]:
    """Let Nomad parse the job. https://developer.hashicorp.com/nomad/api-docs/jobs#parse-job"""
    body = {"JobHCL": hcl, "Canonicalize": True, "Variables": variables_file(variables or {})}
    return dict(client.endpoint("jobs/parse").post(json=body, namespace=namespace))
