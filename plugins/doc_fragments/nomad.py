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
      - Nomad's address, C(https://HOST:PORT). Inside a task that Nomad runs, C(unix:///secrets/api.sock).
      - If there are several servers, give all addresses, as a list or with commas between them. The module uses the first server
        that answers within 2 seconds and knows a leader. If that server fails, it uses another one. A request that may have been
        carried out is repeated only if the repetition does no harm.
      - If this is not given, the variable C(nomad_address) is used, and then the environment variable E(NOMAD_ADDR).
    type: list
    elements: str
    default: [http://127.0.0.1:4646]
  nomad_token:
    description:
      - The secret of the ACL token.
      - If this is not given, the environment variable E(NOMAD_TOKEN) is used.
      - O(nomad_token_file) wins if both are given.
    type: str
  nomad_token_file:
    description:
      - A file with the token's secret, on the machine that runs the module.
      - If this is not given, the variable C(nomad_token_file) is used.
    type: path
  nomad_ca_cert:
    description:
      - A file with the CA that signed Nomad's certificate. Without it, only publicly trusted CAs are accepted;
        E(REQUESTS_CA_BUNDLE) and the like are not read.
      - If this is not given, the variable C(nomad_ca_cert) is used, and then the environment variable E(NOMAD_CACERT).
    type: path
  nomad_client_cert:
    description: A client certificate, for servers that ask for one. Default E(NOMAD_CLIENT_CERT).
    type: path
  nomad_client_key:
    description: The key of O(nomad_client_cert). Default E(NOMAD_CLIENT_KEY).
    type: path
  nomad_region:
    description: The region. Default E(NOMAD_REGION), or else the region of the server that answers.
    type: str
  nomad_namespace:
    description: The namespace of all objects that do not name their own. Default E(NOMAD_NAMESPACE), or else V(default).
    type: str
  nomad_tls_server_name:
    description:
      - The name that Nomad's certificate must have, if it differs from the address. Default E(NOMAD_TLS_SERVER_NAME).
      - If there are several servers, all certificates must have this name. Certificates that the role C(nomad) makes have the name
        C(server.REGION.nomad).
    type: str
  nomad_timeout:
    description: Seconds after which a request fails.
    type: float
    default: 10
  nomad_retries:
    description:
      - How often a request is repeated if nobody listened, there was no leader, or there were too many requests. A request that
        only reads is also repeated after a server error. Several servers may elect a leader for as long as O(nomad_timeout).
    type: int
    default: 3
  workers:
    description: How many requests may be sent at the same time.
    type: int
    default: 8
"""
