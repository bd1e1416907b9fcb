"""One browser for the tests of the page: found on this machine, never downloaded."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> str:
    """The path of a Chromium, or a failed test that says how to get one."""
    given = os.environ.get("VI_VS_MCMC_CHROMIUM")
    found = given or next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None or not Path(found).exists():
        pytest.fail(
            (f"no browser at {given}" if given else f"none of {', '.join(NAMES)} is installed")
            + ": install one (Debian: apt-get install chromium) or name its path in VI_VS_MCMC_CHROMIUM",
            pytrace=False,
        )
    return found


@contextmanager
def launched() -> Iterator[Browser]:
    """A running browser."""
    path = find_browser()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=QUIET)
        yield browser
        browser.close()


class Visit:
    """An open page, offline, with everything it said and asked for."""

    def __init__(
        self, browser: Browser, path: Path, *, width: int = 1440, theme: str = "light", motion: str = "reduce"
    ):
        self.context = browser.new_context(
            viewport={"width": width, "height": 1000},
            color_scheme=theme,  # pyright: ignore[reportArgumentType]
            reduced_motion=motion,  # pyright: ignore[reportArgumentType]
            offline=True,
            accept_downloads=True,
        )
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda m: self.said.append(m.text[:300]))
        self.page.on("pageerror", lambda e: self.said.append(str(e)[:300]))
        self.page.on("request", lambda r: self.asked.append(r.url[:100]))
        self.page.goto(path.resolve().as_uri())

    def draw_all(self) -> None:
        """Make the window as tall as the page, so that every figure is drawn."""
        size = self.page.viewport_size or {"width": 1440, "height": 1000}
        height = self.page.evaluate("document.documentElement.scrollHeight")
        self.page.set_viewport_size({"width": size["width"], "height": height + 2000})
        self.wait_until_drawn()

    def wait_until_drawn(self) -> None:
        """Wait for every figure by asking again: the page forbids the eval of playwright's own way."""
        plots = "[...document.querySelectorAll('.plot')]"
        missing = f"{plots}.filter(e => !e.querySelector('.main-svg')).map(e => e.id)"
        deadline = time.monotonic() + 15
        while left := self.page.evaluate(missing):
            assert time.monotonic() < deadline, f"not drawn after 15 s: {', '.join(left)}"
            self.page.wait_for_timeout(50)

    def draw(self, *figures: str) -> None:
        """Bring figures into sight, so that they are drawn."""
        for figure in figures:
            self.page.locator(f"#{figure}").scroll_into_view_if_needed()
            self.page.wait_for_selector(f"#{figure} .main-svg")

    def close(self) -> None:
        """Close the page."""
        self.context.close()
