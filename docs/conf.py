# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How Sphinx makes HTML of these pages. scripts/docs copies them to where this is run, with README.md as index.md."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

ROOT = Path(os.environ["INFINITE_ROOT"])
GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text())

BELOW = {"docs/verbs/README": "*", "docs/reference": "/roles/*/README\n/reference/index"}
# What the modules' pages refer to in Ansible's own documentation.
ANSIBLE = "https://docs.ansible.com/projects/ansible/latest/"
LABELS = {
    "action_plugins": "plugins/action.html#action-plugins",
    "common_return_values": "reference_appendices/common_return_values.html",
    "callback_plugins": "plugins/callback.html#callback-plugins",
    "ansible_configuration_settings": "reference_appendices/config.html",
}

project = "Infinite Databases"
author = copyright = ", ".join(GALAXY["authors"])
version = release = GALAXY["version"]
extensions = ["myst_parser", "sphinx_antsibull_ext"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
root_doc = "index"

myst_heading_anchors = 4

# Nothing comes from another server: Furo uses the system's fonts, and search runs in the browser.
html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["infinite.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
antsibull_ext_color_scheme = "default-autodark"


def toctree(entries: str, *options: str) -> str:
    return "\n".join(["\n```{toctree}", ":hidden:", *options, "", entries, "```\n"])


def add_contents(app: Sphinx, name: str, source: list[str]) -> None:
    """Add the navigation, so that the pages themselves stay plain Markdown."""
    if name.startswith("reference/"):
        # The theme has them at the side, and complains.
        source[0] = re.sub(r"^\.\. contents::\n(   :.*\n)*", "", source[0], flags=re.MULTILINE)
    if name in BELOW:
        source[0] += toctree(BELOW[name], ":glob:")
    if name != "index":
        return
    # docs/README.md has the order: headings, and under each a list of links. What it does not name comes last.
    pages = {page for page in app.env.found_docs if re.fullmatch(r"docs/[^/]+|docs/verbs/README", page)}
    for part in (ROOT / "docs" / "README.md").read_text().split("\n## ")[1:]:
        named = re.findall(r"^- \[(.+?)\]\((.+?)\.md\)", part, re.MULTILINE)
        source[0] += toctree("\n".join(f"{title} <docs/{page}>" for title, page in named), f":caption: {part.splitlines()[0]}")
        pages -= {f"docs/{page}" for _title, page in named}
    if pages:
        source[0] += toctree("\n".join(sorted(pages)), ":caption: More")
    source[0] += toctree("CHANGELOG\nCONTRIBUTING", ":caption: Take part")


def lead_to_the_repository(app: Sphinx, doctree: nodes.document) -> None:
    """A link to a plugin leads to its page, one to another file that is no page to that file in the repository."""
    for link in list(doctree.findall(pending_xref)):
        if link["reftype"] != "myst" or link["refdomain"]:
            continue
        here = app.env.docname
        path = os.path.normpath(Path("." if here == "index" else here).parent / link["reftarget"].partition("#")[0])
        page = re.sub(r"^plugins/(module|lookup|callback)s?/(\w+)\.py$", r"reference/\2_\1", path)
        page = re.sub(r"^roles/(\w+)/meta/argument_specs\.yml$", r"reference/\1_role", page)
        if page in app.env.found_docs:
            url = app.builder.get_relative_uri(here, page)
        elif (ROOT / path).exists():
            url = f"{GALAXY['repository']}/blob/main/{path}"
        else:
            continue
        link.replace_self(nodes.reference("", "", *link.children[0].children, refuri=url))


def lead_to_ansible(_app: Sphinx, _env: Any, link: pending_xref, content: nodes.Element) -> nodes.reference | None:
    """What is not ours is Ansible's: resolved without asking its servers for an inventory."""
    label = link["reftarget"]
    if plugin := re.fullmatch(r"ansible_collections\.(\w+)\.(\w+)\.(\w+)", label):
        page = "collections/{}/{}/{}.html".format(*plugin.groups())
    elif label in LABELS:
        page = LABELS[label]
    else:
        return None
    return nodes.reference("", "", content, refuri=ANSIBLE + page)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", add_contents)
    app.connect("doctree-read", lead_to_the_repository)
    app.connect("missing-reference", lead_to_ansible)
    return {"parallel_read_safe": True}
