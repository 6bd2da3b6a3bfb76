# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every link in every Markdown file leads to a file, and to a heading of it; those to other sites are well-formed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
LISTED = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, text=True)
PAGES = sorted(ROOT / line for line in LISTED.splitlines() if (ROOT / line).exists())


def tokens(page: Path) -> Iterator[Token]:
    for block in MarkdownIt("commonmark").enable("table").parse(page.read_text()):
        yield block
        yield from block.children or []


@cache
def anchors(page: Path) -> frozenset[str]:
    """A heading's anchor, as repository hosts and MyST make it; one of several equal ones gets a number."""
    found: list[str] = []
    blocks = MarkdownIt("commonmark").enable("table").parse(page.read_text())
    for block, inline in pairwise(blocks):
        if block.type == "heading_open":
            text = "".join(one.content for one in inline.children or [] if one.type in ("text", "code_inline"))
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            same = sum(re.fullmatch(rf"{re.escape(slug)}(-\d+)?", one) is not None for one in found)
            found.append(f"{slug}-{same}" if same else slug)
    return frozenset(found)


def broken(page: Path) -> Iterator[str]:
    for token in tokens(page):
        target = str(token.attrGet("href") or token.attrGet("src") or "")
        if not target:
            continue
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            if parts.scheme != "https" or "." not in parts.netloc or " " in unquote(target):
                yield f"{target}: no https:// address"
            continue
        path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not path.exists() or not path.is_relative_to(ROOT if page.is_relative_to(ROOT) else page.parent):
            yield f"{target}: there is no such file"
        elif parts.fragment and (path.suffix != ".md" or parts.fragment not in anchors(path)):
            yield f"{target}: there is no such heading"


def test_there_are_pages() -> None:
    assert {ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page: Path) -> None:
    assert list(broken(page)) == []


def test_what_is_broken_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `two`\n\n[a](#one-two) [b](#three) [c](none.md) [d](http://example.com) [e](https://example.com)\n")
    assert [found.partition(":")[0] for found in broken(page)] == ["#three", "none.md", "http"]
