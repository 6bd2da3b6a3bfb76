# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The form of all modules of this collection: apart from its documentation, a module is an argument spec and a function.

A module runs in a process of its own (main) or in Ansible's process (plugin_utils/in_process.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.errors import InfiniteError


def with_defaults(argument_spec: Mapping[str, Mapping[str, Any]], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a module's parameters, with defaults, for a call from another part of this collection."""
    return {option: rules.get("default") for option, rules in argument_spec.items()} | dict(params)


@dataclass(frozen=True)
class ModuleSpec:
    """``run(params, check_mode)`` returns the module's result or raises InfiniteError."""

    argument_spec: Mapping[str, Mapping[str, Any]]
    run: Callable[[dict[str, Any], bool], dict[str, Any]]
    mutually_exclusive: Sequence[Sequence[str]] = field(default=())
    required_together: Sequence[Sequence[str]] = field(default=())
    required_one_of: Sequence[Sequence[str]] = field(default=())
    required_if: Sequence[Sequence[Any]] = field(default=())
    required_by: Mapping[str, Any] = field(default_factory=dict)
    # Whether the parameters hold secrets that the result may have to contain. With no_log, Ansible would mask every string in the
    # result that resembles a secret, even a name that is a part of one. So the parameters are never shown instead.
    hide_parameters: bool = False

    def rules(self) -> dict[str, Any]:
        """Return the constraints between options, for ArgumentSpecValidator and AnsibleModule."""
        return {
            "mutually_exclusive": self.mutually_exclusive,
            "required_together": self.required_together,
            "required_one_of": self.required_one_of,
            "required_if": self.required_if,
            "required_by": self.required_by,
        }

    def execute(self, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
        """Run the module and return its result. Only here, our errors become failed results of Ansible."""
        try:
            return {"changed": False} | self.run(params, check_mode)
        except InfiniteError as error:
            return {"changed": False} | error.result | {"failed": True, "msg": str(error)}

    def invocation(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return the part of the result that shows the parameters."""
        return {"invocation": {"module_args": {} if self.hide_parameters else params}}

    def main(self) -> None:
        """Run as a module's process."""
        from ansible.module_utils.basic import AnsibleModule

        module = AnsibleModule(
            argument_spec=dict(self.argument_spec),
            supports_check_mode=True,
            no_log=self.hide_parameters,
            **self.rules(),
        )
        result = self.execute(module.params, module.check_mode) | self.invocation(module.params)
        if result.pop("failed", False):
            module.fail_json(**result)
        module.exit_json(**result)
