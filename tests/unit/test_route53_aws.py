# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What AWS says, in one line."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from ansible_collections.infinite.databases.plugins.module_utils._route53 import aws
from ansible_collections.infinite.databases.plugins.module_utils._route53.aws import (
    AwsDenied,
    AwsError,
    AwsOutdated,
    AwsThrottled,
    AwsUnreachable,
    problem,
)
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput


def answer(code: str, message: str = "Because.", **more: Any) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}} | more, "ListHostedZones")


URL = "https://route53.amazonaws.com/2013-04-01/hostedzone"


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (
            answer("ExpiredToken"),
            AwsDenied,
            "AWS refuses route53:X: Because (ExpiredToken): the credentials have expired; log in again",
        ),
        (answer("InvalidClientTokenId"), AwsDenied, "these credentials are not valid; set profile"),
        (answer("SignatureDoesNotMatch"), AwsDenied, "check secret_key and this machine's clock"),
        (answer("AccessDenied"), AwsDenied, "the credentials' policies do not allow it"),
        (
            answer("Throttling", "Rate exceeded"),
            AwsThrottled,
            "AWS: route53:X: Rate exceeded (Throttling): still throttled after 6 attempts",
        ),
        (answer("PriorRequestNotComplete"), AwsThrottled, "still throttled after 6 attempts"),
        (
            answer("NoSuchHostedZone", "No hosted zone found with ID: Z1"),
            AwsError,
            "No hosted zone found with ID: Z1 (NoSuchHostedZone)",
        ),
        (
            answer("InvalidChangeBatch", "[Tried to create [name='a.', type='A'] but it already exists]"),
            AwsOutdated,
            "already exists",
        ),
        (
            answer("InvalidChangeBatch", "", messages=["one", "it was not found"]),
            AwsOutdated,
            "one; it was not found (InvalidChangeBatch)",
        ),
        (answer("InvalidChangeBatch", "[RRSet of type CNAME\nis not permitted]"), AwsError, "RRSet of type CNAME is not permitted"),
        (answer("Other", ""), AwsError, "AWS: route53:X: no reason given (Other)"),
        (
            exceptions.NoCredentialsError(),
            AwsDenied,
            "AWS: no credentials for route53:X: Unable to locate credentials; set profile",
        ),
        (exceptions.PartialCredentialsError(provider="env", cred_var="x"), AwsDenied, "no credentials"),
        (exceptions.TokenRetrievalError(provider="sso", error_msg="expired"), AwsDenied, "no credentials"),
        (exceptions.UnauthorizedSSOTokenError(), AwsDenied, "no credentials"),
        (
            exceptions.EndpointConnectionError(endpoint_url=URL),
            AwsUnreachable,
            "AWS at URL is unreachable for route53:X (Could not connect",
        ),
        (exceptions.ReadTimeoutError(endpoint_url=URL), AwsUnreachable, "is unreachable for route53:X (Read timeout"),
        (exceptions.ConnectionClosedError(endpoint_url=URL), AwsUnreachable, "check the network and endpoint_url"),
        (exceptions.ProxyConnectionError(proxy_url="http://p", error="x"), AwsUnreachable, "check the network"),
        (exceptions.SSLError(endpoint_url=URL, error="self-signed"), AwsUnreachable, "set aws_ca_bundle"),
        (OSError("Could not find a suitable TLS CA certificate bundle, invalid path: x"), AwsUnreachable, "check aws_ca_bundle"),
        (exceptions.ParamValidationError(report="bad"), AwsError, "AWS: route53:X: Parameter validation failed"),
    ],
)
def test_problems(error: Exception, kind: type[AwsError], text: str) -> None:
    found = problem(error, "URL", "route53:X")
    assert found.__class__ is kind
    assert text in str(found)
    assert "\n" not in str(found)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"profile": "a", "access_key": "b", "secret_key": "c"}, "profile and access_key: give one of them"),
        ({"access_key": "b"}, "access_key and secret_key belong together"),
        ({"aws_ca_bundle": "/nonexistent/ca.pem"}, "aws_ca_bundle: /nonexistent/ca.pem does not exist"),
        ({"endpoint_url": "nonsense"}, "endpoint_url: Invalid endpoint: nonsense"),
    ],
)
def test_options(params: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInput, match=text):
        aws.make_client("route53", params)


def test_empty_options_are_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    client = aws.make_client("ec2", dict.fromkeys(aws.AWS_SPEC, "") | {"access_key": "a", "secret_key": "b"})
    assert client.meta.endpoint_url == "https://ec2.eu-central-1.amazonaws.com"


def test_an_unknown_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(AwsError, match="The config profile \\(nobody\\) could not be found"):
        aws.make_client("route53", {"profile": "nobody"})


def test_without_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any, **keywords: Any) -> Any:
        if name == "boto3":
            raise ImportError("No module named 'boto3'")
        return real(name, *args, **keywords)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(AwsError, match="No module named 'boto3': AWS needs boto3 and botocore; install boto3"):
        aws.make_client("route53", {})
