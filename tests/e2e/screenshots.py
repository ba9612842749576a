"""Make the pictures of docs/screenshots: the page on a phone, and the developer's panel beside it.

`python -m tests.e2e.screenshots` brings up the demo's stack and plays each state as the browser tests do.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from playwright.sync_api import ViewportSize, expect

from local import ROOT
from local.keys import ReceiptNumber
from local.stack import SIM_NUMBER, Options
from tests.e2e.browser import DESK, PHONE, LoginPage, chromium, find_chromium
from tests.e2e.flows import other
from tests.support.stacks import start

FOLDER: Final = ROOT / "docs" / "screenshots"


def ready(phone: LoginPage) -> None:
    phone.agree()
    phone.number.fill(SIM_NUMBER)
    phone.ready()


def mismatch(phone: LoginPage) -> None:
    phone.agree()
    phone.enter(other(SIM_NUMBER))
    phone.shows("#phone-error", "这不是本机号码")


def signed_in(phone: LoginPage, query: str = "?panel=off") -> None:
    phone.show(query)
    phone.page.check("#consent")
    phone.enter(SIM_NUMBER)
    phone.signed_in()


def panel_signed_in(phone: LoginPage) -> None:
    signed_in(phone, query="")
    expect(phone.page.locator(".step").nth(18)).to_have_attribute("data-state", "done")
    phone.page.locator(".step").nth(0).scroll_into_view_if_needed()


def panel_cheats(phone: LoginPage) -> None:
    signed_in(phone, query="")
    cheats = phone.page.locator(".cheats button:enabled")
    for button in cheats.all():
        button.click()
    expect(phone.page.locator(".outcome[data-state=refused]")).to_have_count(cheats.count())
    phone.page.locator(".receipt").scroll_into_view_if_needed()


PICTURES: Final[dict[str, tuple[Callable[[LoginPage], None], ViewportSize]]] = {
    "ready-390-light": (ready, PHONE),
    "signed-in-390-light": (signed_in, PHONE),
    "mismatch-390-dark": (mismatch, PHONE),
    "panel-signed-in-light": (panel_signed_in, DESK),
    "panel-cheats-light": (panel_cheats, DESK),
}


def main() -> None:
    """Make all pictures."""
    path = find_chromium()
    if path is None:
        sys.exit("screenshots: no Chromium here; CHROMIUM=/path/to/one names it")
    options = Options(receipts=ReceiptNumber.ENCRYPTED, log=Path("/dev/null"))
    with start(options) as stack, chromium(path) as browser:
        for name, (play, size) in PICTURES.items():
            with browser.new_context(
                viewport=size,
                device_scale_factor=1 if size is DESK else 1.5,
                is_mobile=size is not DESK,
                color_scheme="dark" if name.endswith("dark") else "light",
                locale="zh-CN",
                reduced_motion="reduce",
            ) as context:
                phone = LoginPage(stack, context, SIM_NUMBER)
                phone.control("DELETE", "attempts")
                play(phone)
                phone.page.screenshot(path=FOLDER / f"{name}.png", animations="disabled", caret="hide")


if __name__ == "__main__":
    main()
