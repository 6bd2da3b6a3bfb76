# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_job
short_description: Run, stop and remove Nomad jobs
version_added: 0.1.0
description:
  - Registers a job or a list of jobs, from HCL or a structure. Can also stop or remove jobs.
  - Asks Nomad itself what would change (Nomad's C(/plan)). A job is registered only if the plan shows a difference and nobody has
    changed the job meanwhile (check-and-set).
  - Parses and plans all jobs, several at once, before the first job is changed. If one job is invalid, nothing is changed.
  - Waits for all jobs at once. If a job fails, the message has the last events and log lines of its allocation.
extends_documentation_fragment:
  - infinite.databases.nomad
attributes:
  check_mode:
    support: full
    description: Reports what Nomad plans to do.
  diff_mode:
    support: full
    description: Shows Nomad's own plan, without what is unchanged.
  idempotent:
    support: full
    description: If Nomad sees no difference, the job is not registered again.
options:
  job:
    description:
      - The specification, as HCL (C(lookup('template', 'job.nomad.hcl'))), JSON or a structure as in Nomad's JSON API.
      - Not needed to stop or remove a job.
    type: raw
  variables:
    description: Values for the variables that the HCL declares. The values are escaped, so nothing in them is taken for HCL.
    type: dict
  id:
    description: The job's id. Needed only without O(job). With O(job), it must be the id in the specification.
    type: str
  namespace:
    description: The job's namespace. The default is the specification's namespace, or else O(nomad_namespace).
    type: str
  state:
    description:
      - V(present) runs the job, also if it was stopped.
      - V(stopped) stops the job; Nomad forgets a stopped job after some hours.
      - V(absent) stops the job and removes it at once.
    type: str
    choices: [present, stopped, absent]
    default: present
  jobs:
    description: Many jobs in one task. Always prefer this to a loop.
    type: list
    elements: dict
    suboptions:
      job:
        description: The specification. The default is O(job), for jobs that differ only in their variables.
        type: raw
      variables:
        description: The same as O(variables), for this job.
        type: dict
      id:
        description: The same as O(id), for this job.
        type: str
      namespace:
        description: The same as O(namespace), for this job.
        type: str
      state:
        description: The same as O(state), for this job. The default is O(state).
        type: str
        choices: [present, stopped, absent]
  wait:
    description:
      - Wait until the allocations are healthy (service), running (system) or complete (batch). With V(stopped) and V(absent), wait
        until the allocations have ended.
    type: bool
    default: true
  wait_timeout:
    description: >-
      Seconds after which a job that is not ready counts as failed. The job is not removed. Sixteen jobs at a time begin together
      and share this time.
    type: float
    default: 300
  report:
    description:
      - Report in the result which jobs failed, instead of failing. If a job cannot be planned, the others are changed all the same.
    type: bool
    default: false
  change_back:
    description:
      - Change a job back to the version that it had before, where O(wait) finds that its update failed.
      - That version has to have been healthy, and not stopped. Nomad's own C(auto_revert) acts only after the C(progress_deadline)
        of the job's C(update) block.
    type: bool
    default: false
  digest_service:
    description:
      - The name of the jobs' services. Each service gets a digest of the specification as a tag, C(infinite_digest=...). A job that
        runs with the digest of the wanted specification counts as unchanged and is not planned. If no job has to change, this takes
        two requests for any number of jobs.
      - The service has to be registered with Nomad (C(provider = "nomad")).
    type: str
  plan_all:
    description: Plan all jobs, even if the digest is right. This finds jobs that were changed by hand.
    type: bool
    default: false
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Run a job
  infinite.databases.nomad_job:
    job: "{{ lookup('ansible.builtin.template', 'web.nomad.hcl') }}"

- name: Run many jobs
  infinite.databases.nomad_job:
    jobs:
      - job: "{{ lookup('ansible.builtin.template', 'web.nomad.hcl') }}"
      - job: "{{ lookup('ansible.builtin.template', 'worker.nomad.hcl') }}"
    digest_service: web

- name: Stop one job and remove another
  infinite.databases.nomad_job:
    jobs:
      - id: web
        state: stopped
      - id: old
        state: absent
"""

RETURN = r"""
jobs:
  description: What was done to each job, in the order of the parameters; also in a failed result.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: The job's id.
      type: str
    namespace:
      description: The job's namespace.
      type: str
    state:
      description: The state that was asked for.
      type: str
    changed:
      description: Whether this job was changed.
      type: bool
    action:
      description: V(unchanged), V(registered), V(updated), V(stopped) or V(removed).
      type: str
    changes:
      description: The variables that an update changes, such as C(memory 64 -> 128).
      type: list
      elements: str
    restarts:
      description: Whether the change restarts the job's tasks.
      returned: if the job was planned
      type: bool
    eval_id:
      description: The evaluation that the change made.
      type: str
    job_modify_index:
      description: The index of the job's specification.
      type: int
    version:
      description: The job's version, if the module waited for the job.
      type: int
    unplaced:
      description: Groups that no node could take at the time of the plan.
      type: list
      elements: str
    warnings:
      description: Nomad's warnings about the specification.
      type: str
    msg:
      description: Why this job failed.
      type: str
    events:
      description: The last events of the task that failed.
      type: list
      elements: str
    log:
      description: The end of the failed task's log, if Nomad collects it.
      type: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: always
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._nomad.job import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
