"""The demo's business back end, with the recipe that checks receipts and a server that publishes keys."""

import json
import time
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwe, jwt
from joserfc.jwk import ECKey, RSAKey

from local.business import Business, Sessions, receipt_check
from local.server import Request, Response, Server, address_of, listen
from tests.support.fakes import FakeClock

PAGE = "https://page.example"
KEY = ECKey.generate_key("P-256")
MASKED = {"phoneNumMasked": "139****4444"}


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    """The address of an API that publishes one key."""
    public = {
        **KEY.as_dict(private=False),
        "kid": KEY.thumbprint(),
        "use": "sig",
        "alg": "ES256",
    }
    body = json.dumps({"keys": [public]}).encode()
    listener = listen(0)
    server = Server(listener, lambda request: Response(200 if "jwks" in request.path else 404, (), body))
    server.start()
    yield address_of(listener)
    server.stop()


class Browser:
    """One browser's cookies, and its requests as a page makes them."""

    def __init__(self, business: Business) -> None:
        self._business = business
        self.cookies: SimpleCookie = SimpleCookie()

    def ask(self, method: str, path: str, body: bytes = b"", origin: str = PAGE) -> tuple[int, Any, Response]:
        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in self.cookies.items())
        response = self.ask_with(method, path, cookies, body, origin)
        for name, value in response.headers:
            if name == "set-cookie":
                self.cookies.load(value)
        return response.status, json.loads(response.body), response

    def ask_with(
        self, method: str, path: str, cookies: str, body: bytes = b"", origin: str = PAGE
    ) -> Response:
        headers = (("Origin", origin), *((("Cookie", cookies),) if cookies else ()))
        return self._business(Request(method, f"/business/{path}", headers, body))

    def nonce(self) -> str:
        status, answer, _ = self.ask("POST", "nonce")
        assert status == 200
        nonce: str = answer["nonce"]
        return nonce

    def log_in(self, receipt: str) -> tuple[int, Any]:
        return self.ask("POST", "login", json.dumps({"receipt": receipt}).encode())[:2]

    def account(self) -> tuple[int, Any]:
        return self.ask("GET", "session")[:2]


@pytest.fixture
def business(api: str, clock: FakeClock) -> Business:
    return Business(PAGE, receipt_check(api, PAGE, None, clock.now))


@pytest.fixture
def browser(business: Business) -> Browser:
    return Browser(business)


@pytest.fixture
def receipt(api: str, clock: FakeClock) -> Callable[..., str]:
    """Sign a receipt as the API does; what is given takes the place of a claim."""

    def sign(nonce: str, key: ECKey = KEY, number: dict[str, str] = MASKED, **claims: Any) -> str:
        now = int(clock.now().timestamp())
        whole = {
            "iss": api,
            "aud": PAGE,
            "iat": now,
            "exp": now + 120,
            "jti": str(uuid4()),
            "appId": "000001",
            "nonce": nonce,
            **number,
            **claims,
        }
        header = {"alg": "ES256", "typ": "number-verification+jwt", "kid": key.thumbprint()}
        return jwt.encode(header, whole, key)

    return sign


def refused(answer: tuple[int, Any]) -> tuple[int, str]:
    status, body = answer
    assert body["status"] == status
    return status, body["code"]


def test_a_receipt_for_the_nonce_of_the_session_logs_in(
    browser: Browser, receipt: Callable[..., str]
) -> None:
    assert refused(browser.account()) == (401, "not_logged_in")

    assert browser.log_in(receipt(browser.nonce())) == (200, MASKED)

    assert browser.account() == (200, MASKED)


def test_a_hashed_number_is_who_logs_in(browser: Browser, receipt: Callable[..., str]) -> None:
    hashed = {"phoneNumHash": "0a" * 32}

    assert browser.log_in(receipt(browser.nonce(), number=hashed)) == (200, hashed)


def test_an_encrypted_number_is_read_with_the_businesss_own_key(
    api: str, clock: FakeClock, receipt: Callable[..., str], rsa_key: Callable[[int], RSAPrivateKey]
) -> None:
    pem = rsa_key(2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    key = RSAKey.import_key(pem)
    header = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": key.thumbprint()}
    encrypted = jwe.encrypt_compact(header, b"13999994444", key, algorithms=["RSA-OAEP-256", "A256GCM"])
    browser = Browser(Business(PAGE, receipt_check(api, PAGE, pem, clock.now)))

    answer = browser.log_in(receipt(browser.nonce(), number={"phoneNumJwe": encrypted}))

    assert answer == (200, {"phoneNum": "13999994444"})


def test_a_session_changes_its_id_when_it_logs_in(browser: Browser, receipt: Callable[..., str]) -> None:
    nonce = browser.nonce()
    before = browser.cookies["business_session"].value
    browser.log_in(receipt(nonce))

    assert browser.cookies["business_session"].value != before


def test_the_sessions_cookie_is_kept_from_scripts_and_from_other_sites(browser: Browser) -> None:
    browser.nonce()

    morsel = browser.cookies["business_session"]
    assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "Strict", "/business")


def test_a_receipt_logs_in_once(browser: Browser, receipt: Callable[..., str]) -> None:
    used = receipt(browser.nonce())
    browser.log_in(used)

    assert refused(browser.log_in(used)) == (401, "wrong_nonce")
    browser.nonce()
    assert refused(browser.log_in(used)) == (401, "wrong_nonce")


def test_what_is_refused_changes_nothing_about_who_is_logged_in(
    browser: Browser, receipt: Callable[..., str]
) -> None:
    browser.log_in(receipt(browser.nonce()))
    browser.log_in(receipt(browser.nonce(), aud="https://stranger.example"))

    assert browser.account() == (200, MASKED)


def test_a_receipt_of_another_browser_logs_nobody_in(
    browser: Browser, business: Business, receipt: Callable[..., str]
) -> None:
    stolen, thief = receipt(browser.nonce()), Browser(business)
    thief.nonce()

    assert refused(thief.log_in(stolen)) == (401, "wrong_nonce")
    assert refused(thief.account()) == (401, "not_logged_in")


def test_without_a_session_no_receipt_logs_in(browser: Browser, receipt: Callable[..., str]) -> None:
    for nonce in ("", "None", "made up"):
        assert refused(browser.log_in(receipt(nonce))) == (401, "wrong_nonce")


def test_a_nonce_is_good_for_one_attempt(browser: Browser, receipt: Callable[..., str]) -> None:
    good = receipt(browser.nonce())
    browser.log_in(f"{good[:-8]}AAAAAAAA")

    assert refused(browser.log_in(good)) == (401, "wrong_nonce")


def test_a_new_nonce_takes_the_place_of_the_last(browser: Browser, receipt: Callable[..., str]) -> None:
    first = receipt(browser.nonce())
    browser.nonce()

    assert refused(browser.log_in(first)) == (401, "wrong_nonce")


def test_the_recipes_reason_is_the_code(
    browser: Browser, receipt: Callable[..., str], clock: FakeClock
) -> None:
    assert refused(browser.log_in("no receipt")) == (401, "malformed")
    foreign = receipt(browser.nonce(), key=ECKey.generate_key("P-256"))
    assert refused(browser.log_in(foreign)) == (401, "unknown_key")
    header, _, signature = receipt(nonce := browser.nonce()).split(".")
    other = receipt(nonce, number={"phoneNumMasked": "138****0000"}).split(".")[1]
    assert refused(browser.log_in(f"{header}.{other}.{signature}")) == (401, "bad_signature")
    old = receipt(browser.nonce())
    clock.advance(seconds=126)
    assert refused(browser.log_in(old)) == (401, "expired")
    assert refused(browser.account()) == (401, "not_logged_in")


def test_without_the_apis_keys_nobody_is_refused_for_good(
    clock: FakeClock, receipt: Callable[..., str]
) -> None:
    with listen(0) as closed:
        address = address_of(closed)
    browser = Browser(Business(PAGE, receipt_check(address, PAGE, None, clock.now)))

    assert refused(browser.log_in(receipt(browser.nonce()))) == (503, "keys_unavailable")


@pytest.mark.parametrize("path", ["nonce", "login"])
def test_a_page_of_another_origin_is_refused(browser: Browser, path: str) -> None:
    status, body, response = browser.ask("POST", path, b"{}", origin="http://127.0.0.1:1")

    assert (status, body["code"]) == (403, "origin_not_allowed")
    assert "set-cookie" not in dict(response.headers)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"receipt": 7}',
        b'"receipt"',
        b'{"receipt": "' + b"a" * 16384 + b'"}',
        b"[" * 16000,
        b'{"receipt": ' * 1300,
    ],
)
def test_what_is_no_login_costs_no_nonce(browser: Browser, receipt: Callable[..., str], body: bytes) -> None:
    good = receipt(browser.nonce())

    assert refused(browser.ask("POST", "login", body)[:2]) == (400, "invalid_request")
    assert browser.log_in(good) == (200, MASKED)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "login"), ("GET", "nonce"), ("POST", "session"), ("POST", ""), ("GET", "x")]
)
def test_nothing_else_is_there(browser: Browser, method: str, path: str) -> None:
    assert refused(browser.ask(method, path)[:2]) == (404, "not_found")


def test_no_answer_is_kept_by_a_cache(browser: Browser) -> None:
    for method, path in (("POST", "nonce"), ("POST", "login"), ("GET", "session")):
        assert dict(browser.ask(method, path)[2].headers)["cache-control"] == "no-store"


def test_a_cookie_that_is_none_of_its_own_is_a_browser_without_a_session(browser: Browser) -> None:
    browser.cookies["business_session"] = "made-up"
    browser.nonce()

    assert browser.cookies["business_session"].value != "made-up"


@pytest.mark.parametrize("rest", ["\\" * 60_000, ";" * 60_000, " " * 60_000, "business_session=" * 4000])
def test_a_monstrous_cookie_is_nobodys_and_costs_no_time(business: Business, rest: str) -> None:
    headers = (("Origin", PAGE), ("Cookie", f'business_session="{rest}"'))
    start = time.thread_time()

    assert business(Request("GET", "/business/session", headers)).status == 401

    assert time.thread_time() - start < 0.5


def test_the_sessions_cookie_is_found_among_others(browser: Browser, receipt: Callable[..., str]) -> None:
    browser.log_in(receipt(browser.nonce()))
    own = browser.cookies["business_session"].value

    def account(cookies: str) -> int:
        return browser.ask_with("GET", "session", cookies).status

    for cookies in ("business_session={}", "a=b; business_session={}", 'business_session={}; c="d\\"'):
        assert account(cookies.format(own)) == 200
    for cookies in ("not_business_session={}", "business_session={}A", "a=business_session={}", "x{}"):
        assert account(cookies.format(own)) == 401


def test_nonces_for_nobody_log_nobody_out(
    browser: Browser, business: Business, receipt: Callable[..., str]
) -> None:
    browser.log_in(receipt(browser.nonce()))
    for _ in range(1001):
        Browser(business).nonce()

    assert browser.account() == (200, MASKED)


def test_where_everybody_is_logged_in_the_oldest_makes_room() -> None:
    sessions = Sessions()
    first, second, *_ = [sessions.log_in(None, MASKED) for _ in range(1000)]

    session_id, nonce = sessions.give_nonce(None)

    assert sessions.take_nonce(session_id) == nonce
    assert (sessions.account(first), sessions.account(second)) == (None, MASKED)


def test_the_oldest_session_goes_where_there_are_too_many(
    browser: Browser, business: Business, receipt: Callable[..., str]
) -> None:
    first = receipt(browser.nonce())
    for _ in range(1000):
        Browser(business).nonce()

    assert refused(browser.log_in(first)) == (401, "wrong_nonce")
