# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the command idb makes of what was typed: a playbook, its variables, and Ansible's own arguments."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.infinite.databases.plugins.plugin_utils import command
from ansible_collections.infinite.databases.plugins.plugin_utils.verbs import VERBS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("typed", "variables", "arguments"),
    [
        ("provision mydb --memory 512 --version 17", {"db": "mydb", "memory": "512", "version": "17"}, []),
        ("provision --memory_max=1GB mydb", {"db": "mydb", "memory_max": "1GB"}, []),
        ("provision a b,c statement_timeout=5s", {"db": "a,b,c", "statement_timeout": "5s"}, []),
        ("provision mydb --protect", {"db": "mydb", "protect": "true"}, []),
        ("provision mydb --no-protect", {"db": "mydb", "protect": "false"}, []),
        ("provision mydb --setting a=1 --settings b=2", {"db": "mydb", "settings": "a=1\nb=2"}, []),
        ("provision mydb --ttl=", {"db": "mydb", "ttl": ""}, []),
        ("provision", {}, []),
        ("provision db=mydb nomad_address=https://n:4646", {"db": "mydb", "nomad_address": "https://n:4646"}, []),
        ("list --label team=web --label tier=dev --json", {"labels": "team=web,tier=dev", "output": "json"}, []),
        ("url mydb --role ro", {"db": "mydb", "role": "ro"}, []),
        ("logs mydb --follow --lines 3 -vv", {"db": "mydb", "follow": "true", "lines": "3"}, ["-vv"]),
        ("stop --check a -D b", {"db": "a,b"}, ["--check", "--diff"]),
        ("stop labels=a=b", {"labels": "a=b"}, []),
        ("list -i one -i two --environment prod", {"environment_name": "prod"}, ["-i", "one", "-i", "two"]),
        ("stop -e @file.yml", {}, ["-e", "@file.yml"]),
        ("preview 123 --from mydb", {"pr": "123", "from": "mydb"}, []),
        ("preview", {}, []),
    ],
)
def test_understood(typed: str, variables: dict[str, str], arguments: list[str]) -> None:
    run = command.understand(typed.split())
    assert (run.verb, run.variables, run.arguments) == (typed.split(maxsplit=1)[0], variables, arguments)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("provison mydb", "there is no verb 'provison'; did you mean provision?"),
        ("create mydb", "there is no verb 'create'; did you mean provision?"),
        ("delete mydb", "did you mean destroy?"),
        ("pg_dump mydb", "did you mean dump?"),
        ("provision mydb --memry 512", "provision takes no --memry; did you mean --memory?"),
        ("provision mydb --ram=512", "provision takes no --ram; did you mean --memory?"),
        ("provision mydb --max_memory 512", "did you mean --memory-max?"),
        ("list --frobnicate", "list takes no --frobnicate. `idb list --help`"),
        ("url --db mydb", "url takes the value without --db: idb url NAME"),
        ("url mydb --role x", "invalid choice: 'x'"),
        ("url", "which database? idb url NAME"),
        ("stop --check", "which databases? idb stop NAME, or --labels KEY=VALUE"),
        ("url a b", "url takes one name at a time, but a b were given"),
        ("drift mydb", "drift takes no name of a database, but mydb was given"),
        ("logs mydb --lines", "expected one argument"),
    ],
)
def test_refused(typed: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        command.understand(typed.split())
    assert refused.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("idb: ")
    assert said in error
    assert error.count("\n") == 1


class Loader(yaml.SafeLoader):
    """As Ansible reads what -e says."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))  # type: ignore[arg-type]


@given(st.dictionaries(st.from_regex(r"[a-z_]+", fullmatch=True), st.text(st.characters(codec="utf-8"))))
def test_values_arrive_as_they_were_typed(variables: dict[str, str]) -> None:
    assert yaml.load(command.unsafe(variables), Loader=Loader) == variables  # noqa: S506, of our own making


def test_what_is_run() -> None:
    run = command.understand(["purge", "mydb", "--yes", "--", "--forks", "3"])
    name, playbook, flag, told, confirm, template = run.playbook(run.verb)
    assert (name, Path(playbook), flag, confirm) == ("ansible-playbook", command.ROOT / "playbooks/purge.yml", "-e", "-e")
    assert told == '{"db": !unsafe "mydb"}'
    # The only value that is a template: the environment's name is known to the playbook alone.
    assert json.loads(template) == {"confirm": "{{ environment_name }}"}
    assert run.rest == ["--forks", "3"]


def test_an_installed_collection_runs_by_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "ROOT", tmp_path)
    assert command.understand(["list"]).playbook("list") == ["ansible-playbook", "infinite.databases.list"]


def test_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    quiet, loud = command.understand(["list"]), command.understand(["list", "--", "-v"])
    own = {"ANSIBLE_CONFIG": str(command.ROOT / "ansible.cfg")}
    plain = {"ANSIBLE_STDOUT_CALLBACK": "infinite.databases.plain"}
    assert command.surroundings(quiet, {"A": "b"}) == {"A": "b"} | plain | own
    assert command.surroundings(loud, {}) == own
    assert command.surroundings(quiet, {"ANSIBLE_CONFIG": "mine"}) == {"ANSIBLE_CONFIG": "mine"} | plain
    (tmp_path / "ansible.cfg").touch()
    assert command.surroundings(quiet, {}) == plain, "that of the directory is another's choice"


def test_completion() -> None:
    assert set(VERBS) < set(command.completions([]))
    assert command.completions(["url", "mydb", "--role"]) == ["owner", "rw", "ro"]
    offered = command.completions(["provision", "--memory"])
    assert "--memory" in command.completions(["provision"])
    assert "--statement-timeout" in command.completions(["provision", "mydb"])
    assert offered == [], "a number"
    script = command.COMPLETION + 'idb() { bin/idb "$@"; }; COMP_WORDS=(idb prov); COMP_CWORD=1; _idb; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "provision\n"


@pytest.mark.parametrize(
    ("program", "cure"),
    [("ansible-playbook", "in a clone `make setup` installs it"), ("psql", "install PostgreSQL's client programs")],
)
def test_a_missing_program(program: str, cure: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.start([program], {"PATH": "/nowhere"})
    assert capsys.readouterr().err == f"idb: there is no {program} on the PATH: {cure}\n"


def test_a_dump_goes_to_standard_output_alone(tmp_path: Path) -> None:
    """What ansible-playbook says goes to standard error, and the file is a descriptor that its workers inherit."""
    stand_in = tmp_path / "ansible-playbook"
    stand_in.write_text(
        "#!/usr/bin/env python3\nimport os, re, sys\nprint('said')\n"
        "file = int(re.search(r'/dev/fd/([0-9]+)', ' '.join(sys.argv))[1])\n"
        "os.write(file, b'dump') if 'dump' in sys.argv[1] else print(os.read(file, 9))\n"
    )
    stand_in.chmod(0o755)
    environ = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for verb, out, err in (("dump", b"dump", b"said\n"), ("load", b"said\nb'dump'\n", b"")):
        told = [sys.executable, str(ROOT / "plugins/plugin_utils/command.py"), verb, "mydb"]
        done = subprocess.run(told, cwd=tmp_path, env=environ, input=b"dump", capture_output=True, check=True)
        assert (done.stdout, done.stderr) == (out, err)


@pytest.mark.parametrize(("verb", "sign"), [("dump", ">"), ("load", "<")])
def test_a_terminal_is_no_place_for_a_dump(verb: str, sign: str) -> None:
    ours, theirs = pty.openpty()
    told = [sys.executable, str(ROOT / "plugins/plugin_utils/command.py"), verb, "mydb"]
    done = subprocess.run(told, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False)
    for descriptor in (ours, theirs):
        os.close(descriptor)
    assert done.returncode == 2
    assert f"a terminal is no place for one: idb {verb} NAME {sign} FILE" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["help", verb])
    assert ended.value.code == 0
    assert f"usage: idb {verb} " in capsys.readouterr().out


def test_it_is_the_playbook_then(tmp_path: Path) -> None:
    """From elsewhere, by a link, as in an installed collection: what it runs tells its arguments and has its exit code."""
    collection = tmp_path / "ansible_collections" / "infinite" / "databases"
    collection.mkdir(parents=True)
    for part in ("plugins", "bin"):
        subprocess.run(["cp", "-r", ROOT / part, collection], check=True)
    stand_in = tmp_path / "ansible-playbook"
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$IDB" "$ANSIBLE_STDOUT_CALLBACK" "$@"\nexit 7\n')
    stand_in.chmod(0o755)
    (tmp_path / "idb").symlink_to(collection / "bin" / "idb")
    environ = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["idb", "stop", "mydb"], cwd="/", env=environ, capture_output=True, text=True, check=False)
    told = ["idb", "infinite.databases.plain", "infinite.databases.stop", "-e", '{"db": !unsafe "mydb"}']
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (7, told, "")
