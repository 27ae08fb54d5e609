"""A real browser for the status page: Debian's Chromium, headless, that speaks to nobody else."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-prefers-reduced-motion",
)
PATIENCE = 15.0
T = TypeVar("T")


class Browser:
    """One window; `see` and `wait` look at what a reader of the page sees."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def command(self, name: str, **parameters: Any) -> Any:
        """One command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def open(self, url: str, *, token: str | None = None) -> None:
        """Open the page as somebody who has never been there, and sign in."""
        self.driver.get("about:blank")
        self.driver.get(url)
        if token is not None:
            self.find("#token").send_keys(token)
            self.find("#enter button").click()

    def look(
        self, width: int = 1440, height: int = 900, *, dark: bool = False, scale: float = 1
    ) -> None:
        """The size of the window, and whether the reader prefers the dark."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 500,  # a phone
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.command("Emulation.setEmulatedMedia", features=features)

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of *script* in the page."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> WebElement:
        """The element, as soon as there is one."""
        return self.wait(lambda: next(iter(self.all(selector)), None), selector)

    def all(self, selector: str) -> list[WebElement]:
        """The elements that are there now."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """What the elements say, as a reader sees it."""
        return str(
            self.run(
                "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText).join('\\n')",
                selector,
            )
        )

    def wait(self, happens: Callable[[], T | None], what: str = "it") -> T:
        """The first value of *happens* that is true."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                found = happens()
            except StaleElementReferenceException:
                found = None
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not come: {self.text('body')[:2000]}")
            time.sleep(0.03)

    def sees(self, text: str, selector: str = "body") -> None:
        """Wait until *text* is to be read."""
        self.wait(lambda: text in self.text(selector), repr(text))

    def complaints(self) -> list[str]:
        """What the console has said since the last time, that was no mere word."""
        log = self.driver.get_log("browser")
        return [str(one["message"]) for one in log if one["level"] in {"SEVERE", "WARNING"}]

    def picture(self, path: Path) -> None:
        """Write what is in the window as PNG."""
        self.driver.save_screenshot(str(path))


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with nothing in it, until the end."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert chromium, "chromium is missing: apt-get install chromium"
    assert driver, "chromedriver is missing: apt-get install chromium-driver"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = Options()
        options.binary_location = chromium
        for flag in (*FLAGS, f"--user-data-dir={folder}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        with webdriver.Chrome(options=options, service=Service(driver)) as made:
            yield Browser(made)
