# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a person is told when a request fails, and what is repeated."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter

from ansible_collections.infinite.databases.plugins.module_utils import errors
from ansible_collections.infinite.databases.plugins.module_utils._nomad import http as nomad_http

ADDRESS = "https://nomad.example:4646"


def answer(status: int, text: str = "", method: str = "GET", path: str = "/v1/jobs") -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response._content = text.encode()
    response.request = requests.Request(method, ADDRESS + path).prepare()
    return response


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hostname mismatch, certificate is not valid for", "for another name"),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1)",
            "self-signed certificate",
        ),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate (_ssl.c:1)",
            "nomad_ca_cert",
        ),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate is not yet valid (_ssl.c:1)",
            "its certificate is not yet valid; check this machine's clock",
        ),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1)",
            "if it is right, run site.yml",
        ),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "does not speak TLS"),
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required", "nomad_client_cert"),
        ("[SSL: NO_CIPHERS_AVAILABLE]", "TLS failed"),
    ],
)
def test_tls_problems_are_told_apart(text: str, said: str) -> None:
    problem = nomad_http.connection_problem(requests.exceptions.SSLError(text), ADDRESS, 10)
    assert isinstance(problem, errors.NomadTlsError)
    assert said in str(problem)
    assert ADDRESS in str(problem)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (requests.exceptions.ConnectionError("NewConnectionError: [Errno 111] Connection refused"), "Connection refused"),
        (requests.exceptions.ConnectionError("('Connection aborted.')"), "connection lost"),
        (requests.exceptions.ConnectTimeout("x"), "did not answer within 10 s"),
        (requests.exceptions.ReadTimeout("x"), "did not answer within 10 s"),
    ],
)
def test_unreachable(error: Exception, said: str) -> None:
    problem = nomad_http.connection_problem(error, ADDRESS, 10)
    assert isinstance(problem, errors.NomadUnreachable)
    assert said in str(problem)


@pytest.mark.parametrize(
    ("status", "text", "token", "kind", "said"),
    [
        (403, "ACL token not found", True, errors.NomadDenied, "does not know this token"),
        (403, "ACL token expired", True, errors.NomadDenied, "does not know this token"),
        (403, "Permission denied", True, errors.NomadDenied, "policies do not allow it"),
        (403, "Permission denied", False, errors.NomadDenied, "no token was given"),
        (404, "job not found", True, errors.NomadNotFound, "job not found"),
        (409, '{"Items":{"password":"hunter2"}}', True, errors.NomadConflict, "somebody else changed it"),
        (500, "Enforcing job modify index 0: job already exists", True, errors.NomadConflict, "somebody else changed it"),
        (500, "No cluster leader", True, errors.NomadNoLeader, "no leader"),
        (500, "rpc error: read tcp 10.0.0.1:1->10.0.0.2:2: i/o timeout", True, errors.NomadNoLeader, "no leader"),
        (500, "rpc error: Permission denied by somebody", True, errors.NomadError, "Permission denied"),
        (400, "Client sent an HTTP request to an HTTPS server.", False, errors.NomadTlsError, "use an https:// address"),
        (500, "1 error occurred:\n\t* Missing task driver\n", True, errors.NomadError, "Missing task driver"),
        (502, "", True, errors.NomadError, "status 502"),
    ],
)
def test_answers_are_told_apart(status: int, text: str, token: bool, kind: type[Exception], said: str) -> None:
    problem = nomad_http.answer_problem(answer(status, text), "GET", token)
    assert problem.__class__ is kind
    assert said in str(problem)
    assert "hunter2" not in str(problem)
    assert "\n" not in str(problem)


class Script(BaseAdapter):
    """A transport that gives prepared answers, one after the other."""

    def __init__(self, *answers: requests.Response | Exception) -> None:
        super().__init__()
        self.answers = list(answers)
        self.urls: list[str] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self.urls.append(str(request.url))
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        given.request = request
        return given

    def close(self) -> None:
        pass


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)


def session(*answers: requests.Response | Exception, retries: int = 2) -> tuple[nomad_http.Session, Script]:
    made = nomad_http.Session([ADDRESS], retries, 10, 2, None)
    script = Script(*answers)
    made.mount(ADDRESS, script)
    return made, script


REFUSED = requests.exceptions.ConnectionError("NewConnectionError [Errno 111] Connection refused")
LOST = requests.exceptions.ConnectionError("Connection reset by peer")
TIMEOUT = requests.exceptions.ReadTimeout("slow")


@pytest.mark.parametrize("path", ["jobs/statuses", "jobs/parse", "job/a/plan"])
@pytest.mark.usefixtures("quick")
def test_a_post_that_only_reads_is_repeated(path: str) -> None:
    made, _script = session(LOST, answer(200))
    assert made.request("POST", f"{ADDRESS}/v1/{path}").ok


@pytest.mark.parametrize(
    ("method", "answers", "calls", "works"),
    [
        ("GET", [answer(200)], 1, True),
        ("GET", [answer(500, "x"), answer(200)], 2, True),
        ("GET", [LOST, answer(200)], 2, True),
        ("GET", [answer(429), answer(429), answer(200)], 3, True),
        ("GET", [answer(404)], 1, False),
        ("GET", [answer(500), answer(500), answer(500)], 3, False),
        ("GET", [TIMEOUT], 1, False),
        ("PUT", [REFUSED, answer(200)], 2, True),  # it never arrived
        ("PUT", [answer(500, "No cluster leader"), answer(200)], 2, True),
        ("PUT", [answer(429), answer(200)], 2, True),
        ("PUT", [LOST, answer(200)], 2, True),  # it may have been done, and a job is registered once all the same
        ("PUT", [answer(500, "rpc error: EOF"), answer(200)], 2, True),
        ("POST volume/host/create", [LOST], 1, False),
        ("POST volume/host/create", [answer(500, "rpc error: EOF")], 1, False),
        ("POST volume/host/create", [answer(500, "rpc error: failed to get conn: dial tcp"), answer(200)], 2, True),
        ("DELETE volume/host/x", [LOST, answer(200)], 2, True),
        ("PUT", [answer(500, "x")], 1, False),
        ("GET", [requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED")], 1, False),
    ],
)
@pytest.mark.usefixtures("quick")
def test_what_is_repeated(method: str, answers: list[Any], calls: int, works: bool) -> None:
    made, _script = session(*answers)
    verb, _space, path = method.partition(" ")
    if works:
        assert made.request(verb, f"{ADDRESS}/v1/{path or 'jobs'}").ok
    else:
        with pytest.raises(errors.NomadError):
            made.request(verb, f"{ADDRESS}/v1/{path or 'jobs'}")
    assert made.calls == calls


@pytest.mark.parametrize("looked_up", [answer(403, "ACL token not found"), answer(500, "ACL token expired")])
def test_a_denied_token_is_looked_up(looked_up: requests.Response) -> None:
    made, script = session(answer(403, "Permission denied"), looked_up)
    with pytest.raises(errors.NomadDenied, match="does not know this token"):
        made.request("GET", f"{ADDRESS}/v1/jobs", headers={"X-Nomad-Token": "secret"})
    assert script.urls[1].endswith("/v1/acl/token/self")


def test_the_environment_does_not_choose_the_ca(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    made, _script = session()
    settings = made.merge_environment_settings(ADDRESS, {}, None, True, None)
    assert settings["verify"] is True


def test_endpoint_paths_and_parameters() -> None:
    made, script = session(answer(200, "{}"))
    point = nomad_http.endpoint("volume/host")(address=ADDRESS, namespace="n", session=made, verify=True)
    point.get("a b", none=None, type="x")
    assert script.urls == [f"{ADDRESS}/v1/volume/host/a%20b?type=x&namespace=n"]
