# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measures the figures of docs/performance.md. The modules are those of this clone, which `make setup` has linked."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

COLLECTIONS = Path(__file__).resolve().parents[1] / ".ansible" / "collections"

sys.path.insert(0, str(COLLECTIONS))
# The package ansible also contains a package of this name, which would hide ours.
package = importlib.import_module("ansible_collections")
package.__path__ = [str(COLLECTIONS / "ansible_collections"), *package.__path__]
