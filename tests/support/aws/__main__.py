# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stand in for AWS, in the foreground. GET /_calls returns the calls so far, and DELETE /_calls also forgets them."""

from __future__ import annotations

import argparse
import signal

from tests.support.aws.server import Aws


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.aws", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=0, help="its port; a free one if it is not given")
    args = parser.parse_args()
    # Threads inherit this mask, so that only sigwait gets these signals.
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with Aws(args.host, args.port) as aws:
        print(aws.endpoint, flush=True)
        signal.sigwait(signals)


if __name__ == "__main__":
    main()
