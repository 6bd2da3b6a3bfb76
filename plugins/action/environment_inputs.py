# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

from ansible import constants, context
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from ansible_collections.infinite.databases.plugins.plugin_utils import inputs

ROLES = Path(__file__).resolve().parents[2] / "roles"
# Variables that name the environment by themselves.
NAMED = ("environment_name", "nomad_address")


class ActionModule(ActionBase):  # type: ignore[misc]
    """Only reads, so check mode does the same."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        given = load_extra_vars(self._loader)
        for problem in (self._inventory(task_vars or {}, given), self._extra_variables(given)):
            if problem:
                raise AnsibleActionFail(problem)
        return {"changed": False}

    def _inventory(self, task_vars: dict[str, Any], given: dict[str, Any]) -> str:
        hosts = task_vars["groups"]["all"]
        named = {name for name in NAMED if given.get(name)} | ({"NOMAD_ADDR"} if os.environ.get("NOMAD_ADDR") else set())
        variables = named or ({} if hosts else self._inventory_variables())
        return inputs.inventory_problem(task_vars["ansible_inventory_sources"], hosts, variables)

    def _extra_variables(self, given: dict[str, Any]) -> str:
        play = Path(self._task.get_play().get_path().rpartition(":")[0]).resolve()
        playbooks = inputs.own_playbooks(context.CLIARGS["args"], play)
        # AWX accepts only answers that its survey asks for, and adds variables of earlier jobs in a workflow (set_stats).
        if not playbooks or not inputs.AWX_JOB.isdisjoint(given):
            return ""
        taken = list(dict.fromkeys(name for path in playbooks for name in inputs.inputs_of(path.read_text(encoding="utf-8"))))
        names = ", ".join(path.name for path in playbooks)
        # Mostly, the playbooks take all of the variables. The roles and the inventory are read only if some are left.
        if not inputs.extra_variables_problem(given, taken, (), names):
            return ""
        return inputs.extra_variables_problem(given, taken, inputs.role_variables(ROLES) | self._inventory_variables(), names)

    def _inventory_variables(self) -> set[str]:
        """Return all variables that the inventory and its group_vars set for any host."""
        manager = copy.copy(self._task.get_variable_manager())
        manager._extra_vars = {}
        hosts = {"localhost", *manager._inventory.hosts}
        found = {
            name for host in hosts for name in manager.get_vars(host=manager._inventory.get_host(host), include_hostvars=False)
        }
        return {name for name in found if name not in constants.INTERNAL_STATIC_VARS and not name.startswith("ansible_")}
