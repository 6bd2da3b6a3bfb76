# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Drives a headless Chromium (https://www.w3.org/TR/webdriver2/), which trusts one CA and keeps nothing."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.support import packages

PACKAGES = {"chromium": "chromium", "chromedriver": "chromium-driver", "certutil": "libnss3-tools"}
FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync"
)


class Browser:
    def __init__(self, address: str) -> None:
        self.http = requests.Session()
        # The driver is on this machine. A proxy from the environment variables could not reach it.
        self.http.trust_env = False
        self.address = address

    def call(self, command: str, **body: Any) -> Any:
        answer = self.http.post(f"{self.address}/{command}", json=body, timeout=60).json()["value"]
        if isinstance(answer, dict) and "error" in answer:
            raise AssertionError(f"{command}: {answer['error']}: {answer['message'].splitlines()[0]}")
        return answer

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self.call("goog/cdp/execute", cmd=command, params=parameters)

    def size(self, width: int, height: int, scale: float = 1, dark: bool = False) -> None:
        """Set the size of the page. Widths below 600 are a phone's."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=width < 600)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", features=[scheme])

    def login(self, user: str, password: str) -> None:
        credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.devtools("Network.enable")
        self.devtools("Network.setExtraHTTPHeaders", headers={"Authorization": f"Basic {credentials}"})

    def open(self, url: str) -> None:
        self.call("url", url=url)

    def run(self, script: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        return self.call("execute/sync", script=f"return {script}", args=[])

    def screenshot(self) -> bytes:
        """Return a picture (PNG) of the whole page, also of the part that would have to be scrolled to."""
        content = self.run("[document.documentElement.clientWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": content[0], "height": content[1], "scale": 1}
        answer = self.devtools("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(answer["data"])


@contextmanager
def browser(ca: str, hosts: str) -> Iterator[Browser]:
    """Start a browser that trusts ``ca`` besides the system's CAs. It finds hosts by ``hosts`` (Chromium's host-resolver-rules).

    Without these rules, it would take all names below .localhost for this machine.
    """
    packages.install(PACKAGES)
    # Chromium reads the CAs that its user trusts from the user's home directory.
    with tempfile.TemporaryDirectory(prefix="infinite-test-browser-") as home:
        store = Path(home, ".pki", "nssdb")
        store.mkdir(parents=True)
        for step in (["-N", "--empty-password"], ["-A", "-n", "ca", "-t", "C,,", "-i", ca]):
            subprocess.run(["certutil", "-d", f"sql:{store}", *step], check=True)
        log = Path(home, "driver.log")
        with log.open("w") as output:
            command = ["chromedriver", "--port=0"]
            driver = subprocess.Popen(command, env=os.environ | {"HOME": home}, stdout=output, stderr=subprocess.STDOUT)
        try:
            address = f"http://127.0.0.1:{port_in(log)}/session"
            args = [*FLAGS.split(), f"--user-data-dir={home}/profile", f"--host-resolver-rules={hosts}"]
            options = {"binary": shutil.which("chromium"), "args": args}
            wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
            opener = Browser(address.removesuffix("/session"))
            session = opener.call("session", **wanted)["sessionId"]
            opened = Browser(f"{address}/{session}")
            yield opened
            opened.http.delete(opened.address, timeout=60)
        finally:
            driver.terminate()
            driver.wait()


def port_in(log: Path) -> str:
    """Wait until the driver has written into its log which port it has chosen, and return the port."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        said = log.read_text()
        if "started successfully on port " in said:
            return said.rpartition("started successfully on port ")[2].split(".")[0]
        time.sleep(0.05)
    raise AssertionError(f"chromedriver did not start: {log.read_text()}")
