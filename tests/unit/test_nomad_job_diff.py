# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of Nomad's plan is a difference."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._nomad import job_diff


def field(name: str, old: str, new: str, kind: str = "Edited") -> dict[str, str]:
    return {"Type": kind, "Name": name, "Old": old, "New": new}


def block(name: str, *fields: dict[str, str], kind: str = "Edited", **children: Any) -> dict[str, Any]:
    return {"Type": kind, "Name": name, "Fields": list(fields), **children}


CPU = block("Resources", field("CPU", "100", "200"), field("MemoryMB", "64", "64", "None"))


@pytest.mark.parametrize(
    ("given", "real"),
    [
        (block("job"), False),
        (block("job", field("Priority", "50", "50")), False),
        (block("job", field("Priority", "50", "60")), True),
        (block("job", field("X", "", "false", "Added")), False),
        (block("job", field("X", "0", "", "Deleted")), False),
        (block("job", Objects=[block("dns", kind="Added")]), False),
        (block("job", Objects=[block("Update", field("MaxParallel", "1", "1", "None"))]), False),
        (block("job", TaskGroups=[block("g", Tasks=[block("t", Objects=[CPU])])]), True),
        (
            block(
                "job",
                Objects=[
                    block("Constraint", field("LTarget", "", "a", "Added"), kind="Added"),
                    block("Constraint", field("LTarget", "a", "", "Deleted"), kind="Deleted"),
                ],
            ),
            False,
        ),
        (
            block(
                "job",
                Objects=[
                    block("Constraint", field("LTarget", "", "a", "Added"), kind="Added"),
                    block("Constraint", field("LTarget", "b", "", "Deleted"), kind="Deleted"),
                ],
            ),
            True,
        ),
    ],
)
def test_phantoms_are_no_difference(given: dict[str, Any], real: bool) -> None:
    assert (job_diff.normalise(given) is not None) is real


def test_text_shows_only_what_changes() -> None:
    node = job_diff.normalise(block("job", TaskGroups=[block("g", Tasks=[block("t", Objects=[CPU])])]))
    shown = job_diff.shown("web", node)
    assert shown["before"] == "group g {\n  task t {\n    Resources {\n      CPU = 100\n    }\n  }\n}\n"
    assert shown["after"] == shown["before"].replace("100", "200")


def test_a_new_block_is_only_on_the_new_side() -> None:
    added = block("Service", field("Name", "", "postgres", "Added"), kind="Added")
    shown = job_diff.shown("web", job_diff.normalise(block("job", Objects=[added])))
    assert shown["before"].strip() == ""
    assert shown["after"] == "Service {\n  Name = postgres\n}\n"


def test_digests_are_not_shown() -> None:
    """They are a difference, but nothing that a person reads."""
    tags = block("Tags", field("Tags", "infinite_digest=1", "infinite_digest=2"), field("Tags", "a=1", "a=2"))
    shown = job_diff.shown("web", job_diff.normalise(block("job", Objects=[tags])))
    assert (shown["before"], shown["after"]) == ("Tags {\n  Tags = a=1\n}\n", "Tags {\n  Tags = a=2\n}\n")


def test_values_are_shown_by_their_names() -> None:
    shown = job_diff.of_variables("web", {"memory": 64, "settings": {"jit": "off"}}, {"memory": 128, "settings": {"jit": "on"}})
    assert shown["before"] == 'memory = 64\nsettings.jit = "off"\n'
    assert shown["after"] == 'memory = 128\nsettings.jit = "on"\n'
