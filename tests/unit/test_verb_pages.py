# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""docs/verbs/ is what scripts/verb-pages writes now, and leaves no verb and no variable out."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from ansible_collections.infinite.databases.plugins.module_utils.database_keys import KEYS

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "verb-pages"
PAGES = ROOT / "docs" / "verbs"


def load() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("verb_pages", str(SCRIPT))
    spec = importlib.util.spec_from_loader("verb_pages", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


script = load()
PLAYS = script.verbs()


def test_pages_are_what_the_script_writes(tmp_path: Path) -> None:
    subprocess.run([SCRIPT, tmp_path], check=True)
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_text() for path in PAGES.iterdir()}, "run scripts/verb-pages"


@pytest.mark.parametrize("verb", PLAYS)
def test_every_verb_is_complete(verb: str) -> None:
    (wrapper,) = yaml.safe_load((ROOT / f"{verb}.yml").read_text())
    assert wrapper["ansible.builtin.import_playbook"] == f"playbooks/{verb}.yml"
    assert f"[{verb}]({verb}.md)" in (PAGES / "README.md").read_text()
    assert re.search(rf"^{verb}: .*## ", (ROOT / "Makefile").read_text(), re.MULTILINE), f"make {verb}"
    _usage, paragraphs = script.comment(verb)
    assert paragraphs, "say what it does in the comment at the top"
    rows = script.variables(PLAYS[verb])
    assert [name for name, _without, meaning in rows if not meaning] == [], "not in the role's argument_specs"
    known = {name for name, _without, _meaning in rows}
    assert (PAGES / f"{verb}.md").read_text().count("\n| `") == len(rows) == len(known)


def test_every_wrapper_has_its_playbook() -> None:
    wrappers = {path.stem for path in ROOT.glob("*.yml") if "import_playbook" in path.read_text()}
    assert set(PLAYS) <= wrappers == {path.stem for path in (ROOT / "playbooks").glob("*.yml")}


def test_provision_tells_every_key() -> None:
    told = {name for name, _without, _meaning in script.variables(PLAYS["provision"])}
    assert told == {"databases", "db"} | set(KEYS) - {"name"}


def test_reuse_tells_every_plain_name() -> None:
    section = (ROOT / "docs" / "reuse.md").read_text().partition("## Plain names")[2]
    told = {name for item in re.findall(r"^- .*?: ((?:.|\n  )*)", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", item)}
    read = {name for verb in PLAYS for name, _without, _meaning in script.variables(PLAYS[verb])}
    # What teardown asks for, and the module defaults.
    others = {"confirm", "nomad_address", "nomad_ca_cert", "nomad_token_file"}
    assert told - {"provision"} == read | others


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-e db=mydb", ("", "-e db=mydb", None)),
        ("-e db=mydb [-e lines=100]    the end", ("", "-e db=mydb [-e lines=100]", "the end")),
        (
            "SOURCE_URL=postgresql://...  -e db=mydb   of one elsewhere",
            ("SOURCE_URL=postgresql://...  ", "-e db=mydb", "of one elsewhere"),
        ),
        ("-e '{\"databases\": [...]}'  these", ("", "-e '{\"databases\": [...]}'", "these")),
        ("[-e file=/a/b.c]: without it, show them", ("", "[-e file=/a/b.c]", "without it, show them")),
        ("-e db=mydb. It stays", ("", "-e db=mydb", "It stays")),
        ("(nothing)   all", ("", "(nothing)", "all")),
        ("-e is a template to Ansible", None),
        ("Besides: -e replace=true", None),
    ],
)
def test_what_is_usage(line: str, expected: tuple[str, str, str | None] | None) -> None:
    found = script.USAGE.fullmatch(line)
    assert (found and (found["set"], found["args"], found["does"])) == expected
