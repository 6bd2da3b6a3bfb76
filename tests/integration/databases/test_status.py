# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The web pages: who gets in, and what the status page shows, in a real browser at a phone's and a desktop's size."""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database.restart import running_allocs
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._services.status import Collector
from ansible_collections.infinite.databases.plugins.module_utils._services.status_page import human
from ansible_collections.infinite.databases.plugins.module_utils.runner import with_defaults
from tests.support.browser import Browser, browser
from tests.support.environments import HERE
from tests.support.pages import Pages
from tests.support.user import NODE, User

PLAY = Path(__file__).with_name("status.yml")
INVENTORY = HERE.inventory
LIVE, BRIEF, GONE = (f"infinite-test-status-{name}" for name in ("live", "brief", "gone-" + "x" * 37))
# A file of a database's task. Nomad gives such files to nobody.
SECRET = "postgres/secrets/wanted"
CANARY = "canary-that-nobody-may-see"
NAMES = ("status", "traefik", "nomad")
# Seconds for which the page may show what was.
FRESH = 11


def request(host: str, path: str = "/", **headers: str) -> str:
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close", *(f"{key}: {value}" for key, value in headers.items())]
    return "\r\n".join([*lines, "", ""])


@pytest.fixture(scope="module")
def pages(user: User) -> Pages:
    """As this checkout has them: those of an earlier site.yml may be older, or there may be none."""
    user.run(str(PLAY), "-i", INVENTORY)
    return Pages(user, HERE)


@pytest.fixture(scope="module")
def made(user: User, pages: Pages) -> None:
    labels = {"owner": CANARY}
    described: list[dict[str, Any]] = [
        {"name": LIVE, "settings": {"application_name": CANARY}},
        {"name": BRIEF, "ttl": "1h"},
        {"name": GONE},
    ]
    user.run("provision", databases=[one | {"labels": labels} for one in described])
    user.run("destroy", db=GONE)
    user.query(LIVE, "create table filled as select repeat('x', 1000) from generate_series(1, 20000)")


@pytest.fixture(scope="module")
def opened(pages: Pages, made: None) -> Iterator[Browser]:
    with browser(pages.user.ca, f"MAP *.{pages.user.domain} {pages.address}") as opened:
        opened.login("admin", pages.password)
        yield opened


def test_installing_it_again_changes_nothing(user: User, pages: Pages) -> None:
    assert user.run(str(PLAY), "-i", INVENTORY).changed == 0


@pytest.mark.parametrize("name", ["status", "traefik"])
def test_nobody_without_the_password(pages: Pages, name: str) -> None:
    code, headers, body = pages.ask(name)
    assert code == 401
    assert headers["www-authenticate"].startswith("Basic realm=")
    assert "infinite-test" not in body
    for wrong in ("admin:", "admin:wrong", f"root:{pages.password}"):
        assert pages.ask(name, Authorization="Basic " + base64.b64encode(wrong.encode()).decode())[0] == 401
    assert pages.ask(name, **pages.login())[0] in (200, 302), "with it, one is let in"


def test_traefiks_dashboard(pages: Pages) -> None:
    assert pages.ask("traefik", "/api/rawdata")[0] == 401
    code, _headers, body = pages.ask("traefik", "/dashboard/", **pages.login())
    assert (code, "<html" in body.lower()) == (200, True)
    code, _headers, body = pages.ask("traefik", "/api/rawdata", **pages.login())
    assert code == 200
    assert "PRIVATE KEY" not in body


def test_nomad_asks_for_its_own_token(pages: Pages) -> None:
    """Its web UI is a matter of how Nomad was built; what the UI asks is this."""
    jobs = "/v1/jobs?namespace=databases"
    assert pages.ask("nomad", jobs)[0] == 403
    assert pages.ask("nomad", jobs, **{"X-Nomad-Token": "00000000-0000-0000-0000-000000000000"})[0] == 403
    token = Path(pages.user.known["nomad_token_file"]).read_text().strip()
    code, _headers, body = pages.ask("nomad", jobs, **{"X-Nomad-Token": token})
    assert code == 200
    assert "_status" in [job["ID"] for job in json.loads(body)]


@pytest.mark.parametrize("path", ["metrics", "%6detrics", "./metrics", "metrics/", "x/../metrics", "/metrics"])
def test_what_nomad_tells_everybody_is_not_told_here(pages: Pages, path: str) -> None:
    assert pages.ask("nomad", f"/v1/{path}?format=prometheus")[0] == 404


# Run on the node, which is no network of the administrators' by its loopback address.
ELSEWHERE = """
import json, socket, ssl, sys
port, requests = int(sys.argv[1]), json.loads(sys.argv[2])
context = ssl.create_default_context(cafile="/etc/nomad.d/tls/ca.crt")
for host, text in requests:
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname=host) as connection:
        connection.sendall(text.encode())
        print(connection.makefile().readline().split()[1])
"""


def test_nobody_from_elsewhere(pages: Pages) -> None:
    """With the right password, or a forged address, as well."""
    login, forged = pages.login(), {"X-Forwarded-For": pages.address, "X-Real-Ip": pages.address}
    hosts = [f"{name}.{pages.user.domain}" for name in NAMES]
    tried = [(host, request(host, **login, **extra)) for host in hosts for extra in ({}, forged)]
    assert pages.user.node("python3", "-c", ELSEWHERE, str(pages.port), json.dumps(tried)).split() == ["403"] * len(tried)


def answer_in_plain_text(address: str, port: int, host: str) -> str:
    """What a port says to plain HTTP; nothing where it closes the connection."""
    try:
        with socket.create_connection((address, port), timeout=3) as connection:
            connection.sendall(request(host).encode())
            return connection.recv(200).decode(errors="replace")
    except (ConnectionResetError, TimeoutError):
        return ""


def test_no_plain_http_anywhere(pages: Pages) -> None:
    """On no port of the node's that others reach. Nomad says that it wants TLS."""
    listening = [line.split()[3] for line in pages.user.node("ss", "-Hltn").splitlines()]
    public = {int(one.rpartition(":")[2]) for one in listening if not one.startswith(("127.", "[::1]"))}
    assert {pages.port, pages.user.known["database_port"], 4646} <= public
    for port in public:
        for name in NAMES:
            said = answer_in_plain_text(pages.address, port, f"{name}.{pages.user.domain}")
            assert not said.startswith("HTTP/") or said.startswith("HTTP/1.0 400 Bad Request"), f"port {port}: {said}"
    assert answer_in_plain_text(pages.address, pages.port, f"status.{pages.user.domain}") == "", "not even a refusal"


def test_a_database_cannot_take_their_names(user: User) -> None:
    refused = user.run("provision", db="status", fails=True)
    assert f"databases[0].name: status.{user.domain} is the status page; choose another name" in refused.out


def rows(opened: Browser) -> dict[str, list[str]]:
    """What a person sees of each database; the cells but the name."""
    cells = "[...document.querySelectorAll('tbody tr')].map(row => [...row.children].map(cell => cell.innerText.trim()))"
    return {row[0]: row[1:] for row in opened.run(cells)}


def show(opened: Browser, pages: Pages, width: int, height: int) -> None:
    opened.size(width, height)
    opened.open(f"https://status.{pages.user.domain}:{pages.port}/")


def test_what_it_shows(opened: Browser, pages: Pages) -> None:
    """The same as `list`."""
    user = pages.user
    held: list[psycopg.Connection[tuple[Any, ...]]] = [user.connect(LIVE) for _number in range(2)]
    size = user.query(LIVE, "select pg_database_size(current_database())")
    time.sleep(FRESH)
    show(opened, pages, 1200, 800)
    shown = rows(opened)
    for connection in held:
        connection.close()
    assert shown[LIVE][0] == "running"
    assert shown[LIVE][1] == human(size)
    assert shown[LIVE][2] == "2"
    assert shown[LIVE][3].endswith(("s", "m"))
    assert shown[LIVE][4:] == ["17", "never"]
    assert re.fullmatch(r"in (1h|\d\dm)", shown[BRIEF][5])
    assert shown[GONE][0] == "destroyed"
    assert shown[GONE][2] == "-"
    assert shown[GONE][5] == "erased in 7d"
    assert set(shown) == {path["Path"].removeprefix("databases/") for path in user.client.variables.list("databases/")}
    time.sleep(FRESH)
    show(opened, pages, 1200, 800)
    assert rows(opened)[LIVE][2] == "0"


# Elements that stick out of the page, or of their database's row, or whose text does of them.
STICKS_OUT = """(() => {
  const wide = document.documentElement.clientWidth;
  const sticks = one => {
    const box = one.getBoundingClientRect(), outer = (one.closest('tr, dl') || document.body).getBoundingClientRect();
    const is_inline = getComputedStyle(one).display === 'inline';
    return box.right > wide || box.right > outer.right + 1 || !is_inline && one.scrollWidth > one.clientWidth + 1;
  };
  return [...document.querySelectorAll('header *, dl *, tbody, tbody *, footer *')].filter(sticks).map(one => one.outerHTML);
})()"""


@pytest.mark.parametrize("width", [360, 840, 1200])
def test_it_fits(opened: Browser, pages: Pages, width: int) -> None:
    show(opened, pages, width, 740)
    assert opened.run("window.innerWidth") == width
    assert opened.run("document.documentElement.scrollWidth") <= width
    assert opened.run(STICKS_OUT) == []
    assert {LIVE, BRIEF, GONE} <= set(rows(opened))
    # On a phone each figure has its own label, as the head is not seen.
    label = opened.run("getComputedStyle(document.querySelector('td[data-label]'), '::before').content")
    assert (label != "none") == (width < 832)


def test_no_secret_in_it(opened: Browser, pages: Pages) -> None:
    show(opened, pages, 1200, 800)
    source = opened.run("document.documentElement.outerHTML")
    told = in_task(pages.user, "page", TOLD)
    assert LIVE in source
    assert LIVE in told
    secrets = [CANARY, "postgresql://", "SCRAM-SHA-256", pages.password]
    for name in (LIVE, BRIEF, GONE):
        secrets += [login["password"] for login in json.loads(pages.user.variable(f"databases/{name}")["logins"]).values()]
    assert len(secrets) == 4 + 9
    for secret in secrets:
        assert secret not in source
        assert secret not in told


def test_the_page_runs_nothing_and_loads_nothing(opened: Browser, pages: Pages) -> None:
    code, headers, body = pages.ask("status", **pages.login())
    assert code == 200
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    assert "<script" not in body
    assert pages.ask("status", "/../../etc/passwd", **pages.login())[0] == 404
    show(opened, pages, 1200, 800)
    assert opened.run("getComputedStyle(document.querySelector('tbody tr')).display") == "table-row"
    assert opened.run("getComputedStyle(document.body).maxWidth") != "none", "its own style is applied"


# Run in a task's container.
TOLD = """
import socket
connection = socket.socket(socket.AF_UNIX); connection.connect("/alloc/data/status.sock"); print(connection.makefile().read())
"""
ASK_NOMAD = """
import http.client, os, socket, sys
class Socket(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX); self.sock.connect("/secrets/api.sock")
token = open("/secrets/nomad_token").read().strip() if os.path.exists("/secrets/nomad_token") else ""
for line in sys.stdin.read().split():
    method, path = line.split(",")
    connection = Socket("localhost")
    body = '{"Items": {"of": "a test"}}' if method == "PUT" else None
    connection.request(method, path, body=body, headers={"X-Nomad-Token": token} if token else {})
    answer = connection.getresponse()
    # Nomad refuses a secret in the text of a good answer.
    print("secret" if answer.read().startswith(b"Reading secret file prohibited") else answer.status)
"""


def in_task(user: User, task: str, program: str, text: str = "") -> str:
    """What a program says that is run as the task is."""
    (alloc,) = [one for one in user.client.job.get("_status", "allocations") if one["ClientStatus"] == "running"]
    command = ["docker", "exec", "-i", NODE, "docker", "exec", "-i", f"{task}-{alloc['ID']}", "python3", "-c", program]
    return subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout


def test_who_may_read_what(user: User, made: None) -> None:
    record = f"/v1/var/databases/{LIVE}?namespace=databases"
    asked = f"GET,{record} PUT,{record} GET,/v1/jobs?namespace=databases GET,/v1/nodes DELETE,/v1/job/{LIVE}?namespace=databases"
    own = "PUT,/v1/var/status/infinite-test?namespace=databases"
    (alloc,) = running_allocs(user.client, [LIVE])[LIVE]
    files = [f"GET,/v1/client/fs/cat/{alloc}?namespace=databases&path={path}" for path in ("alloc/data/postgres.stderr.0", SECRET)]
    assert in_task(user, "page", ASK_NOMAD, asked).split() == ["401"] * 5, "the page has no identity at all"
    told = in_task(user, "collector", ASK_NOMAD, " ".join([asked, own, *files])).split()
    user.client.variables.delete("status/infinite-test")
    assert told[:6] == ["200", "403", "200", "200", "403", "200"], "the collector may read, and write its own"
    assert told[6:] == ["200", "secret"], "it may read files, but no secret"
    policy = user.client.endpoint("acl/policy").get("status")
    assert policy["JobACL"] == {"Namespace": "databases", "JobID": "_status", "Group": "status", "Task": "collector"}
    tasks = {task["Name"]: task for task in user.client.job.get("_status")["TaskGroups"][0]["Tasks"]}
    assert "oken" not in json.dumps([task["Env"] for task in tasks.values()])
    assert tasks["page"]["Config"].get("network_mode") is None, "not the host's"
    # The collector's own port would be reached by the network of the host, in which it is.
    assert "python" not in user.node("ss", "-Hltnp").replace(figures_line(user), "")


def figures_line(user: User) -> str:
    """What tells the figures, on loopback, is a service of the host's."""
    (line,) = [line for line in user.node("ss", "-Hltnp").splitlines() if "127.0.0.1:5481" in line]
    return line


def test_looking_costs_seven_requests(user: User, made: None) -> None:
    """Six lists and the agent's gauges, however many databases there are; a second look within seconds costs nothing."""
    client = NomadClient(with_defaults(CONNECTION_SPEC, user.connection))
    collector = Collector(client, "no node", 9, 7 * 86400)
    first = collector.collect()
    assert {one["name"] for one in first["databases"]} >= {LIVE, BRIEF, GONE}
    assert client.api_calls >= 7 + 3
    before = client.api_calls
    told = collector.tell()
    assert client.api_calls == before + 7
    assert collector.tell() == told
    assert client.api_calls == before + 7
    # A record that has changed is read.
    record = user.variable(f"databases/{BRIEF}")
    user.client.variables.write(f"databases/{BRIEF}", record | {"spec": json.dumps({"ttl": "2h"})})
    before = client.api_calls
    (brief,) = [one for one in collector.collect()["databases"] if one["name"] == BRIEF]
    assert client.api_calls == before + 7 + 1
    assert brief["expires"] == brief["created"] + 7200


def test_out_of_memory(user: User, made: None, pages: Pages) -> None:
    """The kernel counts it, and the service on the host, which no server notices, reads it."""
    with pytest.raises(psycopg.OperationalError):
        user.query(BRIEF, "select length(string_agg(repeat(md5(i::text), 300), '')) from generate_series(1, 100000) i")
    deadline = time.monotonic() + 30
    while "out of memory once since its start" not in (page := pages.ask("status", **pages.login())[2]):
        assert time.monotonic() < deadline, page
        time.sleep(1)
    row = page[page.index(BRIEF) :]
    assert 'class="state good">running</span><div class="reason">out of memory once' in row[: row.index("</tr>")]


def test_figures_of_another_node(user: User, made: None) -> None:
    """Two collectors, one of which takes the place of another node's: what the first writes is what the second tells."""
    client = NomadClient(with_defaults(CONNECTION_SPEC, user.connection))
    volume = user.variable(f"databases/{LIVE}")["volume"]
    (found,) = [one for one in user.client.volumes.list() if one["Name"] == volume]
    told = {"sizes": {found["ID"]: 4711}, "connections": {}, "read_only": [found["ID"]]}
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = Collector(client, found["NodeID"], server.getsockname()[1], 0)
        thread = Thread(target=answer_once, args=(server, json.dumps(told)))
        thread.start()
        published = there.publish({})
        thread.join()
    assert published == told
    try:
        (live,) = [one for one in Collector(client, "no node", 9, 0).collect()["databases"] if one["name"] == LIVE]
    finally:
        user.client.variables.delete(f"status/{found['NodeID']}")
    assert (live["size"], live["connections"], live["state"]) == (4711, 0, "read-only")


def answer_once(server: socket.socket, text: str) -> None:
    """As infinite-figures does."""
    connection, _address = server.accept()
    with connection:
        connection.sendall(text.encode())
