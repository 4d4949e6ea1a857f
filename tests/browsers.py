"""A browser for tests of pages."""

from __future__ import annotations

from contextlib import contextmanager

from playwright.sync_api import sync_playwright

from needs import require


@contextmanager
def chromium():
    """Debian's Chromium, while the block runs."""
    with sync_playwright() as playwright:
        # Root, as in a container, may not have a sandbox.
        started = playwright.chromium.launch(
            executable_path=require("chromium"), args=["--no-sandbox"]
        )
        yield started
        started.close()


def watched(page):
    """``page``, whose errors and requests are kept in its ``told``."""
    page.told = []
    page.on("console", lambda message: page.told.append(message.text))
    page.on("pageerror", lambda error: page.told.append(str(error)))
    page.on("request", lambda request: page.told.append(request.url))
    return page
