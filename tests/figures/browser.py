"""Drives headless Chromium through chromedriver's own protocol (W3C WebDriver over HTTP): no further library is needed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip


def why_not() -> str:
    """Why no browser can be driven here; empty when one can."""
    if not (shutil.which("chromium") or shutil.which("google-chrome")):
        return "Chromium is not installed (Debian: apt-get install chromium chromium-driver)"
    return (
        ""
        if shutil.which("chromedriver")
        else "chromedriver is not installed (Debian: apt-get install chromium-driver)"
    )


class Page:
    """One open page."""

    def __init__(self, address: str) -> None:
        self._address = address

    def open(self, path: Path) -> None:
        """Load a file."""
        self._call("/url", {"url": path.resolve().as_uri()})

    def run(self, script: str) -> Any:
        """What a piece of JavaScript returns."""
        return self._call("/execute/sync", {"script": script, "args": []})

    def log(self, kind: str) -> list[dict[str, Any]]:
        """What the browser logged since the last look: ``browser`` is the console, ``performance`` the network."""
        return self._call("/se/log", {"type": kind})

    def screenshot(self) -> str:
        """The visible part as PNG in base64."""
        return self._call("/screenshot", None)

    def _call(self, path: str, body: dict[str, Any] | None) -> Any:
        return call(self._address + path, body)


def call(address: str, body: dict[str, Any] | None, *, method: str | None = None) -> Any:
    """One command of the protocol."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data=data, method=method, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["value"]


@contextmanager
def open_browser(profile: Path, *, width: int, height: int) -> Iterator[Page]:
    """A browser with a screen of this size in CSS pixels, in a profile folder of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(
        [shutil.which("chromedriver") or "chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address)
        session = call(f"{address}/session", {"capabilities": {"alwaysMatch": _capabilities(profile, width, height)}})
        here = f"{address}/session/{session['sessionId']}"
        try:
            yield Page(here)
        finally:
            call(here, None, method="DELETE")
    finally:
        driver.terminate()
        driver.wait(timeout=20)


def _capabilities(profile: Path, width: int, height: int) -> dict[str, Any]:
    screen = {
        "deviceMetrics": {"width": width, "height": height, "pixelRatio": 2.0, "mobile": width < 600, "touch": True}
    }
    return {
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        "goog:chromeOptions": {"args": [*_FLAGS, f"--user-data-dir={profile}"], "mobileEmulation": screen},
    }


def _wait_for(address: str) -> None:
    for _ in range(100):
        try:
            if call(f"{address}/status", None)["ready"]:
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError(f"chromedriver must answer within 10 seconds, however: silence at {address}.")
