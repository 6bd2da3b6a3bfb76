# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Be the metadata service of an EC2 instance with a profile, in the foreground: version 2 only, as launch.yml demands.

moto has one too, but its credentials lack what AWS's library for Go insists on.
"""

from __future__ import annotations

import argparse
import datetime
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "session-of-version-2"
ROLES = "/latest/meta-data/iam/security-credentials/"
ROLE = "infinite-databases"


def credentials() -> str:
    now = datetime.datetime.now(datetime.UTC)
    return json.dumps(
        {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "AccessKeyId": "ASIAPROFILE",
            "SecretAccessKey": "secret-of-the-profile",
            "Token": "token-of-the-profile",
            "LastUpdated": now.strftime("%FT%TZ"),
            "Expiration": (now + datetime.timedelta(hours=6)).strftime("%FT%TZ"),
        }
    )


class Handler(BaseHTTPRequestHandler):
    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self) -> None:
        self.answer(*((200, TOKEN) if self.path == "/latest/api/token" else (404, "")))

    def do_GET(self) -> None:
        if self.headers.get("X-Aws-Ec2-Metadata-Token") != TOKEN:
            self.answer(401, "")
        elif self.path == ROLES:
            self.answer(200, ROLE)
        elif self.path == ROLES + ROLE:
            self.answer(200, credentials())
        else:
            self.answer(404, "")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.acme.metadata", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=16925)
    args = parser.parse_args()
    server = ThreadingHTTPServer((args.host, args.port), Handler)
    print(f"http://{args.host}:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
