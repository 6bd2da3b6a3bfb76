# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tests' own S3 refuses what an S3 must refuse: else tests of backups would prove little."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError, SSLError

from tests.support.certificates import write_certificate
from tests.support.s3 import S3

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with S3(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that names CAs must not stand in for the setting."""
    for name in ("AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


def keys(s3: S3) -> list[str]:
    pages = s3.client().get_paginator("list_objects_v2").paginate(Bucket=s3.bucket)
    return [found["Key"] for page in pages for found in page.get("Contents", [])]


def test_objects_are_files(s3: S3) -> None:
    client = s3.client()
    for name in ("a/b/one", "a/two", "three"):
        client.put_object(Bucket=s3.bucket, Key=name, Body=name.encode() * 1000)
    assert client.get_object(Bucket=s3.bucket, Key="a/two")["Body"].read() == b"a/two" * 1000
    assert s3.objects() == keys(s3) == ["a/b/one", "a/two", "three"]
    assert s3.objects("a/") == ["a/b/one", "a/two"]
    # As pgBackRest does with what is too old.
    client.delete_objects(Bucket=s3.bucket, Delete={"Objects": [{"Key": "a/b/one"}, {"Key": "three"}]})
    assert s3.objects() == keys(s3) == ["a/two"]
    (s3.objects_directory / s3.bucket / "a" / "two").unlink()
    with pytest.raises(ClientError, match="NoSuchKey"):
        client.get_object(Bucket=s3.bucket, Key="a/two")


def test_in_parts(s3: S3) -> None:
    """As pgBackRest sends what is large."""
    client, place = s3.client(), {"Bucket": s3.bucket, "Key": "large"}
    upload = client.create_multipart_upload(**place)["UploadId"]
    contents = [os.urandom(5 << 20), os.urandom(1 << 20)]
    parts = []
    for number, content in enumerate(contents, 1):
        tag = client.upload_part(**place, UploadId=upload, PartNumber=number, Body=content)["ETag"]
        parts.append({"ETag": tag, "PartNumber": number})
    assert "large" not in s3.objects(), "it is not whole"
    client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})
    assert client.get_object(**place)["Body"].read() == b"".join(contents)
    assert s3.objects("large") == ["large"]


def test_another_bucket(s3: S3) -> None:
    s3.make_bucket("another")
    s3.client().put_object(Bucket="another", Key="x", Body=b"")
    assert s3.objects(bucket="another") == ["x"]
    assert "x" not in s3.objects()


def test_an_address_and_names(tmp_path: Path) -> None:
    """Where nodes find it: at an address of this machine, by other names too."""
    with S3(tmp_path, "127.0.0.2", names=["s3.test", "192.0.2.1"]) as s3:
        assert s3.endpoint == f"https://127.0.0.2:{s3.port}"
        context = ssl.create_default_context(cafile=s3.ca_file)
        for name in ("s3.test", "192.0.2.1", "localhost"):
            with socket.create_connection((s3.address, s3.port), 5) as plain:
                context.wrap_socket(plain, server_hostname=name).close()
        with socket.create_connection((s3.address, s3.port), 5) as plain, pytest.raises(ssl.SSLCertVerificationError):
            context.wrap_socket(plain, server_hostname="other.test")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", s3.port), 5)


def test_another_ca_is_refused(s3: S3, tmp_path: Path) -> None:
    write_certificate(tmp_path, "another", [s3.address])
    for verify in (tmp_path / "ca.pem", True):
        with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            s3.client(verify=verify).list_buckets()


def test_wrong_keys_are_refused(s3: S3) -> None:
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        s3.client(secret_key="wrong").list_buckets()
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        s3.client(access_key="wrong").list_buckets()


@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "silent"])
def test_away_and_back(s3: S3, silent: bool) -> None:
    client = s3.client(timeout=1)
    client.put_object(Bucket=s3.bucket, Key="kept", Body=b"kept")
    endpoint, certificate = s3.endpoint, s3.ca_file.read_text()
    with s3.away(silent):
        with pytest.raises((ConnectTimeoutError, ReadTimeoutError) if silent else EndpointConnectionError):
            client.get_object(Bucket=s3.bucket, Key="kept")
        assert "kept" in s3.objects()
    assert (s3.endpoint, s3.ca_file.read_text()) == (endpoint, certificate)
    assert client.get_object(Bucket=s3.bucket, Key="kept")["Body"].read() == b"kept"


@pytest.mark.parametrize("silent", [False, True], ids=["answering", "silent"])
def test_ends_with_who_started_it(tmp_path: Path, silent: bool) -> None:
    lines = (
        "import pathlib, sys, time; from tests.support.s3 import S3",
        "s3 = S3(pathlib.Path(sys.argv[1])).start()",
        *(["s3.go_away(silent=True)"] if silent else []),
        "print(s3.process.pid, flush=True); time.sleep(60)",
    )
    command = [sys.executable, "-c", "\n".join(lines), str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        pid = starter.stdout.readline().strip()
        assert Path("/proc", pid).exists()
        starter.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while Path("/proc", pid).exists() and "\nState:\tZ" not in Path("/proc", pid, "status").read_text():
        assert time.monotonic() < deadline, f"{pid} still runs"
        time.sleep(0.05)
