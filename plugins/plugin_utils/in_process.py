# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs modules that only call APIs in Ansible's own process. A module's process takes half a second, this a fiftieth of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.infinite.databases.plugins.module_utils._nomad.servers import Servers
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec
from ansible_collections.infinite.databases.plugins.module_utils.waiting import Waiting


def say(text: str) -> None:
    """Show the text on standard error, because a shell may read standard output as an answer."""
    display = Display()
    if not Waiting.columns:
        display.display(text, stderr=True)
        return
    # Return to the beginning of the line, erase the line, and write what fits. The cursor stays on the line.
    display.display(f"\r\033[K{text[: Waiting.columns - 1]}", stderr=True, screen_only=True, newline=False)
    if text:
        display.display(text, log_only=True)


# Options that variables may give. Options that hold a secret itself are not among them.
CONNECTION = ("nomad_address", "nomad_token_file", "nomad_ca_cert")


def connection(
    options: Mapping[str, Any], given: Mapping[str, Any], variables: Mapping[str, Any], template: Callable[[Any], Any]
) -> dict[str, Any]:
    """Return connection options that the task does not give, from the variables of the same names. Empty variables are ignored."""
    # If the task gives a token itself, no file is added, because a file would win.
    taken = set(given) | ({"nomad_token_file"} if "nomad_token" in given else set())
    said = {name: template(variables[name]) for name in CONNECTION if name in options and name not in taken and name in variables}
    return {name: value for name, value in said.items() if value not in (None, "", [])}


# The directory belongs to this run, and is removed at its end.
Servers.memory = Path(constants.DEFAULT_LOCAL_TMP) / "nomad-server"


class InProcessAction(ActionBase):  # type: ignore[misc]
    """Runs the ModuleSpec that the task's module imports as SPEC."""

    @cached_property
    def module(self) -> str:
        """The module's full name, such as infinite.databases.nomad_job."""
        return str(self._task.resolved_action or self._task.action)

    @cached_property
    def spec(self) -> ModuleSpec:
        collection, _dot, name = self.module.rpartition(".")
        found: ModuleSpec = importlib.import_module(f"ansible_collections.{collection}.plugins.modules.{name}").SPEC
        return found

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        args = self._task.args
        self._task.args = args | connection(self.spec.argument_spec, args, task_vars or {}, self._templar.template)
        if not self._may_run_here():
            return dict(self._execute_module(module_name=self.module, task_vars=task_vars))
        validation = ArgumentSpecValidator(dict(self.spec.argument_spec), **self.spec.rules()).validate(self._task.args)
        secrets = {str(secret) for secret in validation._no_log_values}
        if validation.error_messages:
            unknown = "Unsupported parameters: " if validation.unsupported_parameters else ""
            message = f"{self.module}: {unknown}{'; '.join(validation.error_messages)}"
            raise AnsibleActionFail(remove_values(message, secrets))
        params = validation.validated_parameters
        Waiting.say = say
        result = self.execute(params) | self.spec.invocation(params)
        return dict(remove_values(result, secrets))

    def execute(self, params: dict[str, Any]) -> dict[str, Any]:
        return self.spec.execute(params, bool(self._task.check_mode))

    def _may_run_here(self) -> bool:
        """Return whether a module's process would run as the same user, on the same machine, with the same environment."""
        return (
            self._connection.transport == "local"
            and not (self._connection.become or self._play_context.become)
            and not any(self._task.environment or [])
            and not self._task.async_val
        )
