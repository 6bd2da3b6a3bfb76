# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""That Nomad reads our HCL values as what they are."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.hcl import parse_job

JOB = """
variable "texts" { type = list(string) }
variable "meta" { type = map(string) }
job "x" {
  meta = var.meta
  group "x" {
    task "x" {
      driver = "docker"
      config {
        args = var.texts
      }
    }
  }
}
"""
TRICKY = [
    "${env}",
    "$${env}",
    "$$${env}",
    "%{if true}x%{endif}",
    "%%{",
    "{{ env }}",
    '"',
    "\\",
    "\\n",
    "\n",
    "\0",
    "\x7f",
    "\u2028",
    "🐘",
    "e\u0301",
]


def read_back(client: NomadClient, texts: list[str], meta: dict[str, str]) -> tuple[Any, Any]:
    job = parse_job(client, JOB, {"texts": texts, "meta": meta})
    return job["TaskGroups"][0]["Tasks"][0]["Config"]["args"], job["Meta"]


def normal(text: str) -> str:
    """HCL normalises all text: https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md#literal-values"""
    return unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("text", TRICKY, ids=ascii)
def test_tricky(client: NomadClient, text: str) -> None:
    assert read_back(client, [text], {"key": text}) == ([normal(text)], {"key": normal(text)})


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text() | st.lists(st.sampled_from(TRICKY)).map("".join), min_size=1, max_size=8))
def test_any_text_round_trips(client: NomadClient, texts: list[str]) -> None:
    meta = {f"k{place}": text for place, text in enumerate(texts)}
    assert read_back(client, texts, meta) == ([*map(normal, texts)], {key: normal(text) for key, text in meta.items()})
