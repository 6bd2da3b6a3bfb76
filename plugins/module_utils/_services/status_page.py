# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program of the task `page` in role status.

It runs without Ansible and has no rights. It makes a page from the collector's data.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.checks import short_time
from ansible_collections.infinite.databases.plugins.module_utils.waiting import some

SOCKET = "/alloc/data/status.sock"
PORT = 8080
GOOD, BAD, WAITING = ("running",), ("failed", "failing", "no room", "read-only"), ("starting",)
NONE = "-"
COLUMNS = ("Database", "State", "Size", "Connections", "Age", "PostgreSQL", "Expires")
BACKUP = "Last backup"
NUMBERS = ("Size", "Connections", "Age")

STYLE = """
:root { color-scheme: light dark; --text: #1c2024; --soft: #60646c; --line: #e1e3e6; --page: #f7f8f9; --card: #fff;
  --good: #18794e; --good-bg: #e6f6ec; --bad: #cd2b31; --bad-bg: #ffe9e9; --wait: #8a5a00; --wait-bg: #fff3d6; --off-bg: #eceef0; }
@media (prefers-color-scheme: dark) { :root { --text: #edeef0; --soft: #a0a5ad; --line: #2e3236; --page: #111315; --card: #191b1e;
  --good: #4cc38a; --good-bg: #12301f; --bad: #ff8a8c; --bad-bg: #3b1618; --wait: #f1b54a; --wait-bg: #332408;
  --off-bg: #26292d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 68rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.375rem; line-height: 1.3; overflow-wrap: anywhere; }
header p, footer { margin: .25rem 0 0; color: var(--soft); font-size: .875rem; }
a { color: inherit; }
dl { display: flex; flex-wrap: wrap; gap: .5rem; margin: 1rem 0; }
dl div { flex: 1 1 7rem; padding: .5rem .875rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
dt { color: var(--soft); font-size: .8125rem; }
dd { margin: 0; font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; }
table { width: 100%; border-collapse: separate; border-spacing: 0; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; font-variant-numeric: tabular-nums; }
th, td { padding: .5rem .875rem; text-align: left; white-space: nowrap; }
thead th { color: var(--soft); font-size: .8125rem; font-weight: 500; }
tbody th, tbody td { border-top: 1px solid var(--line); }
tbody th { font-weight: 600; white-space: normal; overflow-wrap: anywhere; }
tbody td:nth-child(8) { width: 17rem; }
.number { text-align: right; }
.state { padding: .0625rem .5rem; border-radius: 1rem; background: var(--off-bg); color: var(--soft); font-size: .8125rem; }
.good { background: var(--good-bg); color: var(--good); }
.bad { background: var(--bad-bg); color: var(--bad); }
.wait { background: var(--wait-bg); color: var(--wait); }
.reason { max-width: 28rem; color: var(--soft); font-size: .8125rem; white-space: normal; overflow-wrap: anywhere; }
.alarm { color: var(--bad); }
.notice { padding: .75rem 1rem; background: var(--bad-bg); color: var(--bad); border-radius: .5rem; }
footer { margin-top: 1rem; }
@media (max-width: 52rem) {
  table { background: none; border: 0; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody { display: block; }
  tr { display: flex; flex-wrap: wrap; margin-bottom: .5rem; padding: .5rem .875rem; background: var(--card);
    border: 1px solid var(--line); border-radius: .5rem; }
  tbody th, tbody td, tbody .number { flex: 0 0 50%; min-width: 0; padding: .125rem 0; border: 0; text-align: left; }
  tbody th { flex: 0 0 calc(100% - 6.5rem); font-size: 1.0625rem; }
  tbody td:nth-child(2) { flex: 0 0 6.5rem; text-align: right; }
  tbody td:nth-child(n+7) { flex: 0 0 100%; }
  td[data-label]::before { content: attr(data-label) " "; color: var(--soft); }
}
"""
# The page may have no script, nothing from elsewhere, and only this style.
POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def human(size: int | None) -> str:
    """Return a size in the unit that leaves one to three digits before the point."""
    if size is None:
        return NONE
    value, unit = float(size), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"


def badge(state: str, reason: str) -> str:
    kind = "good" if state in GOOD else "bad" if state in BAD else "wait" if state in WAITING else ""
    return f'<span class="state {kind}">{escape(state)}</span>' + (f'<div class="reason">{escape(reason)}</div>' if reason else "")


def ends(one: Mapping[str, Any], now: int) -> str:
    if one["erased_from"]:
        return f"erased in {short_time(one['erased_from'] - now)}" if one["erased_from"] > now else "due to be erased"
    if one["expires"] is None:
        return "never"
    return f"in {short_time(one['expires'] - now)}" if one["expires"] > now else "due"


def backup(told: Mapping[str, Any], now: int) -> str:
    """Return the cell with what is known of a database's backups."""
    facts = []
    if told["oldest"]:
        oldest, newest = (short_time(max(1, now - told[end])) for end in ("oldest", "newest"))
        facts.append(f"restorable from {oldest} to {newest} ago")
    if told["tested"]:
        facts.append(f"restore tested {short_time(max(1, now - told['tested']))} ago")
    if told["pending_since"]:
        facts.append(f"{human(told['pending'])} of the log wait for {short_time(now - told['pending_since'])}")
    lines = [("reason alarm", told["alarm"]), ("reason", "; ".join(facts))]
    age = f"{short_time(max(1, now - told['last']))} ago" if told["last"] else NONE
    return age + "".join(f'<div class="{kind}">{escape(line)}</div>' for kind, line in lines if line)


def row(one: Mapping[str, Any], now: int) -> str:
    connections = NONE if one["connections"] is None else str(one["connections"])
    return (
        f'<tr><th scope="row">{escape(one["name"])}</th><td>{badge(one["state"], one["reason"])}</td>'
        f'<td class="number" data-label="Size">{human(one["size"])}</td>'
        f'<td class="number" data-label="Connections">{connections}</td>'
        f'<td class="number" data-label="Age">{short_time(now - one["created"])}</td>'
        f'<td data-label="PostgreSQL">{escape(one["version"])}</td>'
        f'<td data-label="Expires">{ends(one, now)}</td>'
        + (f'<td data-label="{BACKUP}">{backup(one["backup"], now)}</td>' if one["backup"] else "")
        + "</tr>"
    )


def summary(told: Mapping[str, Any]) -> str:
    databases = told["databases"]
    sizes = [one["size"] for one in databases if one["size"] is not None]
    connections = [one["connections"] for one in databases if one["connections"] is not None]
    figures = {
        "Databases": len(databases),
        "Running": sum(one["state"] in GOOD for one in databases),
        "Size": human(sum(sizes)) if sizes else NONE,
        "Connections": sum(connections),
    }
    return "<dl>" + "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in figures.items()) + "</dl>"


def table(told: Mapping[str, Any]) -> str:
    if not told["databases"]:
        return "<p>There are no databases yet.</p>"
    labels = (*COLUMNS, BACKUP) if any(one["backup"] for one in told["databases"]) else COLUMNS
    heads = "".join(f'<th scope="col"{" class=number" if label in NUMBERS else ""}>{label}</th>' for label in labels)
    rows = "\n".join(row(one, told["when"]) for one in told["databases"])
    return f"<table><thead><tr>{heads}</tr></thead><tbody>\n{rows}\n</tbody></table>"


def spare(told: Mapping[str, Any]) -> str:
    counts = {version: of["ready"] for version, of in sorted(told["pool"].items())}
    return "".join(f"Prepared volumes for PostgreSQL {escape(version)}: {ready}. " for version, ready in counts.items())


def ending(one: Mapping[str, Any], now: int) -> str:
    when = f"ends in {short_time(one['until'] - now)}" if one["until"] > now else "has ended"
    return f"{one['what']} {when}. {one['cure']}"


def notices(told: Mapping[str, Any]) -> str:
    texts = [ending(one, told["when"]) for one in told["endings"]]
    if alarmed := [one["name"] for one in told["databases"] if one["backup"] and one["backup"]["alarm"]]:
        texts.append(f"The backups of these databases have an alarm: {some(alarmed)}.")
    return "".join(f'<p class="notice">{escape(text)}</p>' for text in texts)


def page(told: Mapping[str, Any], environment: str, domain: str, port: str) -> str:
    content = (
        f'<p class="notice">{escape(told["problem"])}</p>' if "problem" in told else notices(told) + summary(told) + table(told)
    )
    when = "" if "problem" in told else f"{datetime.fromtimestamp(told['when'], UTC):%Y-%m-%d %H:%M:%S} UTC. {spare(told)}"
    places = {host.title(): f"https://{host}.{domain}:{port}/" for host in ("nomad", "traefik")}
    links = " and ".join(f'<a href="{escape(place)}">{label}</a>' for label, place in places.items())
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="30">
<title>{escape(domain)}: databases</title>
<style>{STYLE}</style>
</head>
<body>
<header><h1>{escape(domain)}</h1><p>PostgreSQL databases of the environment {escape(environment)}</p></header>
<main>{content}</main>
<footer>{when}More in {links}.</footer>
</body>
</html>
"""


def ask(path: str = SOCKET) -> dict[str, Any]:
    """Read the collector's data."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(30)
            connection.connect(path)
            with connection.makefile() as stream:
                told: dict[str, Any] = json.load(stream)
                return told
    except (OSError, ValueError):
        return {"problem": "The collector does not answer; see the log of this job's task collector."}


class Handler(BaseHTTPRequestHandler):
    # The environment's name, its domain and its port. main() sets them.
    place: tuple[str, str, str]
    # Seconds that a client has to send its request.
    timeout = 10
    server_version, sys_version = "infinite-databases", ""

    def do_GET(self) -> None:
        if self.path != "/":
            self.send_error(404)
            return
        told = ask()
        body = page(told, *self.place).encode()
        self.send_response(503 if "problem" in told else 200)
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Length": str(len(body)),
            "Content-Security-Policy": POLICY,
            "Cache-Control": "no-store",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing. Traefik logs the requests."""


def main() -> None:
    Handler.place = (os.environ["ENVIRONMENT"], os.environ["DOMAIN"], os.environ["WEB_PORT"])
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()


if __name__ == "__main__":
    main()
