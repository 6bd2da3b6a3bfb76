# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options that every AWS module has, by the names that amazon.aws gives them."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - boto3 >= 1.40.0
  - botocore >= 1.40.0
options:
  region:
    description:
      - The AWS region. Route53 has none, but a partition other than the usual one (C(cn-north-1)) is chosen by it.
      - E(AWS_REGION), E(AWS_DEFAULT_REGION) or the profile's is used where this is not given.
    type: str
  profile:
    description: A profile of C(~/.aws). Default E(AWS_PROFILE). Not together with O(access_key).
    type: str
  access_key:
    description:
      - The access key's id. Default E(AWS_ACCESS_KEY_ID).
      - Without any of these options boto3 looks where it always does, such as in C(~/.aws) and the instance's profile.
    type: str
  secret_key:
    description: The secret of O(access_key). Default E(AWS_SECRET_ACCESS_KEY).
    type: str
  session_token:
    description: The token that temporary credentials come with. Default E(AWS_SESSION_TOKEN).
    type: str
  endpoint_url:
    description: Another endpoint than AWS's own. Default E(AWS_ENDPOINT_URL_ROUTE_53), then E(AWS_ENDPOINT_URL).
    type: str
  aws_ca_bundle:
    description:
      - A file with the CA certificates that the endpoint is checked against.
      - E(AWS_CA_BUNDLE), then E(REQUESTS_CA_BUNDLE), then botocore's own list is used where this is not given.
    type: path
"""
