# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: url
short_description: The connection strings of databases
version_added: 0.1.0
description:
  - Reads databases' credentials from Nomad and returns a PostgreSQL connection string for each.
  - A stopped database has a connection string, too. A destroyed database is refused.
  - The strings contain passwords; use C(no_log) where a task shows its arguments.
options:
  _terms:
    description: The databases' names.
    type: list
    elements: str
    required: true
  masked:
    description: Show C(********) in place of the password.
    type: bool
    default: false
  role:
    description: The role whose credentials are used.
    type: str
    choices: [owner, rw, ro]
    default: owner
    vars:
      - name: database_role
  form:
    description: >-
      A URL, or C(KEY=value) lines for a C(.env) file: the URL as C(DATABASE_URL), Java's URL as C(JDBC_DATABASE_URL), and
      libpq's own variables.
    type: str
    choices: [url, env]
    default: url
  domain:
    description: The environment's domain. It is required; the environment's C(connection.yml) sets it.
    type: str
    vars:
      - name: database_domain
  port:
    description: The environment's port.
    type: int
    default: 5432
    vars:
      - name: database_port
  ca_cert:
    description: The CA that clients trust. Empty if the certificate is a public one.
    type: str
    default: ""
    vars:
      - name: database_ca_cert
  namespace:
    description: The databases' namespace.
    type: str
    default: databases
    vars:
      - name: database_namespace
  nomad_address:
    description: Nomad's address, or its servers' addresses, of which the next is asked if one does not answer. It is required.
    type: list
    elements: str
    vars:
      - name: nomad_address
    env:
      - name: NOMAD_ADDR
  nomad_token:
    description: The secret of the ACL token.
    type: str
    vars:
      - name: nomad_token
    env:
      - name: NOMAD_TOKEN
  nomad_token_file:
    description: A file with the token's secret. It wins over O(nomad_token).
    type: path
    vars:
      - name: nomad_token_file
  nomad_ca_cert:
    description: A file with the CA that signed Nomad's certificate.
    type: path
    vars:
      - name: nomad_ca_cert
    env:
      - name: NOMAD_CACERT
  nomad_client_cert:
    description: A client certificate, for servers that ask for one.
    type: path
    vars:
      - name: nomad_client_cert
    env:
      - name: NOMAD_CLIENT_CERT
  nomad_client_key:
    description: The key of O(nomad_client_cert).
    type: path
    vars:
      - name: nomad_client_key
    env:
      - name: NOMAD_CLIENT_KEY
  nomad_region:
    description: The region.
    type: str
    vars:
      - name: nomad_region
    env:
      - name: NOMAD_REGION
  nomad_tls_server_name:
    description: The name that Nomad's certificate (with several servers, each certificate) must have, if it is not the address.
    type: str
    vars:
      - name: nomad_tls_server_name
    env:
      - name: NOMAD_TLS_SERVER_NAME
author:
  - Infinite Databases contributors (@infinite-databases)
"""

EXAMPLES = r"""
- name: Give an application its database
  ansible.builtin.copy:
    content: "DATABASE_URL={{ lookup('infinite.databases.url', 'mydb') }}\n"
    dest: /etc/myapp/env
    mode: "0600"
  no_log: true
"""

RETURN = r"""
_raw:
  description: A connection string for each name.
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.infinite.databases.plugins.module_utils._database.checks import check_name
from ansible_collections.infinite.databases.plugins.module_utils._database.description import connection_environment, connection_url
from ansible_collections.infinite.databases.plugins.module_utils._database.record import read_record
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils._nomad.servers import Servers
from ansible_collections.infinite.databases.plugins.module_utils.errors import InfiniteError, NomadNotFound

NEEDED = {"database_domain": "domain", "nomad_address": "nomad_address"}


class LookupModule(LookupBase):  # type: ignore[misc]
    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        options = self.get_options()
        # The directory belongs to this run, and is removed at its end.
        Servers.memory = Path(constants.DEFAULT_LOCAL_TMP) / "nomad-server"
        lacking = [variable for variable, option in NEEDED.items() if not options[option]]
        if lacking:
            environment = (variables or {}).get("environment_name") or "local"
            raise AnsibleLookupError(
                f"{' and '.join(lacking)} not set: the connection to environment '{environment}' was not loaded; first import role "
                "infinite.databases.environment with tasks_from: connection in the same play, or set the variables"
            )
        try:
            client = NomadClient(options | {"nomad_namespace": options["namespace"]})
            return values(client.map(lambda name: self._url(client, name, options), self._flatten(terms)))
        except InfiniteError as error:
            raise AnsibleLookupError(str(error)) from None

    @staticmethod
    def _url(client: NomadClient, name: Any, options: dict[str, Any]) -> str:
        try:
            record = read_record(client, check_name(name))
        except ValueError as error:
            raise AnsibleLookupError(f"The database's name {error}") from None
        except NomadNotFound:
            raise AnsibleLookupError(f"There is no database {name!r} in Nomad at {client.address}; provision it first") from None
        if record["destroyed"]:
            raise AnsibleLookupError(f"{name}: is destroyed; `undestroy` brings it back, with the same URL")
        record |= record["logins"][options["role"]]
        place = (options["domain"], options["port"], options["ca_cert"], options["masked"])
        if options["form"] == "env":
            return "\n".join(f"{key}={value}" for key, value in connection_environment(record, *place).items())
        return connection_url(record, *place)
