"""The demo's business back end, with the receipts of tests/support/receipts.py."""

import hmac
from typing import Any

import pytest
from werkzeug import Request
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, TestResponse

from cmpassport.clock import utc_now
from local.business import Business
from tests.support.receipt_secrets import HASH_KEY
from tests.support.receipts import AUDIENCE, NUMBER, Issuer

ACCOUNT = {"phoneNumHash": hmac.digest(HASH_KEY.encode(), NUMBER.encode(), "sha256").hex()}


class Browser(Client):
    """One browser's cookies, its requests as a page makes them, and receipts as the API signs them for it."""

    def __init__(self, business: Business, issuer: Issuer) -> None:
        application = Request.application(business.answer)
        super().__init__(DispatcherMiddleware(NotFound(), {"/business": application}))
        self.business, self.issuer = business, issuer

    def ask(self, path: str, body: Any = None, origin: str = AUDIENCE) -> TestResponse:
        return self.post(f"/business/{path}", json=body, headers={"Origin": origin})

    def receipt(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a receipt for a fresh nonce."""
        nonce = self.ask("nonce").json["nonce"]  # type: ignore[index]  # an object
        return self.issuer.genuine().changed(header=header, claims={"nonce": nonce, **claims})

    def log_in(self, receipt: Any) -> tuple[int, Any]:
        return result(self.ask("login", {"receipt": receipt}))

    def account(self) -> tuple[int, Any]:
        return result(self.get("/business/session"))

    @property
    def cookie(self) -> Any:
        return self.get_cookie("business_session", path="/business")


def result(response: TestResponse) -> tuple[int, Any]:
    assert response.headers["cache-control"] == "no-store"
    content: Any = response.json
    return response.status_code, content if response.status_code == 200 else content["code"]


@pytest.fixture
def browser(issuer: Issuer) -> Browser:
    return Browser(Business(AUDIENCE, issuer.address, None, utc_now), issuer)


def test_a_nonce_and_so_a_receipt_is_good_for_one_attempt_of_one_browser(browser: Browser) -> None:
    thief = Browser(browser.business, browser.issuer)
    first, stolen = browser.receipt(), browser.receipt()
    thief.receipt()
    assert browser.account() == (401, "not_logged_in")

    assert thief.log_in(stolen) == (401, "wrong_nonce")
    assert browser.log_in(first) == (401, "wrong_nonce")  # a newer nonce has taken its place
    assert browser.log_in(stolen) == (401, "wrong_nonce")  # and that attempt has spent it
    good, before = browser.receipt(), browser.cookie
    assert browser.log_in(good) == (200, ACCOUNT)
    assert before.value != browser.cookie.value
    assert (browser.cookie.http_only, browser.cookie.same_site) == (True, "Strict")
    assert browser.log_in(good) == (401, "wrong_nonce")


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("wrong_aud", {"aud": "https://stranger.example"}),
        ("wrong_iss", {"iss": "https://stranger.example"}),
        ("wrong_nonce", {"nonce": ""}),
        ("expired", {"exp": 1}),
        ("malformed", {"header": {"typ": "JWT"}}),
        ("unknown_key", {"header": {"kid": "another"}}),
    ],
)
def test_a_refused_receipt_names_its_reason_and_changes_no_login(
    browser: Browser, code: str, change: dict[str, Any]
) -> None:
    browser.log_in(browser.receipt())

    assert browser.log_in(browser.receipt(**change)) == (401, code)

    assert browser.account() == (200, ACCOUNT)


def test_without_the_apis_keys_nobody_is_refused_for_good(issuer: Issuer) -> None:
    browser = Browser(Business(AUDIENCE, "http://127.0.0.1:1", None, utc_now), issuer)

    assert browser.log_in(browser.receipt()) == (503, "keys_unavailable")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"receipt": 7}', b"[" * 16000])
def test_what_is_no_login_costs_no_nonce(browser: Browser, body: bytes) -> None:
    good = browser.receipt()

    foreign = browser.ask("login", {"receipt": good}, origin="http://127.0.0.1:1")
    response = browser.post("/business/login", data=body, headers={"Origin": AUDIENCE})

    assert result(foreign) == (403, "origin_not_allowed")
    assert result(response) == (400, "invalid_request")
    assert browser.log_in(good) == (200, ACCOUNT)
