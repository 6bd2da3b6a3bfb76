# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command `idb` turns what was typed into a run of the verb's playbook. bin/idb starts it; it needs only Python's own library.

verbs.py and keys.py define the verbs and options. The playbook, and not this command, checks values and converts their units, so
that all ways of giving a value have the same result.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # This makes the collection importable from any place, without Ansible's own finder, which takes half a second.
    for name, path in (
        ("ansible_collections", []),
        ("ansible_collections.infinite", []),
        ("ansible_collections.infinite.databases", [ROOT]),
    ):
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = [str(one) for one in path]

from ansible_collections.infinite.databases.plugins.module_utils._database.keys import SYNONYMS
from ansible_collections.infinite.databases.plugins.plugin_utils.verbs import VERBS, Option, Verb

WORD = re.compile(r"(\w+)=(.*)", re.DOTALL)
HELP = ("-h", "--help", "help")
PLAIN = "infinite.databases.plain"
EPILOG = """\
idb VERB --help shows the options of a verb. NAME=VALUE is the same as --NAME VALUE, and can also set a variable of the inventory.
Arguments after -- are passed to ansible-playbook (by `connect`, to psql).
Completion: eval "$(idb completion)" in ~/.bashrc; in zsh after `autoload -U bashcompinit && bashcompinit`.
"""
COMPLETION = """\
_idb() { COMPREPLY=($(compgen -W "$(idb --complete "${COMP_WORDS[@]:1:$((COMP_CWORD-1))}")" -- "${COMP_WORDS[COMP_CWORD]}")); }
complete -o default -F _idb idb
"""


def refuse(text: str) -> NoReturn:
    print(f"idb: {text}", file=sys.stderr)
    raise SystemExit(2)


def meant(word: str, known: Sequence[str], words: Mapping[str, str], sign: str = "") -> str:
    """Return, as the end of a sentence, what the user may have meant by an unknown word."""
    found = words.get(word) or next(iter(difflib.get_close_matches(word, known, 1)), "")
    return f"; did you mean {sign + found.replace('_', '-' if sign else '_')}?" if found in known else "."


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        refuse(message)


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def text_of(option: Option) -> str:
    new = "A new one without it" if option.key else "Without it"
    without = f" {new}: {option.without_it}." if option.without_it else ""
    return (option.meaning + without).replace("`", "").replace("%", "%%")


def parser_of(verb: str) -> Parser:
    """Return the parser of a verb. The values are strings; options that are not given are left out."""
    row = VERBS[verb]
    parser = Parser(
        usage=f"idb {verb} {row.placeholder} [--OPTION VALUE]...".replace("  ", " "),
        description=f"{row.meaning}.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32),
    )
    subject = text_of(row.all_options[row.subject]) if row.subject else argparse.SUPPRESS
    parser.add_argument("names", nargs="*", metavar=row.placeholder, help=subject)
    for one in row.all_options.values():
        if one.name == row.subject or not one.is_text:
            continue
        if one.flag:
            parser.add_argument(flag(one.name), dest=one.name, action=argparse.BooleanOptionalAction, help=text_of(one))
        elif one.between:
            # `--labels a=b,c=d`, or `--label a=b --label c=d`.
            spellings = (flag(one.name), flag(one.name.removesuffix("s")))
            parser.add_argument(*spellings, dest=one.name, action="append", metavar="VALUE", help=text_of(one))
        else:
            metavar = None if one.choices else one.unit or "VALUE"
            parser.add_argument(flag(one.name), dest=one.name, choices=one.choices or None, metavar=metavar, help=text_of(one))
    if "output" in row.all_options:
        parser.add_argument("--json", dest="output", action="store_const", const="json", help="The same as --output json.")
    if "confirm" in row.all_options:
        parser.add_argument("-y", "--yes", action="store_true", help="Erase without asking.")
    place = parser.add_argument_group("environment and run")
    place.add_argument("--environment", metavar="NAME", help="The environment's name, if it is not the inventory's.")
    place.add_argument("-i", "--inventory", action="append", metavar="PATH", help="The same as for ansible-playbook.")
    place.add_argument("-e", "--extra-vars", action="append", metavar="VARS", help="The same as for ansible-playbook.")
    place.add_argument("-C", "--check", action="store_true", help="Change nothing, and show what would be done.")
    place.add_argument("-D", "--diff", action="store_true", help="Show what differs.")
    place.add_argument("-v", "--verbose", action="count", help="Show Ansible's own output; -vvv: more of it.")
    return parser


@dataclass
class Run:
    """A run of a verb's playbook."""

    verb: str
    variables: dict[str, str] = field(default_factory=dict)
    # The arguments for ansible-playbook besides the variables, and the arguments after `--`.
    arguments: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)
    yes: bool = False

    @property
    def shows_ansible(self) -> bool:
        return any(re.match(r"-v+$|--verbose$", one) for one in (*self.arguments, *self.rest))

    def playbook(self, verb: str) -> list[str]:
        """Return the command for a playbook: in a clone by the file's path, in an installed collection by the playbook's name."""
        found = str(ROOT / "playbooks" / f"{verb}.yml") if (ROOT / "ansible.cfg").exists() else f"infinite.databases.{verb}"
        told = ["-e", unsafe(self.variables)] if self.variables else []
        # The playbook asks for the environment's name, which only the playbook knows. So the answer is a template.
        confirmed = ["-e", json.dumps({"confirm": "{{ environment_name }}"})] if self.yes else []
        return ["ansible-playbook", found, *told, *confirmed, *self.arguments]


def unsafe(variables: Mapping[str, str]) -> str:
    """Return the argument of `-e`. Each value is plain text and never a template."""
    return "{" + ", ".join(f"{json.dumps(name)}: !unsafe {quoted(value)}" for name, value in variables.items()) + "}"


def quoted(text: str) -> str:
    """Return a YAML string in double quotes. It is the same as in JSON, except for characters that YAML escapes in another way."""
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in json.dumps(text, ensure_ascii=False))


def parse(verb: str, typed: Sequence[str]) -> dict[str, Any]:
    """Return the values that the verb's parser found, or exit with a message."""
    # `--memory_max` is accepted for `--memory-max`.
    typed = [re.sub(r"^--[a-z_]+", lambda name: name[0].replace("_", "-"), one) for one in typed]
    parsed, unknown = parser_of(verb).parse_known_intermixed_args(typed)
    if unknown:
        name, subject = unknown[0].partition("=")[0], VERBS[verb].subject
        if subject and name == f"--{subject}":
            refuse(f"{verb} takes the value without {name}: idb {verb} {VERBS[verb].placeholder}")
        known = [one.name for one in VERBS[verb].all_options.values() if one.is_text]
        near = meant(name.lstrip("-").replace("-", "_"), known, SYNONYMS, "--")
        refuse(f"{verb} takes no {name}{near} `idb {verb} --help` lists all")
    return vars(parsed)


def ansible_arguments(given: dict[str, Any]) -> list[str]:
    """Take the options of ansible-playbook out of ``given``, and return them as its arguments."""
    return [
        *(word for one in given.pop("inventory", []) for word in ("-i", one)),
        *(word for one in given.pop("extra_vars", []) for word in ("-e", one)),
        *(f"--{name}" for name in ("check", "diff") if given.pop(name, False)),
        *("-" + "v" * count for count in [given.pop("verbose", 0)] if count),
    ]


def understand(words: Sequence[str]) -> Run:
    """Return the run that was typed, or exit with a message."""
    at = words.index("--") if "--" in words else len(words)
    verb, typed, rest = words[0] if at else "", words[1:at], list(words[at + 1 :])
    if verb not in VERBS:
        synonyms = {word: name for name, row in VERBS.items() for word in row.words}
        refuse(f"there is no verb {verb!r}{meant(verb, list(VERBS), synonyms)} `idb --help` lists all")
    row, given = VERBS[verb], parse(verb, typed)
    positional = given.pop("names", [])
    variables = {found[1]: found[2] for one in positional if (found := WORD.fullmatch(one))}
    names = [one for one in positional if not WORD.fullmatch(one)]
    if names and not row.subject:
        refuse(f"{verb} takes no name of a database, but {' '.join(names)} was given")
    if len(names) > 1 and not row.several:
        refuse(f"{verb} takes one name at a time, but {' '.join(names)} were given")
    if names:
        variables[row.subject] = ",".join(names)
    if environment := given.pop("environment", ""):
        variables["environment_name"] = environment
    run = Run(verb, variables, ansible_arguments(given), rest, given.pop("yes", False))
    # What is left are the verb's own options.
    for name, value in given.items():
        joined = row.all_options[name].between.join(value) if isinstance(value, list) else value
        variables[name] = str(joined).lower() if isinstance(value, bool) else joined
    if row.needs and variables.keys().isdisjoint(row.needs) and "-e" not in [*run.arguments, *rest]:
        labels = ", or --labels KEY=VALUE" if "labels" in row.needs else ""
        refuse(f"which database{'s' if row.several else ''}? idb {verb} NAME{labels}")
    return run


def surroundings(run: Run, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables for ansible-playbook.

    Only the answer is shown, unless Ansible's own output was asked for. A clone's ansible.cfg is used if there is no other.
    """
    found = dict(environ)
    if not run.shows_ansible:
        found["ANSIBLE_STDOUT_CALLBACK"] = PLAIN
    own = ROOT / "ansible.cfg"
    others = (Path("ansible.cfg"), Path.home() / ".ansible.cfg")
    if own.exists() and "ANSIBLE_CONFIG" not in environ and not any(one.exists() for one in others):
        found["ANSIBLE_CONFIG"] = str(own)
    return found


def missing(program: str) -> NoReturn:
    how = "install PostgreSQL's client programs" if program == "psql" else "in a clone `make setup` installs it"
    refuse(f"there is no {program} on the PATH: {how}")


def start(command: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Replace this process with the command, so that exit codes and signals are the command's own."""
    try:
        os.execvpe(command[0], list(command), dict(environ))  # noqa: S606, no shell is needed
    except FileNotFoundError:
        missing(command[0])


def connect(run: Run) -> NoReturn:
    """Run psql with the variables that the verb `env` prints, so that the password is in no argument.

    This is not a playbook, because Ansible gives a task no terminal.
    """
    environ = surroundings(run, os.environ) | {"ANSIBLE_STDOUT_CALLBACK": PLAIN}
    try:
        done = subprocess.run(run.playbook("env"), env=environ, stdout=subprocess.PIPE, text=True, check=False)
    except FileNotFoundError:
        missing("ansible-playbook")
    if done.returncode:
        raise SystemExit(done.returncode)
    lines = dict(line.split("=", 1) for line in done.stdout.splitlines() if WORD.fullmatch(line))
    start(["psql", *run.rest], os.environ | lines)


def give_stream(run: Run) -> None:
    """Give the verb this process's standard output or input as its file.

    Ansible writes to its standard output, too, and its workers have neither stream. So the stream gets another descriptor, which
    the workers inherit, and what Ansible says goes to standard error.
    """
    writes = VERBS[run.verb].stream == "w"
    stream, sign, what = (1, ">", "writes") if writes else (0, "<", "reads")
    if os.isatty(stream):
        refuse(f"{run.verb} {what} a dump, and a terminal is no place for one: idb {run.verb} NAME {sign} FILE, or --file FILE")
    try:
        descriptor = os.dup(stream)
    except OSError:
        refuse(f"{run.verb} {what} a dump, and that stream is closed: idb {run.verb} NAME {sign} FILE, or --file FILE")
    os.set_inheritable(descriptor, True)
    run.variables["file"] = f"/dev/fd/{descriptor}"
    if writes:
        os.dup2(sys.stderr.fileno(), stream)


def overview() -> str:
    rows = [(f"{verb} {row.placeholder}", row.meaning) for verb, row in VERBS.items()]
    return (
        "usage: idb VERB [NAME] [--OPTION VALUE]...\n\n" + "".join(f"  {left:20} {right}\n" for left, right in rows) + f"\n{EPILOG}"
    )


def completions(words: Sequence[str]) -> list[str]:
    """Return the words that may follow these words."""
    if not words:
        return [*VERBS, "help", "completion"]
    row: Verb | None = VERBS.get(words[0])
    if row is None:
        return list(VERBS) if words[0] == "help" else []
    last = row.all_options.get(words[-1].lstrip("-").replace("-", "_"))
    if words[-1].startswith("--") and last and not last.flag:
        return list(last.choices)
    actions: list[Any] = parser_of(words[0])._actions
    spellings = [one for action in actions for one in action.option_strings if one.startswith("--") and "_" not in one]
    return [one for one in spellings if one not in words]


def main(words: Sequence[str]) -> None:
    if words[:1] == ["--complete"]:
        print("\n".join(completions(words[1:])))
    elif words[:1] == ["completion"]:
        print(COMPLETION, end="")
    elif not words or (words[0] in HELP and (len(words) == 1 or words[1] not in VERBS)):
        print(overview(), end="")
    else:
        run = understand([words[1], "--help"] if words[0] == "help" else words)
        if run.verb == "connect":
            connect(run)
        if VERBS[run.verb].stream and not run.variables.get("file"):
            give_stream(run)
        start([*run.playbook(run.verb), *run.rest], surroundings(run, os.environ))


if __name__ == "__main__":
    main(sys.argv[1:])
