"""Chromium, and what it shows of a page that reports on itself."""

from __future__ import annotations

import pytest

from tests import peers

SECONDS = 30


def result_of(url: str) -> str:
    """The text of the page's element "result", once it says more than "waiting".

    Chromium alone can write out a page only when it thinks that nothing more comes, and does not wait
    for a WebSocket.
    """
    chromium = peers.require("chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-quic"])
        try:
            page = browser.new_page()
            page.goto(url)
            shown = "document.getElementById('result').textContent"
            page.wait_for_function(f"{shown} != 'waiting'", timeout=SECONDS * 1000)
            return str(page.evaluate(shown))
        finally:
            browser.close()
