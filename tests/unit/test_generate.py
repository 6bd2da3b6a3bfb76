# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What scripts/generate writes is what stands there, and the registries say what playbooks and the role's argument_specs say."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from ansible_collections.infinite.databases.plugins.module_utils._database.keys import KEYS, OPTIONS, SYNONYMS
from ansible_collections.infinite.databases.plugins.plugin_utils.inputs import inputs_of
from ansible_collections.infinite.databases.plugins.plugin_utils.verbs import VERBS

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "generate"
PLAYBOOKS = {path.stem: path for path in (ROOT / "playbooks").glob("*.yml")}
RUN = [verb for verb in VERBS if verb != "connect"]
# `database_log_lines: "{{ lines | default(50, true) }}"`
GIVEN = re.compile(r"\{\{-?\s*\(?(\w+) \| (?:ansible\.builtin\.)?(default|mandatory)\(")


def load() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("generate", str(SCRIPT))
    spec = importlib.util.spec_from_loader("generate", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


script = load()


def stale(root: Path) -> list[str]:
    done = subprocess.run([root / "scripts" / "generate", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == bool(done.stdout), done.stderr
    return done.stdout.splitlines()


def test_what_is_generated_is_what_stands_there() -> None:
    assert stale(ROOT) == [], "run scripts/generate"


def test_one_more_key_or_option_is_noticed(tmp_path: Path) -> None:
    """The test above fails then: a copy of the repository with a key and an option more."""
    for name in ("README.md", "awx", "bin", "docs", "playbooks", "plugins", "roles", "scripts"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    assert stale(tmp_path) == []
    verbs = tmp_path / "plugins/plugin_utils/verbs.py"
    verbs.write_text(verbs.read_text().replace('Option("lines", ', 'Option("since", "From when."), Option("lines", '))
    assert set(stale(tmp_path)) == {"docs/verbs/logs.md", "docs/reuse.md", "awx/vars/verbs.yml"}
    keys = tmp_path / "plugins/module_utils/_database/keys.py"
    keys.write_text(
        keys.read_text().replace('    "ttl": Key(', '    "colour": Key(check_name, "What it looks like."),\n    "ttl": Key(')
    )
    pages = {"docs/verbs/logs.md", "docs/verbs/provision.md", "docs/verbs/preview.md", "docs/verbs/restore.md"}
    assert set(stale(tmp_path)) == pages | set(script.BLOCKS) - {"docs/verbs/README.md"} | {"awx/vars/verbs.yml"}
    subprocess.run([tmp_path / "scripts" / "generate"], check=True)
    assert stale(tmp_path) == []
    assert "| `colour` | What it looks like. | |" in (tmp_path / "README.md").read_text()


def called(verb: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the playbook gives to its last role, and that role's specified options."""
    (play,) = yaml.safe_load(PLAYBOOKS[verb].read_text())
    task = play["tasks"][-1]
    role = next(value for key, value in task.items() if key.endswith(("import_role", "include_role")))
    path = ROOT / "roles" / role["name"].rpartition(".")[2] / "meta" / "argument_specs.yml"
    specs = yaml.safe_load(path.read_text())["argument_specs"]
    return task.get("vars") or {}, specs.get(role.get("tasks_from", "main"), {}).get("options", {})


def test_every_verb_is_a_playbook() -> None:
    """A verb talks to the environment's APIs only, and so learns how to reach it. What sets up environments is none."""
    verbs = {name for name, path in PLAYBOOKS.items() if "tasks_from: connection\n" in path.read_text()} - {"site"}
    assert set(RUN) == verbs


@pytest.mark.parametrize("verb", RUN)
def test_the_registry_says_what_the_playbook_takes(verb: str) -> None:
    row = VERBS[verb]
    text = PLAYBOOKS[verb].read_text()
    assert yaml.safe_load(text)[0]["name"] == row.meaning
    assert set(inputs_of(text)) == set(row.all_options)
    assert [one.name for one in row.all_options.values() if not one.meaning.endswith(".")] == []
    needed = {found[1] for found in GIVEN.finditer(text) if found[2] == "mandatory"}
    assert needed == (set(row.needs) if len(row.needs) == 1 else set())
    _usage, paragraphs = script.comment(verb)
    assert paragraphs, "say what it does in the comment at the top"


@pytest.mark.parametrize("verb", RUN)
def test_the_registry_says_what_the_roles_argument_specs_say(verb: str) -> None:
    given, specified = called(verb)
    options = VERBS[verb].all_options
    for variable, text in given.items():
        assert variable in specified, "not in the role's argument_specs"
        if not (found := GIVEN.search(str(text))):
            continue
        option, rules = options[found[1]], specified[variable]
        assert tuple(rules.get("choices", ())) == option.choices, option.name
        assert (rules["type"] == "bool") == option.flag, option.name
        if rules["type"] in ("int", "str") and not option.environment:
            assert str(rules.get("default", "")) == option.default, option.name
        if option.default and not option.choices:
            assert f"default({option.default!r}, true)" in text or f"default({option.default}, true)" in text


def test_what_stays_in_the_repositorys_root() -> None:
    wrappers = {path.stem for path in ROOT.glob("*.yml") if "import_playbook" in path.read_text()}
    assert wrappers == {"provision", "site"}


def test_words_mean_one_thing() -> None:
    assert not set(SYNONYMS) & set(KEYS)
    assert len(SYNONYMS) == sum(len(key.words) for key in KEYS.values())
    spoken = [word for row in VERBS.values() for word in row.words]
    assert len(set(spoken)) == len(spoken)
    assert not set(spoken) & set(VERBS)


def test_what_the_role_reads() -> None:
    read = yaml.safe_load((ROOT / "roles/database/vars/main.yml").read_text())
    assert read["__database_keys"] == list(OPTIONS)
    assert read["__database_own_defaults"] == {name: key.default for name, key in KEYS.items() if key.default is not None}


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


@pytest.mark.parametrize(
    ("verb", "usage", "by_idb"),
    [
        ("logs", "-e db=mydb [-e lines=100]", "idb logs mydb [--lines 100]"),
        ("stop", "-e db=a,b,c", "idb stop a b c"),
        ("destroy", "-e db=mydb -e purge=true", "idb destroy mydb --purge"),
        ("info", "-e db=mydb [-e output=json]", "idb info mydb [--json]"),
        ("drift", "-e fail_if_differs=true --check", "idb drift --fail-if-differs --check"),
    ],
)
def test_usage_is_told_as_idb_takes_it(verb: str, usage: str, by_idb: str) -> None:
    found = script.USAGE.fullmatch(usage)
    assert [line for line, _does in script.commands(verb, [found], True)] == [by_idb]
    assert script.commands(verb, [found], False)[0][0] == f"ansible-playbook playbooks/{verb}.yml {usage}"
