# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The figures of docs/performance.md. They use the clone's own modules, where `make setup` has linked it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

COLLECTIONS = Path(__file__).resolve().parents[1] / ".ansible" / "collections"

sys.path.insert(0, str(COLLECTIONS))
# Where the package ansible is installed, it has a regular package of this name, which would hide ours.
package = importlib.import_module("ansible_collections")
package.__path__ = [str(COLLECTIONS / "ansible_collections"), *package.__path__]
