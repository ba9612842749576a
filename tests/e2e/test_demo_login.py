"""What `make demo` shows: receipts with the encrypted number, which the business back end alone can read."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from local.keys import ReceiptNumber
from local.stack import Options, Stack
from tests.e2e.browser import DESK, LoginPage
from tests.support.planted import leaks
from tests.support.stacks import start


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The demo's stack."""
    log = tmp_path_factory.mktemp("demo") / "functions.log"
    with start(Options(receipts=ReceiptNumber.ENCRYPTED, log=log)) as stack:
        yield stack
    assert not leaks(log.read_text())


@pytest.fixture
def desk(phone: LoginPage) -> LoginPage:
    """The page with its panel."""
    phone.page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
    phone.open(query="")
    return phone


def test_the_back_end_has_the_number_itself_and_the_receipt_hides_it(desk: LoginPage, sim: str) -> None:
    desk.sign_in(sim)
    desk.signed_in()

    expect(desk.page.locator("#account")).to_have_text(f"{sim[:3]} {sim[3:7]} {sim[7:]}")
    expect(desk.page.locator(".step").nth(19)).to_contain_text(sim)
    expect(desk.page.locator(".said")).to_contain_text("phoneNumJwe")
    expect(desk.page.locator(".said")).not_to_contain_text(sim)


def test_whoever_puts_another_encrypted_number_in_is_refused(desk: LoginPage, sim: str) -> None:
    desk.tolerated = ("Failed to load resource",)
    desk.sign_in(sim)
    desk.signed_in()

    desk.page.get_by_role("button", name="改号码", exact=True).click()
    expect(desk.page.locator(".outcome[data-state]")).to_contain_text("401 · bad_signature")
