# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a dump's head says, when a dump counts as complete, and the frames that carry it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.infinite.databases.plugins.module_utils._nomad.websocket import PING, TEXT, Messages, frame
from ansible_collections.infinite.databases.plugins.module_utils._transfer.archive import server_version
from ansible_collections.infinite.databases.plugins.module_utils._transfer.dump import Output, written
from ansible_collections.infinite.databases.plugins.module_utils._transfer.load import Lines
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput, JobFailed


def number(value: int) -> bytes:
    return bytes([value < 0]) + abs(value).to_bytes(4, "little")


def text(value: str) -> bytes:
    return number(len(value)) + value.encode()


def head(version: str, minor: int = 16, kind: int = 1) -> bytes:
    """The beginning of an archive, as PostgreSQL's WriteHead writes it."""
    compression = b"\x01" if minor >= 15 else number(-1)
    date = b"".join(map(number, (30, 15, 9, 1, 10, 126, 0)))
    strings = text("mydb") + text(version) + text("17.12 (Debian 17.12-1.pgdg13+1)")
    return b"PGDMP" + bytes([1, minor, 0, 4, 8, kind]) + compression + date + strings + number(7)


@pytest.mark.parametrize(
    ("data", "version"),
    [
        (head("17.12 (Debian 17.12-1.pgdg13+1)"), 17),
        (head("18.6"), 18),
        (head("19beta1"), 19),
        (head("15.20", minor=14), 15),
        (head("9.6.24", minor=13), 9),
    ],
)
def test_the_version_that_a_dump_is_of(data: bytes, version: int) -> None:
    assert server_version(data) == version


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "The dump is empty"),
        (b"--\n-- PostgreSQL database dump\n--\n", "a script of SQL"),
        (b"\n\n\\restrict abc\n", "a script of SQL"),
        (b"\x1f\x8b\x08\x00", "no dump in pg_dump's custom format"),
        (b"toc.dat" + bytes(500), "no dump in pg_dump's custom format"),
        (head("17.12", kind=5), "not in pg_dump's custom format"),
        (head("17.12")[:60], "ends within its head"),
        (head("unknown"), "ends within its head"),
        (b"PGDMP", "ends within its head"),
    ],
)
def test_what_is_no_dump(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        server_version(data)


@given(st.binary(max_size=3000), st.data())
def test_a_dump_is_complete_with_its_mark_only(content: bytes, data: st.DataObject) -> None:
    read, write = os.pipe()
    output = Output(write, "the pipe")
    whole = content + output.mark
    while whole:
        assert not output.is_done()
        size = data.draw(st.integers(1, len(whole)))
        output.add("stdout", whole[:size])
        whole = whole[size:]
    assert output.is_complete
    assert output.bytes == len(content)
    os.close(write)
    assert os.read(read, 5000) == content
    os.close(read)


def test_a_failure_is_no_complete_dump() -> None:
    with open(os.devnull, "wb") as null:
        output = Output(null.fileno(), "nowhere")
        output.add("stdout", b"PGDMP")
        output.add("stderr", b"pg_dump: error: no\n" + output.mark[:5])
        assert not output.is_done()
        output.add("stderr", output.mark[5:])
    assert output.is_done()
    assert not output.is_complete
    assert output.reason == "pg_dump: error: no"


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    file = tmp_path / "mydb.dump"
    file.write_bytes(b"old")

    def fail() -> None:
        with written(str(file)) as descriptor:
            os.write(descriptor, b"half")
            raise JobFailed("it ended early")

    with pytest.raises(JobFailed):
        fail()
    assert file.read_bytes() == b"old"
    with written(str(file)) as descriptor:
        os.write(descriptor, b"whole")
    assert file.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [file]


def test_a_descriptor_is_written_where_it_stands(tmp_path: Path) -> None:
    """As `>> file` expects."""
    with (tmp_path / "log").open("wb") as file:
        file.write(b"before ")
        file.flush()
        with written(f"/dev/fd/{file.fileno()}") as descriptor:
            os.write(descriptor, b"after")
        assert not file.closed
    assert (tmp_path / "log").read_bytes() == b"before after"


def test_the_lines_of_a_load() -> None:
    lines = Lines()
    for piece in (b"progr", b"ess 2 5 -1 0\nprogress 3 5 1048576 0\ndo"):
        lines.add("stdout", piece)
    assert (lines.verdict, lines.progress) == ("", ": table 3 of 5, 1.00 MB written")
    lines.add("stdout", b"ne 5 100 0\n")
    assert (lines.verdict, lines.reason) == ("done", "5 100 0")


def unmasked(data: bytes, kind: int, final: bool = True) -> bytes:
    """A server's frame."""
    size = len(data)
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2) if size < 1 << 16 else b"\x7f" + size.to_bytes(8)
    return bytes([(0x80 if final else 0) | kind]) + length + data


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 70001])
def test_frames_are_masked(size: int) -> None:
    """RFC 6455, 5.2 and 5.3, read byte by byte."""
    payload = os.urandom(size)
    sent = frame(TEXT, payload)
    assert sent[0] == 0x81
    assert sent[1] & 0x80
    start = {126: 4, 127: 10}.get(sent[1] & 0x7F, 2)
    length = int.from_bytes(sent[2:start]) if start > 2 else sent[1] & 0x7F
    mask, body = sent[start : start + 4], sent[start + 4 :]
    assert length == len(body) == size
    assert bytes(byte ^ mask[place % 4] for place, byte in enumerate(body)) == payload


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.integers(1, 50))
def test_messages_arrive_in_pieces(messages: list[bytes], step: int) -> None:
    """Some in several frames, with a ping between the frames."""
    sent = b""
    for message in messages:
        sent += unmasked(message[:2], TEXT, final=False) + unmasked(b"ping", PING) + unmasked(message[2:], 0)
    received, parser = [], Messages()
    for at in range(0, len(sent), step):
        received += list(parser.add(sent[at : at + step]))
    assert received == [one for message in messages for one in ((PING, b"ping"), (TEXT, message))]
