"""The demo's business back end, with a server that publishes keys."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
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
    """One browser's cookies, and its requests as a page makes them."""

    def ask(self, path: str, body: Any = None, origin: str = PAGE) -> TestResponse:
        return self.post(f"/business/{path}", json=body, headers={"Origin": origin})

    def nonce(self) -> str:
        nonce: str = self.ask("nonce").json["nonce"]  # type: ignore[index]  # an object
        return nonce

    def log_in(self, receipt: str) -> tuple[int, Any]:
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


@dataclass
class Backend:
    """The back end, and receipts as the API signs them for it."""

    api: str
    clock: FakeClock

    def __post_init__(self) -> None:
        self.business = Business(PAGE, self.api, None, self.clock.now)

    def browser(self) -> Browser:
        application = Request.application(self.business.answer)
        return Browser(DispatcherMiddleware(NotFound(), {"/business": application}))

    def receipt(
        self, nonce: str, *, key: ECKey = KEY, typ: str = "number-verification+jwt", **claims: Any
    ) -> str:
        now = int(self.clock.now().timestamp())
        whole = {"iss": self.api, "aud": PAGE, "iat": now, "exp": now + 120, "jti": str(uuid4()), **MASKED}
        header = {"alg": "ES256", "typ": typ, "kid": key.thumbprint()}
        return jwt.encode(header, {**whole, "nonce": nonce, **claims}, key)


@pytest.fixture
def backend(api: str, clock: FakeClock) -> Backend:
    return Backend(api, clock)


@pytest.fixture
def browser(backend: Backend) -> Browser:
    return backend.browser()


def test_a_receipt_for_the_nonce_of_the_session_logs_in(browser: Browser, backend: Backend) -> None:
    assert browser.account() == (401, "not_logged_in")
    nonce = browser.nonce()
    before = browser.cookie

    assert browser.log_in(backend.receipt(nonce)) == (200, MASKED)

    assert before.value != browser.cookie.value
    assert (browser.cookie.http_only, browser.cookie.same_site) == (True, "Strict")


def test_a_nonce_and_so_a_receipt_is_good_for_one_attempt_of_one_browser(
    browser: Browser, backend: Backend
) -> None:
    thief = backend.browser()
    first, stolen = backend.receipt(browser.nonce()), backend.receipt(browser.nonce())
    thief.nonce()

    assert thief.log_in(stolen) == (401, "wrong_nonce")
    assert browser.log_in(first) == (401, "wrong_nonce")  # a newer nonce has taken its place
    assert browser.log_in(stolen) == (401, "wrong_nonce")  # and that attempt has spent it
    good = backend.receipt(browser.nonce())
    assert browser.log_in(good) == (200, MASKED)
    assert browser.log_in(good) == (401, "wrong_nonce")
    assert browser.log_in(backend.receipt("")) == (401, "wrong_nonce")
    assert browser.log_in("no receipt") == (401, "malformed")


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("wrong_aud", {"aud": "https://stranger.example"}),
        ("wrong_iss", {"iss": "https://stranger.example"}),
        ("expired", {"exp": 1}),
        ("malformed", {"typ": "JWT"}),
        ("unknown_key", {"key": ECKey.generate_key("P-256")}),
    ],
)
def test_a_refused_receipt_names_its_reason_and_changes_no_login(
    browser: Browser, backend: Backend, code: str, change: dict[str, Any]
) -> None:
    browser.log_in(backend.receipt(browser.nonce()))
    nonce = browser.nonce()

    assert browser.log_in(backend.receipt(**{"nonce": nonce, **change})) == (401, code)

    assert browser.account() == (200, MASKED)


def test_without_the_apis_keys_nobody_is_refused_for_good(clock: FakeClock) -> None:
    backend = Backend("http://127.0.0.1:1", clock)
    browser = backend.browser()

    assert browser.log_in(backend.receipt(browser.nonce())) == (503, "keys_unavailable")


def test_a_page_of_another_origin_is_refused(browser: Browser) -> None:
    assert result(browser.ask("login", {}, origin="http://127.0.0.1:1")) == (403, "origin_not_allowed")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"receipt": 7}', b"[" * 16000])
def test_what_is_no_login_costs_no_nonce(browser: Browser, backend: Backend, body: bytes) -> None:
    good = backend.receipt(browser.nonce())

    response = browser.post("/business/login", data=body, headers={"Origin": PAGE})

    assert result(response) == (400, "invalid_request")
    assert browser.log_in(good) == (200, MASKED)
