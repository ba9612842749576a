"""A phone with a browser: headless Chromium with a phone's viewport, and the login page on it.

Used by the browser tests and by what makes the screenshots. Everything that a page complains about (console,
uncaught errors, refusals by its Content-Security-Policy) is kept, so that a test can insist on silence.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
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
FAILED_REQUEST: Final = "Failed to load resource"
BLOCKED_BY_CORS: Final = "Access to fetch at"

expect.set_options(timeout=15_000)  # milliseconds; a busy machine is slow, not wrong

_NOTES: Final = """
  window.violations = [];
  document.addEventListener('securitypolicyviolation', (event) =>
    violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  window.steps = [];
  document.addEventListener('number-verification:step', ({ detail }) =>
    steps.push(`${detail.name} ${detail.state}`));
"""


def find_chromium() -> str | None:
    """Return the path of a Chromium: what CHROMIUM says, or the first one on the PATH."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if name and (path := shutil.which(name))), None)


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """Start a headless Chromium that asks nothing of anybody but the pages it is sent to."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=[
                "--no-sandbox",
                "--disable-background-networking",
                "--disable-component-update",
                # A page that a test makes up comes from no address, and may talk to loopback all the same.
                "--disable-features=LocalNetworkAccessChecks",
            ],
        )
        try:
            yield browser
        finally:
            browser.close()


class ChromiumPage:
    """Playwright's page in the words of the flows."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.run = page.evaluate
        self.press = page.keyboard.press
        self.tap = page.click

    def open(self, address: str) -> None:
        """Open an address, and wait until the page has run its scripts."""
        self._page.goto(address, wait_until="domcontentloaded")


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
        self._hanging: list[Route] = []
        self.page.add_init_script(_NOTES)
        # A tab has its session storage for itself: a new one finds the phone as it came from the shop.
        self.page.add_init_script(
            "if (!sessionStorage.begun) { sessionStorage.begun = true; localStorage.clear();"
            f"localStorage['simulator.sim'] = '{sim}'; }}"
        )
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        self.page.on("request", self._saw)

    def _saw(self, request: PageRequest) -> None:
        self.requests.append(request)

    def _hold(self, route: Route) -> None:
        self._hanging.append(route)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")

    def show(self, query: str = "?panel=off", **configuration: object) -> None:
        """Open the page, with another configuration if need be: None leaves a member out."""
        address = f"{self.stack.page}/{query}"
        if configuration:
            self.page.route(address, lambda route: self._configured(route, configuration))
        self.engine.open(address)

    def _configured(self, route: Route, configuration: dict[str, Any]) -> None:
        response = route.fetch()
        head, mark, rest = response.text().partition('id="configuration">')
        text, end, tail = rest.partition("</script>")
        members = {
            name: value for name, value in {**json.loads(text), **configuration}.items() if value is not None
        }
        route.fulfill(response=response, body=f"{head}{mark}{json.dumps(members)}{end}{tail}")

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

    def says(self, selector: str, text: str) -> None:
        """Wait until an element says this, among other things."""
        expect(self.page.locator(selector)).to_contain_text(text)

    def hang(self, pattern: str) -> None:
        """Have requests to these addresses get no answer, until `let_go`."""
        self.page.route(pattern, self._hold)

    def let_go(self) -> None:
        """Drop what hangs."""
        while self._hanging:
            with suppress(Error):  # the page has gone on
                self._hanging.pop().abort()

    def answer(self, status: int, body: dict[str, Any], path: str = "/verify") -> None:
        """Have the API answer like this."""
        headers = {
            "access-control-allow-origin": self.stack.page,
            "access-control-allow-headers": "content-type",
        }
        self.page.route(
            f"{self.stack.api}{path}", lambda route: route.fulfill(status=status, headers=headers, json=body)
        )

    def fault(self, name: str, **parameters: object) -> None:
        """Have the platform fail, the next time unless `times` says otherwise."""
        self.control("POST", "faults", {"fault": name, **parameters})

    def posted(self, address: str) -> list[dict[str, Any]]:
        """Return what the page has posted to an address of the API or of its own origin."""
        paths = {f"{self.stack.api}{address}", f"{self.stack.page}{address}"}
        return [
            json.loads(request.post_data or "")
            for request in self.requests
            if request.method == "POST" and urlsplit(request.url)._replace(query="").geturl() in paths
        ]

    def violations(self) -> list[str]:
        """Return what the page's Content-Security-Policy has refused."""
        found: list[str] = self.page.evaluate("window.violations || []")
        return found

    def unprovoked(self) -> list[str]:
        """Return the complaints that the test did not provoke."""
        return [
            complaint
            for complaint in self.complaints
            if not any(complaint.partition(": ")[2].startswith(words) for words in self.tolerated)
        ]
