# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The client's options, and working on many items."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput, NomadError
from ansible_collections.infinite.databases.plugins.module_utils.nomad import NomadClient, map_concurrently, values

HTTPS = {"nomad_address": "https://127.0.0.1:4646"}


def test_a_token_file_wins(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("from-file\n")
    client = NomadClient({**HTTPS, "nomad_token": "left-over", "nomad_token_file": str(path)})
    assert client.settings["token"] == "from-file"


def test_certificates_are_always_verified(tmp_path: Path) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_text("")
    assert NomadClient(HTTPS).settings["verify"] is True
    assert NomadClient({**HTTPS, "nomad_ca_cert": str(ca)}).settings["verify"] == str(ca)
    assert NomadClient(HTTPS).api.verify is True
    assert NomadClient(HTTPS).jobs.verify is True


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"nomad_address": ""}, "nomad_address"),
        ({"nomad_address": "127.0.0.1:4646"}, "nomad_address"),
        ({"nomad_address": "ftp://x"}, "nomad_address"),
        ({**HTTPS, "nomad_ca_cert": "/nowhere/ca.crt"}, "nomad_ca_cert: /nowhere/ca.crt"),
        ({**HTTPS, "nomad_token_file": "/nowhere/token"}, "/nowhere/token"),
        ({**HTTPS, "nomad_token_file": "/dev/null"}, "empty"),
        ({**HTTPS, "nomad_client_cert": "/dev/null"}, "nomad_client_key"),
    ],
)
def test_bad_options(params: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        NomadClient(params)


@pytest.mark.parametrize("workers", [1, 8])
def test_one_failure_does_not_stop_the_others(workers: int) -> None:
    def work(number: int) -> int:
        if number == 1:
            raise NomadError("no")
        return number * 2

    outcomes = map_concurrently(work, range(4), workers)
    assert [outcome.value for outcome in outcomes] == [0, None, 4, 6]
    assert [bool(outcome.error) for outcome in outcomes] == [False, True, False, False]
    with pytest.raises(NomadError):
        values(outcomes)


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        map_concurrently(lambda number: 1 // number, [1, 0])
