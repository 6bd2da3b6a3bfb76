# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps host names that no resolver knows in the hosts file, between two marks.

blockinfile can write such a block, but cannot add names to it: if two runs wrote at the same time, one would lose its names.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "names": {"type": "list", "elements": "str", "default": []},
    "address": {"type": "str"},
    "addresses": {"type": "dict", "default": {}},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "marker": {"type": "str", "required": True},
    "all": {"type": "bool", "default": False},
    "path": {"type": "path", "default": "/etc/hosts"},
}
HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


def resolves_to(name: str, address: str) -> bool:
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except OSError:
        return False
    return address in found


def marks(marker: str) -> tuple[str, str]:
    return f"# BEGIN infinite.databases {marker}", f"# END infinite.databases {marker}"


def split(lines: Sequence[str], begin: str, end: str) -> tuple[list[str], dict[str, str]]:
    """Return the lines outside our block, and the entries in our block: the address of each name."""
    others: list[str] = []
    entries: dict[str, str] = {}
    inside = False
    for line in lines:
        if line in (begin, end):
            if inside == (line == begin):
                raise InvalidInput(f"the marks {begin!r} and {end!r} do not form a pair; repair the file by hand")
            inside = not inside
        elif inside:
            address, *names = line.partition("#")[0].split() or [""]
            entries.update(dict.fromkeys(names, address))
        else:
            others.append(line)
    if inside:
        raise InvalidInput(f"the mark {begin!r} has no {end!r}; repair the file by hand")
    return others, entries


def join(others: Sequence[str], entries: dict[str, str], begin: str, end: str) -> str:
    block = [begin, *(f"{address} {name}" for name, address in sorted(entries.items())), end] if entries else []
    return "\n".join([*others, *block]) + "\n"


def plan(
    entries: dict[str, str], names: Iterable[str], addresses: Mapping[str, str] | None, keep: Iterable[str] | None = None
) -> dict[str, str]:
    """Return the entries as they should be. With ``addresses``, the names are added; without, they are removed.

    If ``keep`` is given, only entries with these names stay.
    """
    if keep is not None:
        kept = set(keep)
        entries = {name: value for name, value in entries.items() if name in kept}
    if addresses is None:
        gone = set(names)
        return {name: value for name, value in entries.items() if name not in gone}
    return entries | {name: addresses[name] for name in names}


def read(path: str) -> str:
    try:
        # Bytes that are no valid text, in somebody's comments, are written back unchanged.
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except OSError as error:
        raise InvalidInput(f"Cannot read {path} ({error.strerror}); is it the hosts file?") from None


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Let one writer at a time in. The directory is locked, because the file itself may be replaced."""
    directory = os.path.dirname(path) or "."
    try:
        handle = os.open(directory, os.O_RDONLY)
    except OSError as error:
        raise InvalidInput(f"Cannot read {directory} ({error.strerror}); is {path} the hosts file?") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write(path: str, text: str) -> None:
    """Write the file in place: in a container the hosts file is a mount and cannot be replaced by renaming.

    If the old text is longer, the rest is overwritten with line ends before it is cut off. A run that is killed in between leaves
    empty lines, and not half an entry.
    """
    data = text.encode("utf-8", "surrogateescape")
    try:
        with open(path, "r+b", buffering=0) as file:
            file.write(data.ljust(os.fstat(file.fileno()).st_size, b"\n"))
            file.truncate(len(data))
            os.fsync(file.fileno())
    except OSError as error:
        raise InvalidInput(
            f"Cannot write {path} ({error.strerror}); run as a user who can, or let a resolver answer for these names "
            "and set database_manage_hosts_file to false"
        ) from None


def shown(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    present = params["state"] == "present"
    names: list[str] = params["names"]
    bad = [name for name in names if not HOST_NAME.fullmatch(name)]
    if bad:
        raise InvalidInput(f"names: {ascii(bad[0])[:80]} is not a host name")
    addresses = {name: params["addresses"].get(name, params["address"]) for name in names} if present else None
    if addresses is not None:
        for address in {params["address"], *addresses.values()}:
            try:
                ipaddress.ip_address(address or "")
            except ValueError:
                raise InvalidInput(f"address: {address!r} is not an IP address") from None
        # Most runs end here, without a lock.
        names = [name for name in names if not resolves_to(name, addresses[name])]
    path = params["path"]
    begin, end = marks(params["marker"])
    keep = (params["names"] if present else []) if params["all"] else None
    if present and not names and keep is None:
        return {"names": [], "diff": {"before": "", "after": ""}}
    with locked(path):
        before = read(path)
        try:
            others, entries = split(before.removesuffix("\n").split("\n") if before else [], begin, end)
        except InvalidInput as error:
            raise InvalidInput(f"{path}: {error}") from None
        desired = plan(entries, names, addresses, keep)
        changed = desired != entries
        after = join(others, desired, begin, end) if changed else before
        if changed and not check_mode:
            write(path, after)
    return {
        "changed": changed,
        "names": sorted(set(desired.items()) ^ set(entries.items())),
        "diff": {"before": shown(before), "after": shown(after), "before_header": path, "after_header": path},
    }


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
