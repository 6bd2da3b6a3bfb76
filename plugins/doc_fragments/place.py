# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of modules that log in to databases: the databases' domain, port and CA."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  domain:
    description: The environment's domain. The host name of a database is NAME.DOMAIN.
    type: str
  port:
    description: The one port of all databases.
    type: int
    default: 5432
  ca_cert:
    description: The CA that the databases' clients trust. Empty if the certificate is a public one.
    type: str
    default: ""
"""
