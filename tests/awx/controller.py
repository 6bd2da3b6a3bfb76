# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of AWX's REST API the modules of awx.awx need, in memory, and without rules for one kind of object.

Every kind has a list (GET, filtered by each parameter; POST makes one) and its objects (GET, PATCH, DELETE). Below an object are
its associations (GET; POST with `id`, and perhaps `disassociate`) and its survey. Secrets are kept, and shown as `$encrypted$`.
What AWX checks, fills in or runs, this does not.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Item = dict[str, Any]
TOKEN = "the-token-of-the-tests"
# Of some kinds the module expects more than it sent.
MADE_WITH = {"projects": {"scm_revision": "", "summary_fields": {}}}
# What an AWX has before anybody configures it, as far as it is referred to.
AT_FIRST: dict[str, list[Item]] = {
    "organizations": [{"name": "Default"}],
    "credential_types": [
        {
            "name": "Machine",
            "kind": "ssh",
            "inputs": {"fields": [{"id": "username", "type": "string"}, {"id": "ssh_key_data", "type": "string", "secret": True}]},
            "injectors": {},
        },
        {
            "name": "Amazon Web Services",
            "kind": "cloud",
            "inputs": {"fields": [{"id": "username", "type": "string"}, {"id": "password", "type": "string", "secret": True}]},
            "injectors": {"env": {"AWS_ACCESS_KEY_ID": "{{ username }}", "AWS_SECRET_ACCESS_KEY": "{{ password }}"}},
        },
    ],
}
UNIFIED = ("job_templates", "workflow_job_templates", "projects", "inventory_sources")


def kind(name: str) -> str:
    """`inventories` -> `inventory`"""
    return re.sub(r"ies$", "y", name) if name.endswith("ies") else name.removesuffix("s")


class Controller:
    """The objects, by the name of their list, and the server's address."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Item]] = {}
        self.surveys: dict[int, Item] = {}
        self.associated: dict[tuple[int, str], list[int]] = {}
        self.numbers = itertools.count(1)
        self.writes: list[tuple[str, str]] = []
        self.lock = threading.Lock()
        for name, items in AT_FIRST.items():
            for item in items:
                self.make(name, item)
        controller = self

        class Handler(Requests):
            at = controller

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def make(self, name: str, given: Item) -> Item:
        number = next(self.numbers)
        url = f"/api/v2/{name}/{number}/"
        fixed = {"id": number, "type": kind(name), "url": url, "related": {"survey_spec": f"{url}survey_spec/"}}
        item = MADE_WITH.get(name, {}) | given | fixed
        self.lists.setdefault(name, []).append(item)
        return item

    def all(self, name: str) -> list[Item]:
        return [item for one in (UNIFIED if name == "unified_job_templates" else (name,)) for item in self.lists.get(one, [])]

    def named(self, name: str, value: str) -> Item:
        (found,) = [item for item in self.all(name) if item.get("name") == value]
        return found

    def by_id(self, number: int) -> Item:
        (found,) = [item for items in self.lists.values() for item in items if item["id"] == number]
        return found

    def related(self, item: Item, association: str) -> list[Item]:
        return [self.by_id(number) for number in self.associated.get((item["id"], association), [])]

    def shown(self, item: Item) -> Item:
        """As GET tells it."""
        if item["type"] != "credential":
            return item
        fields = self.by_id(item["credential_type"])["inputs"]["fields"]
        secret = {field["id"] for field in fields if field.get("secret")}
        return item | {"inputs": {key: "$encrypted$" if key in secret else value for key, value in item["inputs"].items()}}


def matches(item: Item, asked: dict[str, str]) -> bool:
    """All parameters, and one of those that begin with `or__`, if there are any."""
    either = {name.removeprefix("or__"): value for name, value in asked.items() if name.startswith("or__")}
    each = {name: value for name, value in asked.items() if not name.startswith("or__")}
    return all(str(item.get(name)) == value for name, value in each.items()) and (
        not either or any(str(item.get(name)) == value for name, value in either.items())
    )


class Requests(BaseHTTPRequestHandler):
    at: Controller
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def reply(self, status: int, body: Any = None) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("X-API-Product-Name", "AWX")
        self.send_header("X-API-Product-Version", "24.6.1")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def answer(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.reply(401, {"detail": "Authentication credentials were not provided."})
        path, query = urlsplit(self.path).path, urlsplit(self.path).query
        found = re.fullmatch(r"/api/v2/(\w+)/(?:(\d+)/(?:(\w+)/)?)?", path)
        if not found:
            return self.reply(404, {"detail": "Not found."})
        name, number, below = found.groups()
        with self.at.lock:
            if self.command != "GET":
                self.at.writes.append((self.command, path))
            if number is None:
                return self.whole_list(name, dict(parse_qsl(query, keep_blank_values=True)), body)
            item = next((one for one in self.at.all(name) if one["id"] == int(number)), None)
            if item is None:
                return self.reply(404, {"detail": "Not found."})
            if below is None:
                return self.one(name, item, body)
            return self.survey(item, body) if below == "survey_spec" else self.association(item, below, body)

    do_GET = do_POST = do_PATCH = do_DELETE = answer

    def whole_list(self, name: str, asked: dict[str, str], body: Any) -> None:
        if self.command == "POST":
            return self.reply(201, self.at.shown(self.at.make(name, body)))
        return self.results([item for item in self.at.all(name) if matches(item, asked)])

    def results(self, items: list[Item]) -> None:
        self.reply(200, {"count": len(items), "next": None, "previous": None, "results": [self.at.shown(item) for item in items]})

    def one(self, name: str, item: Item, body: Any) -> None:
        if self.command == "DELETE":
            self.at.lists[name].remove(item)
            for associated in self.at.associated.values():
                associated[:] = [number for number in associated if number != item["id"]]
            return self.reply(204)
        if self.command == "PATCH":
            item |= body
        return self.reply(200, self.at.shown(item))

    def survey(self, item: Item, body: Any) -> None:
        if self.command == "GET":
            return self.reply(200, self.at.surveys.get(item["id"], {}))
        self.at.surveys[item["id"]] = body or {}
        return self.reply(200, {})

    def association(self, item: Item, below: str, body: Any) -> None:
        associated = self.at.associated.setdefault((item["id"], below), [])
        if self.command == "GET":
            return self.results([self.at.by_id(number) for number in associated])
        if body.get("disassociate"):
            associated.remove(body["id"])
        else:
            associated.append(body["id"])
        return self.reply(204)
