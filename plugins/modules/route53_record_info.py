# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: route53_record_info
short_description: List the records of a Route53 hosted zone, and their owners
version_added: 0.1.0
description:
  - Lists the records of a zone, of a sub-domain, or of some names, with as few requests as possible.
extends_documentation_fragment:
  - infinite.databases.aws
attributes:
  check_mode:
    support: full
    description: Reads only.
  diff_mode:
    support: none
    description: Changes nothing.
  idempotent:
    support: full
    description: Reads only.
options:
  zone:
    description: The hosted zone, by its name or its id.
    type: str
    required: true
  private_zone:
    description: With a name in O(zone), look for a private zone instead of a public one.
    type: bool
    default: false
  vpc_id:
    description: The VPC that the private zone is attached to, if several private zones have the same name.
    type: str
  names:
    description: Only records of these names. Names without a record are not in the result.
    type: list
    elements: str
  domain:
    description: Only records of this domain and below it. The default is the whole zone.
    type: str
  types:
    description: Only records of these types.
    type: list
    elements: str
  owner:
    description: Only records that have this owner's mark; V("") for records without a mark.
    type: str
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: List the records of an environment
  infinite.databases.route53_record_info:
    zone: example.com
    domain: db.example.com
    owner: production
  register: dns

- name: Show the records
  ansible.builtin.debug:
    msg: "{{ item.name }} {{ item['values'] | join(' ') }}"
  loop: "{{ dns.records }}"
"""

RETURN = r"""
records:
  description: The records, with the keys of M(infinite.databases.route53_record). Marks are left out.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
    type:
      description: The type.
      type: str
    ttl:
      description: The TTL; null for an alias.
      type: int
    values:
      description: The values as Route53 has them. In a template, write C(record['values']); C(record.values) is a method.
      type: list
      elements: str
    alias:
      description: The target of an alias, C(hosted_zone_id), C(dns_name) and C(evaluate_target_health).
      type: dict
    owner:
      description: The owner in the record's mark, or an empty string.
      type: str
    routing_policy:
      description: Whether the record has a routing policy, such as weighted; M(infinite.databases.route53_record) skips it.
      type: bool
zone_id:
  description: The zone's id.
  returned: success
  type: str
zone_name:
  description: The zone's name.
  returned: success
  type: str
api_calls:
  description: How many requests were sent to Route53 (C(list); C(write) and C(wait) are always 0).
  returned: success
  type: dict
"""

from ansible_collections.infinite.databases.plugins.module_utils._route53.record_info import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
