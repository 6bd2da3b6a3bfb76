# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How Nomad is reached, where a task does not say it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC
from ansible_collections.infinite.databases.plugins.plugin_utils.in_process import CONNECTION, connection


@pytest.mark.parametrize(
    ("given", "variables", "said"),
    [
        ({}, {"nomad_address": "https://a:4646", "other": 1}, {"nomad_address": "https://a:4646"}),
        ({"nomad_address": "http://b"}, {"nomad_address": "x", "nomad_ca_cert": "/c"}, {"nomad_ca_cert": "/c"}),
        ({}, {"nomad_token_file": "", "nomad_ca_cert": None}, {}),
        ({}, {"nomad_token": "secret", "nomad_namespace": "x", "workers": 3}, {}),
        ({"nomad_token": "secret"}, {"nomad_token_file": "/t", "nomad_ca_cert": "/c"}, {"nomad_ca_cert": "/c"}),
        ({}, {}, {}),
    ],
)
def test_what_a_task_does_not_say(given: dict[str, Any], variables: dict[str, Any], said: dict[str, Any]) -> None:
    assert connection(CONNECTION_SPEC, given, variables, lambda value: value) == said


def test_variables_are_templates_and_modules_differ() -> None:
    variables = dict.fromkeys(CONNECTION, "{{ x }}")
    assert connection(CONNECTION_SPEC, {}, variables, lambda value: value.replace("{{ x }}", "y")) == dict.fromkeys(CONNECTION, "y")
    assert connection({"names": {}}, {}, variables, lambda value: value) == {}, "a module that does not ask Nomad"
