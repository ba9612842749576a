"""One browser for all browser tests; a fresh phone for each, which may not complain."""

import os
from collections.abc import Callable, Iterator
from importlib.resources import files
from itertools import count

import pytest
from playwright.sync_api import Browser, BrowserContext

from local.stack import Stack
from tests.e2e.browser import DESK, PHONE, LoginPage, chromium, find_chromium
from tests.support.planted import plant

AXE_OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
_numbers = count(13_700_000_000)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        (pytest.fail if os.environ.get("ALL_PARTS") else pytest.skip)("no Chromium on this machine")
    with chromium(path) as browser:
        yield browser


@pytest.fixture
def sim() -> str:
    """A number that no other test has spent an attempt of."""
    number = str(next(_numbers))
    plant(number)
    return number


@pytest.fixture(scope="package")
def context(browser: Browser) -> BrowserContext:
    context = browser.new_context(
        viewport=PHONE, is_mobile=True, has_touch=True, locale="zh-CN", reduced_motion="reduce"
    )
    context.new_page()  # Its window stays, so that each phone is a tab: a window takes four times as long.
    return context


@pytest.fixture
def phone(context: BrowserContext, stack: Stack, sim: str) -> Iterator[LoginPage]:
    """A phone with that SIM, on mobile data, on a platform without faults."""
    context.clear_cookies()
    phone = LoginPage(stack, context, sim)
    phone.control("DELETE", "faults")
    phone.control("DELETE", "journal")
    yield phone
    phone.page.close()
    assert phone.complaints == []


@pytest.fixture
def desk(phone: LoginPage) -> LoginPage:
    """The page with its panel, on a screen wide enough for both, its terms accepted."""
    phone.page.set_viewport_size(DESK)
    phone.show(query="")
    phone.page.check("#consent")
    return phone


@pytest.fixture
def axe(phone: LoginPage) -> Callable[..., None]:
    """Check what the phone shows, in the given colour schemes."""
    source = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")

    def check(*schemes: str) -> None:
        if not phone.page.evaluate("typeof axe === 'object'"):
            phone.page.evaluate(source)
        for scheme in schemes:
            phone.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            # Nothing but colours differs in the dark.
            options = AXE_OPTIONS if scheme == schemes[0] else {"runOnly": ["color-contrast"]}
            found = phone.page.evaluate(
                """(options) => axe.run(document, options).then(({ violations }) => violations.flatMap(
                     ({ nodes }) => nodes.map((node) => `${node.target}: ${node.failureSummary}`)))""",
                options,
            )
            assert found == [], scheme

    return check
