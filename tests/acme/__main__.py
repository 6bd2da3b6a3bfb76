# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Be an ACME server in the foreground. root.pem in its directory says that it is ready."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from tests.acme.pebble import Pebble, PebbleFailed


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.acme", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=14000, help="the port of its API; the next one is for its management")
    parser.add_argument("--directory", type=Path, required=True, help="for ca.pem, root.pem, pebble.log and its own files")
    args = parser.parse_args()
    # As SIGINT does: an exception, so that Pebble is stopped too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with Pebble(args.directory, args.host, args.port) as pebble:
            print(pebble.url, flush=True)
            pebble.wait()
    except PebbleFailed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
