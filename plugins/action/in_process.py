# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action plugin of all modules that only call APIs. meta/runtime.yml routes the modules here."""

from __future__ import annotations

from ansible_collections.infinite.databases.plugins.plugin_utils.in_process import InProcessAction


class ActionModule(InProcessAction):
    """Runs the module that the task names."""
