"""The app's server as a user starts it, and Chromium to look at it with."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "out" / "app"
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
WIDTHS = (1280, 400)
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 90_000
"""Milliseconds that an answer may take on a busy machine."""


@contextmanager
def app_server(folder: Path) -> Iterator[str]:
    """`sna-eval app` on a free port; yields its address once it answers."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).parent / "sna-eval"), "app", "--no_browser"]
    environment = {**os.environ, "SNA_EVAL_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)], cwd=folder, env=environment, stdout=log, stderr=log
        )
        try:
            wait_for(f"http://localhost:{port}/_stcore/health", process)
            yield f"http://localhost:{port}"
        finally:
            process.terminate()
            process.wait(30)


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(address)


@contextmanager
def chromium() -> Iterator[Any]:
    """Playwright's browser, run from Debian's Chromium with an empty profile."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """One browser session."""

    def __init__(self, browser: Any, address: str, folder: Path) -> None:
        self.context = browser.new_context(
            viewport={"width": WIDTHS[0], "height": 900}, accept_downloads=True
        )
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.address, self.folder = address, folder
        self.foreign: list[str] = []
        self.page.on("request", self._note)

    def _note(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.foreign.append(request.url)

    def open(self, path: str) -> None:
        self.page.goto(f"{self.address}/{path}")
        self.page.get_by_role("heading", level=1).wait_for()
        self.settle()

    def settle(self) -> None:
        """Waits until the server has answered what was last done."""
        self.page.wait_for_timeout(300)
        self.page.locator('[data-test-script-state="running"]').wait_for(state="detached")
        self.page.wait_for_timeout(200)

    def type(self, label: str, text: str) -> None:
        box = self.page.get_by_label(label, exact=True).first
        box.fill(text)
        box.press("Control+Enter" if box.evaluate("e => e.tagName") == "TEXTAREA" else "Enter")
        self.settle()

    def choose(self, label: str, option: str) -> None:
        self.page.get_by_role("combobox", name=label).first.click()
        self.page.get_by_role("option", name=option, exact=True).first.click()
        self.settle()

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).first.click()
        self.settle()

    def unfold(self, name: str) -> None:
        self.page.locator("summary").filter(has_text=name).first.click()
        self.settle()

    def value(self, label: str) -> str:
        return str(self.page.get_by_label(label, exact=True).first.input_value())

    def exact(self, name: str) -> float:
        """A number of the table "Exact numbers"."""
        return float(self.page.locator(f'[data-name="{name}"]').first.text_content())

    def save(self, button: str) -> Path:
        with self.page.expect_download() as waiting:
            self.page.get_by_role("button", name=button, exact=True).first.click()
        path = self.folder / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path

    def shoot(self, name: str) -> None:
        """Screenshots of the whole page, wide and narrow."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.mouse.move(WIDTHS[-1] - 2, 60)  # no tooltip
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 900})
            self.page.wait_for_timeout(700)
            height = self.page.locator('[data-testid="stMain"]').evaluate("e => e.scrollHeight")
            self.page.set_viewport_size({"width": width, "height": min(height + 40, 8000)})
            self.page.wait_for_timeout(700)
            assert self.page.evaluate("document.documentElement.scrollWidth") <= width
            self.page.screenshot(path=SHOTS / f"{name}-{width}.png")
        self.page.set_viewport_size({"width": WIDTHS[0], "height": 900})
        self.page.wait_for_timeout(300)

    def close(self) -> None:
        shown = self.page.locator("body").inner_text()
        assert "Traceback" not in shown
        self.context.close()
        assert self.foreign == []
