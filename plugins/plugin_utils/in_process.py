# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a module that only talks to APIs in Ansible's own process: a module process costs half a second, this a fiftieth of it."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase

from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec


class InProcessAction(ActionBase):  # type: ignore[misc]
    """The base of the action plugins of such modules; each names its module's ModuleSpec."""

    spec: ClassVar[ModuleSpec]

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        name = self._task.resolved_action or self._task.action
        if not self._may_run_here():
            return dict(self._execute_module(module_name=name, task_vars=task_vars))
        validation = ArgumentSpecValidator(dict(self.spec.argument_spec), **self.spec.rules()).validate(self._task.args)
        secrets = {str(secret) for secret in validation._no_log_values}
        if validation.error_messages:
            unknown = "Unsupported parameters: " if validation.unsupported_parameters else ""
            message = f"{name}: {unknown}{'; '.join(validation.error_messages)}"
            raise AnsibleActionFail(remove_values(message, secrets))
        params = validation.validated_parameters
        result = self.execute(params) | self.spec.invocation(params)
        return dict(remove_values(result, secrets))

    def execute(self, params: dict[str, Any]) -> dict[str, Any]:
        return self.spec.execute(params, bool(self._task.check_mode))

    def _may_run_here(self) -> bool:
        """Only where a module process would run as the same user, on the same machine, with the same environment."""
        return (
            self._connection.transport == "local"
            and not (self._connection.become or self._play_context.become)
            and not any(self._task.environment or [])
            and not self._task.async_val
        )
