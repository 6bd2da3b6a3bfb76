# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_job
short_description: Run, stop and remove Nomad jobs
version_added: 0.1.0
description:
  - Registers a job, or a list of jobs, from HCL or a structure; stops or removes them.
  - What would change is asked of Nomad itself (its C(/plan)), and a job is registered only if that shows a difference and
    nobody has changed the job meanwhile (check-and-set).
  - All jobs are parsed and planned before the first of them is changed, several at once; if one is invalid, nothing is changed.
  - Waits for all jobs at once. If one fails, the message has its allocation's last events and log lines.
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
    description: A job that Nomad sees no difference in is left alone.
options:
  job:
    description:
      - The specification, as HCL (C(lookup('template', 'job.nomad.hcl'))), JSON or a structure as in Nomad's JSON API.
      - Not needed to stop or remove a job.
    type: raw
  variables:
    description: Values for the variables that the HCL declares. They are escaped; nothing in them is taken for HCL.
    type: dict
  id:
    description: The job's id. Needed only without O(job); with it, it must be the same as the specification's.
    type: str
  namespace:
    description: The job's namespace. Default that of the specification, or else O(nomad_namespace).
    type: str
  state:
    description:
      - V(present) runs the job, again if it was stopped.
      - V(stopped) stops it; Nomad forgets a stopped job after some hours.
      - V(absent) stops it and forgets it at once.
    type: str
    choices: [present, stopped, absent]
    default: present
  jobs:
    description: Many jobs in one task. Always prefer this to a loop.
    type: list
    elements: dict
    suboptions:
      job:
        description: The specification. Default O(job), for jobs that differ in their variables only.
        type: raw
      variables:
        description: As O(variables).
        type: dict
      id:
        description: As O(id).
        type: str
      namespace:
        description: As O(namespace).
        type: str
      state:
        description: As O(state), which is its default.
        type: str
        choices: [present, stopped, absent]
  wait:
    description:
      - Wait until the allocations are healthy (service), running (system) or complete (batch); with V(stopped) and V(absent)
        until they have ended.
    type: bool
    default: true
  wait_timeout:
    description: Seconds for jobs that begin together, 16 at a time, after which a job that is not ready has failed. It stays.
    type: float
    default: 300
  digest_service:
    description:
      - The name of the jobs' services that get a digest of the specification as a tag, C(infinite_digest=...). A job that runs
        with the digest of what is asked for is unchanged without a plan, so that nothing to do costs two requests for any
        number of jobs.
      - The service has to be registered with Nomad (C(provider = "nomad")).
    type: str
  plan_all:
    description: Plan all jobs even where the digest is right, to find those that were changed behind our back.
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
  description: What became of each job, in the order of the parameters; also in a failed result.
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
      description: The job's version, if it was waited for.
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
      description: The end of that task's log, where Nomad collects it.
      type: str
api_calls:
  description: How many requests were sent to Nomad.
  returned: always
  type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils.nomad_job import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
