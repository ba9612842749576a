"""The demo's business back end, with a server that publishes keys."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from werkzeug import Request, Response
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, TestResponse

from local.business import Business
from local.server import Server
from tests.support.fakes import FakeClock

PAGE = "https://page.example"
KEY = ECKey.generate_key("P-256")
MASKED = {"phoneNumMasked": "139****4444"}


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    """The address of an API that publishes one key."""
    keys = {"keys": [{**KEY.as_dict(private=False), "kid": KEY.thumbprint(), "use": "sig", "alg": "ES256"}]}

    @Request.application
    def answer(request: Request) -> Response:
        assert request.path == "/.well-known/jwks.json"
        return Response(json.dumps(keys), content_type="application/json")

    with Server(answer) as server:
        yield server.url


class Browser(Client):
    """One browser's cookies, its requests as a page makes them, and receipts as the API signs them for it."""

    def __init__(self, business: Business, api: str, clock: FakeClock) -> None:
        application = Request.application(business.answer)
        super().__init__(DispatcherMiddleware(NotFound(), {"/business": application}))
        self.api, self.clock = api, clock

    def ask(self, path: str, body: Any = None, origin: str = PAGE) -> TestResponse:
        return self.post(f"/business/{path}", json=body, headers={"Origin": origin})

    def receipt(self, *, key: ECKey = KEY, typ: str = "number-verification+jwt", **claims: Any) -> str:
        """Return a receipt for a fresh nonce."""
        now, nonce = int(self.clock.now().timestamp()), self.ask("nonce").json["nonce"]  # type: ignore[index]  # an object
        whole = {"iss": self.api, "aud": PAGE, "iat": now, "exp": now + 120, "jti": str(uuid4()), **MASKED}
        header = {"alg": "ES256", "typ": typ, "kid": key.thumbprint()}
        return jwt.encode(header, {**whole, "nonce": nonce, **claims}, key)

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
def business(api: str, clock: FakeClock) -> Business:
    return Business(PAGE, api, None, clock.now)


@pytest.fixture
def browser(business: Business, api: str, clock: FakeClock) -> Browser:
    return Browser(business, api, clock)


def test_a_nonce_and_so_a_receipt_is_good_for_one_attempt_of_one_browser(
    browser: Browser, business: Business, api: str, clock: FakeClock
) -> None:
    thief = Browser(business, api, clock)
    first, stolen = browser.receipt(), browser.receipt()
    thief.receipt()
    assert browser.account() == (401, "not_logged_in")

    assert thief.log_in(stolen) == (401, "wrong_nonce")
    assert browser.log_in(first) == (401, "wrong_nonce")  # a newer nonce has taken its place
    assert browser.log_in(stolen) == (401, "wrong_nonce")  # and that attempt has spent it
    good, before = browser.receipt(), browser.cookie
    assert browser.log_in(good) == (200, MASKED)
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
        ("malformed", {"typ": "JWT"}),
        ("unknown_key", {"key": ECKey.generate_key("P-256")}),
    ],
)
def test_a_refused_receipt_names_its_reason_and_changes_no_login(
    browser: Browser, code: str, change: dict[str, Any]
) -> None:
    browser.log_in(browser.receipt())

    assert browser.log_in(browser.receipt(**change)) == (401, code)

    assert browser.account() == (200, MASKED)


def test_without_the_apis_keys_nobody_is_refused_for_good(clock: FakeClock) -> None:
    nowhere = "http://127.0.0.1:1"
    browser = Browser(Business(PAGE, nowhere, None, clock.now), nowhere, clock)

    assert browser.log_in(browser.receipt()) == (503, "keys_unavailable")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"receipt": 7}', b"[" * 16000])
def test_what_is_no_login_costs_no_nonce(browser: Browser, body: bytes) -> None:
    good = browser.receipt()

    foreign = browser.ask("login", {"receipt": good}, origin="http://127.0.0.1:1")
    response = browser.post("/business/login", data=body, headers={"Origin": PAGE})

    assert result(foreign) == (403, "origin_not_allowed")
    assert result(response) == (400, "invalid_request")
    assert browser.log_in(good) == (200, MASKED)
