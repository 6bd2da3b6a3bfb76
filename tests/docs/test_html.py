# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`make docs` warns of nothing; its pages load nothing from other servers, and links within the site lead somewhere."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
# What a browser fetches by itself, and from where a reader may go.
FETCHED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("object", "data")}


class Page(HTMLParser):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.fetched: set[str] = set()
        self.classes: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.ids.add(value)
            elif name == "class":
                self.classes.update((value or "").split())
            elif tag == "a" and name == "href" and value:
                self.links.add(value)
            elif (tag, name) in FETCHED and value:
                self.fetched.add(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("docs")
    done = subprocess.run([ROOT / "scripts" / "docs", target], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)
    return target / "html"


read = cache(Page)


def test_every_page_is_there(site: Path) -> None:
    for source in [*ROOT.glob("docs/[!R]*.md"), *ROOT.glob("docs/verbs/*.md"), *ROOT.glob("roles/*/README.md")]:
        assert (site / source.relative_to(ROOT).with_suffix(".html")).exists(), source
    for module in ROOT.glob("plugins/modules/*.py"):
        assert (site / "reference" / f"{module.stem}_module.html").exists(), module
    for role in (ROOT / "roles").iterdir():
        assert (site / "reference" / f"{role.name}_role.html").exists(), role


def test_nothing_went_wrong_without_a_word(site: Path) -> None:
    """Neither what Sphinx could not make sense of, nor lists of contents, which the theme shows as errors."""
    for path in site.rglob("*.html"):
        assert not read(path).classes & {"problematic", "system-message", "contents"}, path


def test_nothing_is_fetched_from_other_servers(site: Path) -> None:
    for path in site.rglob("*.html"):
        assert [url for url in read(path).fetched if urlsplit(url).netloc] == [], path
    for path in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^)'\"]+", path.read_text()) == [], path


def test_links_within_the_site(site: Path) -> None:
    broken = []
    for path in site.rglob("*.html"):
        for link in read(path).links | read(path).fetched:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists() or (parts.fragment and target.suffix == ".html" and parts.fragment not in read(target).ids):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []
