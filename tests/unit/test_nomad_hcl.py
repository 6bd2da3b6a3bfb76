# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values in HCL. That Nomad reads them so is an integration test."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.infinite.databases.plugins.module_utils._nomad.hcl import read_variables, to_hcl, variables_file


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", '"a"'),
        ("", '""'),
        (7, "7"),
        (1.5, "1.5"),
        (True, "true"),
        (None, "null"),
        (["a", 1], '["a", 1]'),
        ({"b": 1, "a": "x"}, '{"a": "x", "b": 1}'),
        ("${env}", '"$${env}"'),
        ("$${env}", '"$$${env}"'),
        ("%{if true}", '"%%{if true}"'),
        ("$env % {x}", '"$env % {x}"'),
        ('a "b" \\ c\n', '"a \\"b\\" \\\\ c\\n"'),
        ("\b\f \\b\\f", '"\\u0008\\u000c \\\\b\\\\f"'),
        ("ünïcödé 🐘", '"ünïcödé 🐘"'),
        ({"${k}": "${v}"}, '{"$${k}": "$${v}"}'),
    ],
)
def test_to_hcl(value: Any, expected: str) -> None:
    assert to_hcl(value) == expected


@given(st.text())
def test_no_string_leaves_its_quotes(text: str) -> None:
    literal = to_hcl(text)
    assert "\n" not in literal
    unescaped = literal.replace("$${", "${").replace("%%{", "%{")
    assert json.loads(unescaped) == text or "$${" in text or "%%{" in text


def test_variables_file() -> None:
    assert variables_file({}) == ""
    assert variables_file({"b": ["x"], "a": "${y}"}) == 'a = "$${y}"\nb = ["x"]\n'


NAMES = st.text("abc_", min_size=1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
)


@given(st.dictionaries(NAMES, JSON))
def test_what_was_written_can_be_read(variables: dict[str, Any]) -> None:
    assert read_variables(variables_file(variables)) == variables


def test_what_somebody_else_wrote_is_left_out() -> None:
    assert read_variables('a = "x"\nb = [\n  1,\n]\n# c\nd = 1\n') == {"a": "x", "d": 1}
