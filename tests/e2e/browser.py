"""A phone with a browser: headless Chromium with a phone's viewport, and the login page on it.

Used by the browser tests and by what makes the screenshots. What a page complains about, on the console or by
an uncaught error, is kept, so that a test can insist on silence.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    Error,
    Locator,
    Page,
    Route,
    ViewportSize,
    expect,
    sync_playwright,
)
from playwright.sync_api import Request as PageRequest

from local.stack import Stack
from tests.e2e.flows import Phone

PHONE: Final = ViewportSize(width=390, height=844)
SMALL_PHONE: Final = ViewportSize(width=320, height=568)
DESK: Final = ViewportSize(width=1280, height=900)
LOUD: Final = ("error", "warning")
FAILED_REQUEST: Final = "Failed to load resource"
BLOCKED_BY_CORS: Final = "Access to fetch at"

# Each would take memory: the address bar, which nobody sees, and a process for a page that may come.
NEEDLESS: Final = "WebUIOmniboxPopup,WebUIOmniboxAimPopup,SpareRendererForSitePerProcess"
SWITCHES: Final = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--in-process-gpu",
    # A page that a test makes up comes from no address, and may talk to loopback all the same.
    f"--disable-features={NEEDLESS},LocalNetworkAccessChecks",
)

expect.set_options(timeout=15_000)  # milliseconds; a busy machine is slow, not wrong


def find_chromium() -> str | None:
    """Return the path of a Chromium: what CHROMIUM says, or the first one on the PATH."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if name and (path := shutil.which(name))), None)


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """Start a headless Chromium that asks nothing of anybody but the pages it is sent to."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=SWITCHES)
        try:
            yield browser
        finally:
            browser.close()


class ChromiumPage:
    """Playwright's page in the words of the flows."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.press = page.keyboard.press
        self.tap = page.click

    def open(self, address: str) -> None:
        """Open an address, and wait until the page has run its scripts."""
        self._page.goto(address, wait_until="domcontentloaded")

    def run(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        with suppress(Error):  # of a page that is just left
            return self._page.evaluate(expression)
        return self._page.evaluate(expression)

    def compose(self, digit: str) -> None:
        """Have an input method compose a digit."""
        session = self._page.context.new_cdp_session(self._page)
        for text in ("u", "u3"):
            session.send("Input.imeSetComposition", {"text": text, "selectionStart": 2, "selectionEnd": 2})
        session.send("Input.insertText", {"text": digit})


class LoginPage(Phone):
    """The login page of a stack in Chromium.

    Attributes
    ----------
    tolerated
        Beginnings of console messages that this test has provoked.
    complaints
        What the console and the scripts have said.
    requests
        What the page has asked for.
    """

    def __init__(self, stack: Stack, context: BrowserContext, sim: str) -> None:
        self.page = context.new_page()
        super().__init__(stack, ChromiumPage(self.page), sim)
        self.tolerated: tuple[str, ...] = ()
        self.complaints: list[str] = []
        self.requests: list[PageRequest] = []
        # A tab has its session storage for itself: a new one finds the phone as it came from the shop.
        self.page.add_init_script(
            "if (!sessionStorage.begun) { sessionStorage.begun = true; localStorage.clear();"
            f"localStorage['simulator.sim'] = '{sim}'; }}"
            "window.steps = []; document.addEventListener('number-verification:step',"
            "({ detail }) => steps.push(`${detail.name} ${detail.state}`));"
        )
        self.page.on("console", lambda said: self._complain(said.text) if said.type in LOUD else None)
        self.page.on("pageerror", lambda error: self._complain(error.message))
        self.page.on("request", lambda request: self.requests.append(request))  # noqa: PLW0108

    def _complain(self, text: str) -> None:
        if not text.startswith(self.tolerated):
            self.complaints.append(text)

    def show(self, query: str = "?panel=off", **configuration: object) -> None:
        """Open the page, with other members in its configuration if need be."""
        address = f"{self.stack.page}/{query}"

        def configured(route: Route) -> None:
            response = route.fetch()
            html = response.text()
            (block,) = re.findall(r'id="configuration">(.*?)</script>', html, re.DOTALL)
            body = html.replace(block, json.dumps(json.loads(block) | configuration))
            route.fulfill(response=response, body=body)

        if configuration:
            self.page.route(address, configured)
        self.engine.open(address)

    def agree(self) -> None:
        """Open the page and accept the terms."""
        self.show()
        self.page.check("#consent")

    def enter(self, number: str) -> None:
        """Write a number at once, and tap."""
        self.number.fill(number)
        self.page.click("#submit")

    @property
    def number(self) -> Locator:
        """The field of the number."""
        return self.page.locator("#phone")

    def hang(self, pattern: str) -> None:
        """Have requests to these addresses get no answer."""
        self.page.route(pattern, lambda _: None)

    def answer(self, status: int, body: object, pattern: str = "**/verify") -> None:
        """Have requests to these addresses answered like this."""
        allow = "access-control-allow"
        headers = {f"{allow}-origin": self.stack.page, f"{allow}-headers": "content-type"}
        self.page.route(pattern, lambda route: route.fulfill(status=status, headers=headers, json=body))

    def fault(self, name: str, **parameters: object) -> None:
        """Have the platform fail, the next time unless `times` says otherwise."""
        self.control("POST", "faults", {"fault": name, **parameters})

    def posted(self, path: str) -> list[Any]:
        """Return what the page has posted to a path of the API or of its own origin."""
        return [
            request.post_data_json
            for request in self.requests
            if request.method == "POST" and urlsplit(request.url).path == path
        ]
