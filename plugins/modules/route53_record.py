# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: route53_record
short_description: Manage records in a Route53 hosted zone, any number at once
version_added: 0.1.0
description:
  - Creates, changes and removes A, AAAA, CNAME, TXT and CAA records. Reads the zone once, writes in batches as large as
    Route53 allows (100 new records are one call), and waits for all batches at once.
  - If there is nothing to do, the module neither writes nor waits. It compares the meaning of names and values, not their spelling.
  - Can mark the records as its own (O(owner)), so that it never touches the records of others.
  - Records with a routing policy (weighted, latency, geolocation, failover ...) are never touched.
extends_documentation_fragment:
  - infinite.databases.aws
attributes:
  check_mode:
    support: full
    description: Reads and plans, but changes nothing.
  diff_mode:
    support: full
    description: Shows the records that change, with their marks and one line for each value.
  idempotent:
    support: full
    description: Records that are already as wanted are not written.
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
  records:
    description: The records. With O(state=absent), only name and type count.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - The full name. Case and a dot at the end do not matter; unusual characters may be written as octal escapes (C(\052)).
          - C(*) as the first label makes a wildcard.
        type: str
        required: true
      type:
        description: The record's type.
        type: str
        choices: [A, AAAA, CNAME, TXT, CAA]
        required: true
      values:
        description:
          - All values, in any order. Either this or O(records[].alias).
          - Text for V(TXT) is quoted, and split if it is longer than 255 characters. Text that begins with a quote counts as quoted
            already.
        type: list
        elements: str
      ttl:
        description: How long resolvers may keep the record, in seconds. The default is O(ttl).
        type: int
      alias:
        description: What the record stands for in AWS, such as a load balancer.
        type: dict
        suboptions:
          hosted_zone_id:
            description: The target's hosted zone, such as the zone of the load balancer.
            type: str
            required: true
          dns_name:
            description: The target's name.
            type: str
            required: true
          evaluate_target_health:
            description: Whether Route53 answers only if the target is healthy.
            type: bool
            default: false
  ttl:
    description: The TTL of records that do not set their own.
    type: int
    default: 300
  state:
    description: Whether the records should exist.
    type: str
    choices: [present, absent]
    default: present
  owner:
    description:
      - Marks the records with this text, such as the environment's name. The mark is a TXT record C(_infinite-databases.NAME)
        beside each record. A record that has no mark, or the mark of another owner, is neither changed nor removed.
      - A record that is exactly as wanted but has no mark stays as it is, and is not marked.
      - Without an owner, marks are neither written nor read.
    type: str
    default: ''
  exclusive:
    description:
      - Remove the records below O(domain) that have the mark of O(owner) and are not in O(records).
    type: bool
    default: false
  domain:
    description: The domain, or sub-domain, in which O(exclusive) removes records. It may be the zone itself.
    type: str
  force:
    description: Change, remove and mark records that do not have the mark of O(owner).
    type: bool
    default: false
  wait:
    description: Wait until all of Route53's name servers have the changes. This mostly takes less than a minute.
    type: bool
    default: true
  wait_timeout:
    description: Seconds after which the wait fails. The changes are made all the same.
    type: int
    default: 300
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Point all names below a domain at the node
  infinite.databases.route53_record:
    zone: example.com
    records:
      - name: "*.db.example.com"
        type: A
        values: [192.0.2.10]

- name: Have one record for each database, and no records of databases that are gone
  infinite.databases.route53_record:
    zone: example.com
    owner: production
    exclusive: true
    domain: db.example.com
    records:
      - name: orders.db.example.com
        type: A
        values: [192.0.2.10]
      - name: events.db.example.com
        type: AAAA
        values: ["2001:db8::10"]
        ttl: 60

- name: Send a name to a load balancer
  infinite.databases.route53_record:
    zone: Z0123456789ABCDEFGHIJ
    records:
      - name: example.com
        type: A
        alias:
          hosted_zone_id: Z215JYRZR1TBD5
          dns_name: my-load-balancer.eu-central-1.elb.amazonaws.com
"""

RETURN = r"""
changes:
  description: What was changed.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: V(created), V(updated) or V(removed); V(marked) or V(unmarked) if only the mark was changed.
      type: str
    name:
      description: The record's name.
      type: str
    type:
      description: The record's type.
      type: str
zone_id:
  description: The zone's id.
  returned: when the zone was found
  type: str
zone_name:
  description: The zone's name.
  returned: when the zone was found
  type: str
api_calls:
  description: How many requests were sent to Route53, repetitions included.
  returned: when the zone was found
  type: dict
  contains:
    list:
      description: Requests to find the zone and to read records.
      type: int
    write:
      description: Requests to change records.
      type: int
    wait:
      description: Requests to learn whether the changes are on all name servers.
      type: int
"""

from ansible_collections.infinite.databases.plugins.module_utils._route53.record import SPEC


def main() -> None:
    SPEC.main()


if __name__ == "__main__":
    main()
