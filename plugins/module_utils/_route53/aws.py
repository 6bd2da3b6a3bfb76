# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Calls AWS by boto3, with a bounded number of retries, counted requests, and errors of one line."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.errors import InfiniteError, InvalidInput

# The names are the same as in amazon.aws, so that one set of module_defaults serves both collections.
AWS_SPEC: dict[str, dict[str, Any]] = {
    "region": {"type": "str"},
    "profile": {"type": "str"},
    "access_key": {"type": "str", "no_log": False},
    "secret_key": {"type": "str", "no_log": True},
    "session_token": {"type": "str", "no_log": True},
    "endpoint_url": {"type": "str"},
    "aws_ca_bundle": {"type": "path"},
}
# When AWS throttles, botocore's standard mode waits a random part of 1, 2, 4, 8, 16 s between attempts: at most half a minute.
ATTEMPTS = 6
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}
UNKNOWN = {"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "MissingAuthenticationToken"}
UNSIGNED = {"SignatureDoesNotMatch", "InvalidSignatureException", "RequestExpired", "IncompleteSignature"}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
THROTTLED = {"Throttling", "ThrottlingException", "PriorRequestNotComplete", "RequestLimitExceeded", "TooManyRequestsException"}
# Route53's messages for a change that was planned from records that are not current (any more).
OUTDATED = re.compile(r"already exists|was not found|do not match the current values")
CREDENTIALS = "set profile, or access_key and secret_key, or use the environment, ~/.aws or an instance profile"


class AwsError(InfiniteError):
    """AWS answered with an error that none of the classes below describes."""


class AwsUnreachable(AwsError):
    """Nothing answers at the endpoint, or it could not prove to be AWS."""


class AwsDenied(AwsError):
    """The credentials are missing, unknown, expired or may not do this."""


class AwsThrottled(AwsError):
    """AWS still asks to slow down after all retries."""


class AwsOutdated(AwsError):
    """Somebody else changed the object since it was read, or our own change was made, although its answer was lost."""


def answer_problem(code: str, text: str, what: str) -> AwsError:
    """Return our error for an answer with an error code. ``what`` is the call."""
    said = f"AWS refuses {what}" if code in EXPIRED | UNKNOWN | UNSIGNED | DENIED else f"AWS: {what}"
    said += f": {text.strip().rstrip('.') or 'no reason given'} ({code})"
    if code in EXPIRED:
        return AwsDenied(f"{said}: the credentials have expired; log in again, or renew session_token")
    if code in UNKNOWN:
        return AwsDenied(f"{said}: these credentials are not valid; {CREDENTIALS}")
    if code in UNSIGNED:
        return AwsDenied(f"{said}: check secret_key and this machine's clock")
    if code in DENIED:
        return AwsDenied(f"{said}: the credentials' policies do not allow it")
    if code in THROTTLED:
        return AwsThrottled(f"{said}: still throttled after {ATTEMPTS} attempts; run again when fewer others use the API")
    if code == "InvalidChangeBatch" and OUTDATED.search(text):
        return AwsOutdated(said)
    return AwsError(said)


def other_problem(error: Exception, endpoint: str, what: str) -> AwsError:
    """Return our error for an exception that botocore raises when no answer came."""
    name, text = type(error).__name__, str(error).strip().rstrip(".")
    if "Credential" in name or "SSO" in name or "Token" in name:
        return AwsDenied(f"AWS: no credentials for {what}: {text}; {CREDENTIALS}")
    if name == "SSLError":
        return AwsUnreachable(
            f"AWS at {endpoint}: TLS failed ({text[-160:]}); set aws_ca_bundle to the CA that signed its certificate"
        )
    if "CA certificate" in text:
        return AwsUnreachable(f"AWS at {endpoint}: {text}; check aws_ca_bundle")
    if "Connect" in name or "Timeout" in name or name in ("HTTPClientError", "ProxyConnectionError", "ResponseStreamingError"):
        return AwsUnreachable(f"AWS at {endpoint} is unreachable for {what} ({text}); check the network and endpoint_url")
    return AwsError(f"AWS: {what}: {text}")


def problem(error: Exception, endpoint: str, what: str) -> AwsError:
    answer = getattr(error, "response", None)
    if not isinstance(answer, dict) or "Error" not in answer:
        return other_problem(error, endpoint, what)
    # Route53 reports problems of a batch in two ways. botocore puts the second one outside Error.
    texts = [str(answer["Error"].get("Message") or "").strip("[]"), *map(str, answer.get("messages") or [])]
    return answer_problem(str(answer["Error"].get("Code")), "; ".join(filter(None, texts)), what)


def make_client(service: str, params: dict[str, Any]) -> Any:
    # boto3 is imported here, because the import takes a tenth of a second. Only users of AWS have to wait for it.
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise AwsError(f"{error}: AWS needs boto3 and botocore; install boto3 for the Python that runs this") from None
    given = {name: params.get(name) or None for name in AWS_SPEC}
    if given["profile"] and (given["access_key"] or given["secret_key"] or given["session_token"]):
        raise InvalidInput("profile and access_key: give one of them")
    if bool(given["access_key"]) != bool(given["secret_key"]):
        raise InvalidInput("access_key and secret_key belong together; give both or neither")
    bundle = given["aws_ca_bundle"]
    if bundle and not os.path.exists(bundle):
        raise InvalidInput(f"aws_ca_bundle: {bundle} does not exist")
    config = Config(retries={"mode": "standard", "total_max_attempts": ATTEMPTS}, connect_timeout=10, read_timeout=30)
    try:
        session = boto3.Session(
            aws_access_key_id=given["access_key"],
            aws_secret_access_key=given["secret_key"],
            aws_session_token=given["session_token"],
            profile_name=given["profile"],
        )
        # boto3 itself reads only AWS_DEFAULT_REGION. Route53 has no regions, but a client with another endpoint needs one.
        region = given["region"] or os.environ.get("AWS_REGION") or session.region_name or "us-east-1"
        return session.client(service, region_name=region, endpoint_url=given["endpoint_url"], verify=bundle, config=config)
    except ValueError as error:
        raise InvalidInput(f"endpoint_url: {error}") from None
    except BotoCoreError as error:
        raise other_problem(error, given["endpoint_url"] or service, service) from None


class AwsClient:
    """A client of one service. ``call`` makes one call; ``calls`` counts the requests of each operation, retries included."""

    def __init__(self, service: str, params: dict[str, Any]) -> None:
        self.client = make_client(service, params)
        self.service = service
        self.calls: Counter[str] = Counter()
        self.client.meta.events.register(f"before-send.{service}", self._count)

    def _count(self, event_name: str, **_: Any) -> None:
        self.calls[event_name.rpartition(".")[2]] += 1

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        names = self.client.meta.method_to_api_mapping
        what = f"{self.service}:{names[operation]}"
        try:
            return dict(getattr(self.client, operation)(**arguments))
        except (BotoCoreError, ClientError, OSError) as error:
            raise problem(error, str(self.client.meta.endpoint_url), what) from None
