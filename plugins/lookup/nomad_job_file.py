# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: nomad_job_file
short_description: Read a Nomad job file and the files that it names
version_added: 0.1.0
description:
  - Returns a job file's HCL. Each C(file("NAME")) is replaced with the contents of that file, which lies beside the job file.
  - "C(nomad job run) reads such files itself, but Nomad's API does not:
    U(https://developer.hashicorp.com/nomad/docs/reference/hcl2/functions/file/file)."
  - Lines that are comments of a shell script or of SQL are left out of the files.
options:
  _terms:
    description: The job files' paths. They are searched for in the same places as by the lookup P(ansible.builtin.file#lookup).
    type: list
    elements: str
    required: true
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Run a job whose script is in a file of its own
  infinite.databases.nomad_job:
    job: "{{ lookup('infinite.databases.nomad_job_file', 'web.nomad.hcl') }}"
"""

RETURN = r"""
_list:
  description: The jobs' HCL.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.infinite.databases.plugins.module_utils._nomad.hcl import job_text


class LookupModule(LookupBase):  # type: ignore[misc]
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        try:
            return [job_text(self.find_file_in_search_path(variables, "files", term)) for term in terms]
        except OSError as error:
            raise AnsibleError(f"{error.filename}: {error.strerror}") from error
