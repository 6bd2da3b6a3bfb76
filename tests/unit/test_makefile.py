# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What make would run, run by its shell with another idb and ansible-playbook: they tell their arguments."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.infinite.databases.plugins.plugin_utils.verbs import VERBS

ROOT = Path(__file__).resolve().parents[2]
TELL = """
bin/idb() { printf '%s\\0' idb "$@"; }
ansible-playbook() { printf '%s\\0' ansible-playbook "$@"; }
scripts/environment-ready() { true; }
"""


def would_run(*arguments: str) -> list[str]:
    # Whoever runs the tests by make has given it other arguments.
    environ = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    dry = ["make", "--dry-run", "--assume-old=.venv/.ready", *arguments]
    recipe = subprocess.run(dry, cwd=ROOT, env=environ, capture_output=True, text=True, check=True).stdout
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail"], input=TELL + recipe, env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout.split("\0")[:-1]


@pytest.mark.parametrize(
    ("arguments", "words", "rest"),
    [
        (["provision", "db=x", "memory=512", "port=6432"], {"db=x", "memory=512"}, []),
        (["provision", "mem=512"], {"mem=512"}, []),
        (["provision", "db=x", """args=-e '{"ttl": "2h"}' --check"""], {"db=x"}, ["-e", '{"ttl": "2h"}', "--check"]),
        (["logs", "db=x", "lines=3"], {"db=x", "lines=3"}, []),
        (["list", "args=-vvv --diff"], set(), ["-vvv", "--diff"]),
        (["-s", "url", "db=x", "role=ro"], {"db=x", "role=ro"}, []),
        (["purge", "labels=a=b,c=d", "confirm=local"], {"labels=a=b,c=d", "confirm=local"}, []),
        (["destroy", """db=$(shell id) $HOME `id` 'q' "p" \\"""], {"""db=$(shell id) $HOME `id` 'q' "p" \\"""}, []),
        (["connect", "db=x", """args=-c 'select '\\''it'\\'', $$a, $(x)'"""], {"db=x"}, ["-c", "select 'it', $$a, $(x)"]),
        (["preview", "pr=a'b"], {"pr=a'b"}, []),
    ],
)
def test_every_key_is_a_word_of_idb(arguments: list[str], words: set[str], rest: list[str]) -> None:
    command, verb, *given = would_run(*arguments)
    assert (command, verb) == ("idb", next(one for one in arguments if one in VERBS))
    at = given.index("--") if "--" in given else len(given)
    assert (set(given[:at]), given[at + 1 :]) == (words, rest)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_its_target(verb: str) -> None:
    assert would_run(verb, "db=x") == ["idb", verb, "db=x"]


def test_what_is_no_verb() -> None:
    assert would_run("down") == ["ansible-playbook", "playbooks/local_down.yml"]
    assert would_run("up", "port=6432") == ["ansible-playbook", "playbooks/local_up.yml", "site.yml", "-e", "environment_port=6432"]
