# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make the clone importable as ansible_collections.infinite.databases, as `make setup` does for Ansible."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
COLLECTIONS = REPOSITORY / ".ansible" / "collections"

link = COLLECTIONS / "ansible_collections" / "infinite" / "databases"
if not link.exists():
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(Path("..", "..", "..", ".."))
sys.path.insert(0, str(COLLECTIONS))
# Where the package ansible is installed, it has a regular package of this name, which would hide ours.
package = importlib.import_module("ansible_collections")
package.__path__ = [str(COLLECTIONS / "ansible_collections"), *package.__path__]
