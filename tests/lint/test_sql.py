# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PostgreSQL's own parser reads the SQL in scripts. To shellcheck and ruff, this SQL is text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pglast
import pytest
from pglast import ast
from pglast.visitors import Visitor

ROOT = Path(__file__).parents[2]
# A here-document named SQL; an argument in quotes, of psql or of the function `ask`; a constant in Python.
SQL = re.compile(
    r"""<<'SQL'.*\n((?:.*\n)*?)SQL$"""
    r"""|(?:(?<!grep)(?<!sh) -\w*c|\bask) "((?!\$)[^"]*)\""""
    r"""|(?:(?<!grep)(?<!sh) -\w*c|\bask) '([^']*)'"""
    r'''|^[A-Z_]+ = """\\?\n((?=\s*(?i:select|alter)\b)[^"]*)"""''',
    re.MULTILINE,
)
SOURCES = ("roles/*/files/*.sh", "roles/*/files/*.py", "plugins/module_utils/_*/*.py")
SCRIPTS = sorted(path for source in SOURCES for path in ROOT.glob(source) if SQL.search(path.read_text()))
PSQL = (
    # A line that is psql's alone, and a command that sends what is before it.
    (re.compile(r"^\\\\?\w.*$", re.MULTILINE), ""),
    (re.compile(r"\\\\?g.*$", re.MULTILINE), ";"),
    (re.compile(r":('\w+'|\"\w+\")"), r"\1"),
)


class Formats(Visitor):
    """Collects the statements that format() makes, as far as they are known: %s may stand for anything."""

    def __init__(self) -> None:
        self.found: list[tuple[int, str]] = []

    def visit_FuncCall(self, _ancestors: object, node: Any) -> None:
        made = getattr(node.args[0], "val", None) if node.args else None
        if node.funcname[-1].sval == "format" and isinstance(made, ast.String) and made.sval and "%s" not in made.sval:
            self.found.append((node.location, made.sval.replace("%I", "x").replace("%L", "'x'")))


def problems(script: str) -> Iterator[str]:
    """Yield the line and the message of each error."""
    for found in SQL.finditer(script):
        text = found[found.lastindex or 0]
        for pattern, instead in PSQL:
            text = pattern.sub(instead, text)
        at = 0
        try:
            visitor = Formats()
            visitor(pglast.parse_sql(text))
            if "$do$" in text:
                pglast.parse_plpgsql(text)
            for at, statement in visitor.found:  # noqa: B007, the line of an error
                pglast.parse_sql(statement)
        except pglast.parser.ParseError as error:
            message, location = error.args
            # An error in PL/pgSQL, or at the end, has no place. The line is then the first of this SQL.
            before = script[: found.start(found.lastindex or 0)] + text[: (at or location or 0)]
            line = before.count("\n") + 1
            yield f"{line}: {message}"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_sql(path: Path) -> None:
    assert list(problems(path.read_text())) == []


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("psql <<'SQL'\n\\set a b\nSELECT 1 \\gexec\n\nSELEC 2;\nSQL\n", ['5: syntax error at or near "SELEC"']),
        ("x=$(ask \"\n SELECT 'a' FROM '$b'\")", ["2: syntax error at or near \"'$b'\""]),
        ("psql -XAtc 'SELECT (1'", ["1: syntax error at end of input"]),
        ('READ = """\nSELECT 1 FROM\n"""\n', ["2: syntax error at end of input"]),
        ("<<'SQL'\nDO $do$\nBEGIN\n    SELEC 1;\nEND\n$do$;\nSQL\n", ['2: syntax error at or near "SELEC"']),
        ("<<'SQL'\nSELECT format('ALTER ROL %I', a)\n  FROM b \\gexec\nSQL\n", ['2: syntax error at or near "ROL"']),
    ],
)
def test_an_error_is_found(script: str, found: list[str]) -> None:
    assert list(problems(script)) == found
