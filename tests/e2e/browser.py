"""A phone with a browser: headless Chromium with a phone's viewport, and the login page on it.

Used by the browser tests and by what makes the screenshots. Everything that a page complains about (console,
uncaught errors, refusals by its Content-Security-Policy) is kept, so that a test can insist on silence.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Self
from urllib.request import Request, urlopen

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Route,
    expect,
    sync_playwright,
)
from playwright.sync_api import Request as PageRequest

from local.stack import Stack

PHONE = (390, 844)
SMALL_PHONE = (320, 568)
DESK = (1280, 900)

expect.set_options(timeout=15_000)  # milliseconds; a busy machine is slow, not wrong

Network = Literal["cellular", "wifi", "unknown"]

_NOTE_VIOLATIONS = """
  window.cspViolations = [];
  document.addEventListener('securitypolicyviolation', (event) =>
    window.cspViolations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


def find_chromium() -> str | None:
    """Give the path of a Chromium: what CHROMIUM says, or the first one on the PATH."""
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


@dataclass
class LoginPage:
    """The login page of a stack, on a phone.

    Attributes
    ----------
    tolerated
        Beginnings of console messages that this test has provoked.
    complaints
        What the console and the scripts have said.
    requests
        What the page has asked for.
    verified_bodies
        What it has posted to /verify.
    """

    stack: Stack
    page: Page
    tolerated: tuple[str, ...] = ()
    complaints: list[str] = field(default_factory=list)
    requests: list[PageRequest] = field(default_factory=list)
    verified_bodies: list[dict[str, Any]] = field(default_factory=list)
    _inserted: int = 0
    _hanging: list[Route] = field(default_factory=list)

    @classmethod
    def on(cls, stack: Stack, context: BrowserContext) -> Self:
        """Make a page that notes what it complains about and what it posts to /verify."""
        page = context.new_page()
        phone = cls(stack, page)
        page.add_init_script(_NOTE_VIOLATIONS)
        page.on("console", phone._heard)
        page.on("pageerror", lambda error: phone.complaints.append(f"uncaught: {error}"))
        page.on("request", phone._saw)
        return phone

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")

    def _saw(self, request: PageRequest) -> None:
        self.requests.append(request)
        if request.method == "POST" and request.url == f"{self.stack.api}/verify":
            self.verified_bodies.append(json.loads(request.post_data or ""))

    # ---- the phone

    def insert(self, sim: str, network: Network = "cellular") -> None:
        """Insert a SIM (empty: its number is never told) and choose the network, from the next page on."""
        self._inserted += 1
        self.page.add_init_script(
            f"""if (!sessionStorage['inserted.{self._inserted}']) {{
                  sessionStorage['inserted.{self._inserted}'] = true;
                  localStorage['simulator.sim'] = {json.dumps(sim)};
                  localStorage['simulator.network'] = {json.dumps(network)};
                }}"""
        )

    def hang(self, pattern: str) -> None:
        """Have requests to these addresses get no answer, until `let_go`."""
        self.page.route(pattern, self._hold)

    def _hold(self, route: Route) -> None:
        self._hanging.append(route)

    def let_go(self) -> None:
        """Drop what hangs."""
        while self._hanging:
            self._hanging.pop().abort()

    def open(self, query: str = "?panel=off", origin: str | None = None) -> None:
        """Open the page, without the developer's panel unless the query says otherwise."""
        self.page.goto(f"{origin or self.stack.page}/{query}", wait_until="domcontentloaded")

    # ---- what the user sees and does

    @property
    def number(self) -> Locator:
        """The field of the number."""
        return self.page.locator("#phone")

    @property
    def submit(self) -> Locator:
        """The button that signs in, or tries again."""
        return self.page.locator("#submit")

    @property
    def other(self) -> Locator:
        """The button of the other way to sign in."""
        return self.page.locator("#other")

    @property
    def text(self) -> Locator:
        """The sentence under the notice's title."""
        return self.page.locator("#text")

    def shows(self, title: str) -> None:
        """Wait until the notice has this title."""
        expect(self.page.locator("#title")).to_have_text(title)

    def ready(self) -> None:
        """Wait until the page has a token."""
        self.shows("可以登录了")

    def sign_in(self, number: str) -> None:
        """Type a number and tap."""
        self.number.fill(number)
        self.submit.click()

    def signed_in(self) -> None:
        """Wait until the page says that it is done."""
        expect(self.page.locator("#signed-in")).to_be_visible()

    # ---- the platform

    def fault(self, name: str, **parameters: object) -> None:
        """Have the platform fail, the next time unless `times` says otherwise."""
        self.control("POST", "faults", {"fault": name, **parameters})

    def journal(self, name: str) -> list[dict[str, Any]]:
        """Give what the platform saw of one kind."""
        return [entry for entry in self.control("GET", "journal")["entries"] if entry["name"] == name]

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Ask the simulator's developer side."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.stack.platform}/simulator/{path}", data=data, method=method)  # noqa: S310 - loopback
        with urlopen(request, timeout=10) as response:  # noqa: S310 - loopback
            return json.load(response)

    # ---- silence

    def violations(self) -> list[str]:
        """Give what the page's Content-Security-Policy has refused."""
        found: list[str] = self.page.evaluate("window.cspViolations")
        return found

    def unprovoked(self) -> list[str]:
        """Give the complaints that the test did not provoke."""
        return [
            complaint
            for complaint in self.complaints
            if not any(complaint.partition(": ")[2].startswith(words) for words in self.tolerated)
        ]
