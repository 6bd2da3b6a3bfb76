# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of every AWS module, with the same names as in amazon.aws."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - boto3 >= 1.40.0
  - botocore >= 1.40.0
options:
  region:
    description:
      - The AWS region. Route53 has no regions, but a region such as C(cn-north-1) selects another partition of AWS.
      - If this is not given, E(AWS_REGION), E(AWS_DEFAULT_REGION) or the profile's region is used.
    type: str
  profile:
    description: A profile in C(~/.aws). Default E(AWS_PROFILE). It cannot be given together with O(access_key).
    type: str
  access_key:
    description:
      - The access key's id. Default E(AWS_ACCESS_KEY_ID).
      - Without any of these options, boto3 looks for credentials in its usual places, such as C(~/.aws) and the instance's profile.
    type: str
  secret_key:
    description: The secret of O(access_key). Default E(AWS_SECRET_ACCESS_KEY).
    type: str
  session_token:
    description: The session token of temporary credentials. Default E(AWS_SESSION_TOKEN).
    type: str
  endpoint_url:
    description: An endpoint other than AWS's own. Default E(AWS_ENDPOINT_URL_ROUTE_53), then E(AWS_ENDPOINT_URL).
    type: str
  aws_ca_bundle:
    description:
      - A file with the CA certificates that the endpoint's certificate is checked against.
      - If this is not given, E(AWS_CA_BUNDLE), then E(REQUESTS_CA_BUNDLE), then botocore's own list is used.
    type: path
"""
