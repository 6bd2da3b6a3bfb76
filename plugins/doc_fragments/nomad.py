# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The connection options that every Nomad module has."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - python-nomad >= 2.1.0
options:
  nomad_address:
    description:
      - Nomad's address, C(https://HOST:PORT), or in a task of Nomad's own C(unix:///secrets/api.sock).
      - The environment variable E(NOMAD_ADDR) is used where this is not given.
    type: str
    default: http://127.0.0.1:4646
  nomad_token:
    description:
      - The secret of the ACL token.
      - The environment variable E(NOMAD_TOKEN) is used where this is not given.
      - O(nomad_token_file) wins if both are given.
    type: str
  nomad_token_file:
    description: A file on the machine that runs the module with the token's secret in it.
    type: path
  nomad_ca_cert:
    description:
      - A file with the CA that signed Nomad's certificate. Without it, only publicly trusted CAs are accepted;
        E(REQUESTS_CA_BUNDLE) and the like are not read.
      - The environment variable E(NOMAD_CACERT) is used where this is not given.
    type: path
  nomad_client_cert:
    description: A client certificate, for servers that ask for one. Default E(NOMAD_CLIENT_CERT).
    type: path
  nomad_client_key:
    description: The key of O(nomad_client_cert). Default E(NOMAD_CLIENT_KEY).
    type: path
  nomad_region:
    description: The region. Default E(NOMAD_REGION), or else that of the server that answers.
    type: str
  nomad_namespace:
    description: The namespace of everything that does not name its own. Default E(NOMAD_NAMESPACE), or else V(default).
    type: str
  nomad_tls_server_name:
    description: The name that Nomad's certificate must have, where that differs from the address. Default E(NOMAD_TLS_SERVER_NAME).
    type: str
  nomad_timeout:
    description: Seconds after which a request is given up.
    type: float
    default: 10
  nomad_retries:
    description:
      - How often a request is repeated that found nobody listening, no leader, too many requests, or (reading only) a
        server error.
    type: int
    default: 3
  workers:
    description: How many requests may be under way at once.
    type: int
    default: 8
"""
