# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""docs/reference.md has each role, module and plugin for playbooks, once."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_all_are_there_once() -> None:
    links = Counter(re.findall(r"\]\(\.\./([^)]+)\)", (ROOT / "docs" / "reference.md").read_text()))
    files = [*ROOT.glob("plugins/modules/*.py"), *ROOT.glob("plugins/lookup/*.py"), *ROOT.glob("plugins/callback/*.py")]
    for role in (ROOT / "roles").iterdir():
        files += [role / "README.md", role / "meta" / "argument_specs.yml"]
    assert links == Counter(str(path.relative_to(ROOT)) for path in files)
