"""The page with a business back end: it logs in by receipt alone; the panel shows what becomes of cheats."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Route, expect

from local.keys import ReceiptNumber
from local.stack import Options, Stack
from tests.e2e.browser import DESK, PHONE, SMALL_PHONE, LoginPage
from tests.e2e.guide import sample
from tests.support.planted import leaks
from tests.support.stacks import start

FAILED_REQUEST = "Failed to load resource"
CHEATS = {
    "改号码": "bad_signature",
    "自己签": "unknown_key",
    "不签名": "wrong_algorithm",
    "再交一次": "wrong_nonce",
    "偷来用": "wrong_nonce",
}


class LateClock:
    """The stack's clock: this machine's, and ahead of it when told to be."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture(scope="module")
def clock() -> LateClock:
    return LateClock()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, clock: LateClock) -> Iterator[Stack]:
    """A stack that signs receipts, with a back end that goes by them."""
    log = tmp_path_factory.mktemp("receipts") / "functions.log"
    with start(Options(receipts=ReceiptNumber.MASKED, now=clock, log=log)) as stack:
        yield stack
    assert not leaks(log.read_text())


@pytest.fixture
def desk(phone: LoginPage) -> LoginPage:
    """The page with its panel, on a screen wide enough for both."""
    phone.page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
    phone.open(query="")
    return phone


def masked(number: str) -> str:
    return f"{number[:3]}****{number[7:]}"


def session(phone: LoginPage) -> Any:
    """Ask the back end who is logged in; None for nobody."""
    return phone.page.evaluate(
        """async () => {
             const response = await fetch('/business/session');
             return response.ok ? response.json() : null;
           }"""
    )


def posted_to(phone: LoginPage, path: str) -> list[dict[str, Any]]:
    """Give what the page has posted to an address of its back end."""
    return [
        json.loads(request.post_data or "")
        for request in phone.requests
        if request.method == "POST" and urlsplit(request.url).path == path
    ]


def claims_of(receipt: str) -> dict[str, Any]:
    payload = receipt.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def with_claims(receipt: str, **claims: Any) -> str:
    """Change claims and leave the signature, as a page that lies would."""
    header, _, signature = receipt.split(".")
    payload = json.dumps({**claims_of(receipt), **claims}).encode()
    return ".".join((header, urlsafe_b64encode(payload).rstrip(b"=").decode(), signature))


def change_answers(phone: LoginPage, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Have the page's verifications answered with something else than what the API says."""

    def fulfil(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, json=change(response.json()))

    phone.page.route(f"{phone.stack.api}/verify", fulfil)


def change_requests(phone: LoginPage, **members: Any) -> None:
    """Have the page's verifications reach the API with other members."""

    def pass_on(route: Route) -> None:
        body = {**json.loads(route.request.post_data or ""), **members}
        route.continue_(post_data=json.dumps(body))

    phone.page.route(f"{phone.stack.api}/verify", pass_on)


# ---- the page


def test_a_receipt_logs_in_and_the_back_end_says_who(phone: LoginPage, sim: str) -> None:
    phone.open()
    phone.ready()
    assert session(phone) is None
    phone.sign_in(sim)

    phone.signed_in()
    expect(phone.page.locator("#account")).to_have_text(masked(sim))
    assert session(phone) == {"phoneNumMasked": masked(sim)}
    phone.tolerated = (FAILED_REQUEST,)  # nobody was logged in at first


def test_the_receipt_is_for_the_nonce_that_the_back_end_gave(phone: LoginPage, sim: str) -> None:
    phone.open()
    phone.sign_in(sim)
    phone.signed_in()

    (login,) = posted_to(phone, "/business/login")
    claims = claims_of(login["receipt"])
    assert claims["nonce"] == phone.verified_bodies[0]["nonce"]
    assert (claims["iss"], claims["aud"]) == (phone.stack.api, phone.stack.page)


def test_a_double_tap_is_one_login(phone: LoginPage, sim: str) -> None:
    phone.open()
    phone.ready()
    phone.number.fill(sim)
    phone.submit.dblclick()
    phone.signed_in()

    assert len(posted_to(phone, "/business/nonce")) == 1
    assert len(posted_to(phone, "/business/login")) == 1


def test_a_refused_number_gets_no_receipt_and_no_login(phone: LoginPage, sim: str) -> None:
    phone.open()
    phone.sign_in(sim[:3] + "1" + sim[4:])
    phone.shows("这不是本机号码")

    assert posted_to(phone, "/business/login") == []


def test_a_forged_receipt_is_refused_and_the_page_says_so(phone: LoginPage, sim: str) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    change_answers(
        phone,
        lambda answer: {**answer, "receipt": with_claims(answer["receipt"], phoneNumMasked="138****0000")},
    )
    phone.open()
    phone.sign_in(sim)

    phone.shows("登录没有完成")
    expect(phone.page.locator("#reference")).to_contain_text("login_refused · bad_signature")
    expect(phone.page.locator("#signed-in")).to_be_hidden()
    assert session(phone) is None


def test_a_receipt_for_another_nonce_is_refused_and_the_page_says_so(phone: LoginPage, sim: str) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    change_requests(phone, nonce="of-another-session")
    phone.open()
    phone.sign_in(sim)

    phone.shows("登录没有完成")
    expect(phone.page.locator("#reference")).to_contain_text("login_refused · wrong_nonce")
    assert session(phone) is None

    phone.page.unroute(f"{phone.stack.api}/verify")
    phone.submit.click()
    phone.signed_in()


def test_a_verdict_without_a_receipt_logs_nobody_in(phone: LoginPage, sim: str) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    change_answers(phone, lambda answer: {name: answer[name] for name in answer if name != "receipt"})
    phone.open()
    phone.sign_in(sim)

    phone.shows("暂时无法核对号码")
    expect(phone.page.locator("#reference")).to_contain_text("match_without_receipt")
    assert posted_to(phone, "/business/login") == []
    assert session(phone) is None


def test_with_the_back_end_down_nothing_is_verified_and_another_way_is_there(
    phone: LoginPage, sim: str
) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.page.route("**/business/**", lambda route: route.abort("connectionrefused"))
    phone.open()
    phone.ready()
    phone.sign_in(sim)

    phone.shows("登录服务没有回应")
    assert phone.verified_bodies == []
    phone.other.click()
    expect(phone.page.get_by_role("heading", name="短信验证码登录")).to_be_focused()

    phone.page.get_by_role("button", name="返回").click()
    phone.page.unroute("**/business/**")
    phone.submit.click()
    phone.signed_in()


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 503, "json": {"code": "keys_unavailable", "status": 503}},
        {"status": 502, "body": "<html>"},
        {"status": 200, "body": "<html>"},
    ],
)
def test_a_back_end_that_cannot_judge_is_no_refusal(
    phone: LoginPage, sim: str, answer: dict[str, Any]
) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.page.route("**/business/login", lambda route: route.fulfill(**answer))
    phone.open()
    phone.sign_in(sim)

    phone.shows("登录服务没有回应")
    expect(phone.page.locator("#signed-in")).to_be_hidden()


@pytest.mark.parametrize(
    ("account", "shown"),
    [
        ({"phoneNum": "13999994444"}, "139 9999 4444"),
        ({"phoneNumHash": "0123456789abcdef" * 4}, "0123456789ab"),
        ({"phoneNumMasked": "139****4444"}, "139****4444"),
    ],
)
def test_whoever_logged_in_is_shown_as_the_business_has_it(
    phone: LoginPage, sim: str, account: dict[str, str], shown: str
) -> None:
    phone.page.route("**/business/login", lambda route: route.fulfill(json=account))
    phone.open()
    phone.sign_in(sim)
    phone.signed_in()

    expect(phone.page.locator("#account")).to_have_text(shown)
    phone.page.get_by_role("button", name="完成").click()
    expect(phone.page.locator("#account")).to_be_empty()


def test_the_businesss_own_code_takes_over_once_logged_in(phone: LoginPage, sim: str) -> None:
    phone.open()
    phone.page.evaluate(
        """document.addEventListener('number-verification:logged-in', (event) => {
             document.body.dataset.account = JSON.stringify(event.detail);
             event.preventDefault();
           })"""
    )
    phone.sign_in(sim)

    told = phone.page.locator("body[data-account]").get_attribute("data-account", timeout=15_000)
    assert json.loads(told or "") == {"phoneNumMasked": masked(sim)}
    expect(phone.page.locator("#signed-in")).to_be_hidden()


def test_the_guides_sample_logs_in(phone: LoginPage, sim: str) -> None:
    stack = phone.stack
    sdk = f"{stack.platform}/NumberAbility/jssdk/jssdk.min.js"
    html = f"""<!doctype html><html lang="zh-CN"><meta name="referrer" content="always">
      <link rel="icon" href="data:,"><script type="module">
        import {{ createVerifier }} from './number-verification.js';
        const verifier = createVerifier({{ api: '{stack.api}', appId: '{stack.app_id}', sdkUrl: '{sdk}' }});
        {sample("integration.md", "Your back end", "js")}
        window.logIn = logIn;
      </script>"""
    phone.page.route(f"{stack.page}/", lambda route: route.fulfill(body=html, content_type="text/html"))
    phone.open(query="")
    phone.page.wait_for_function("() => window.logIn !== undefined")

    assert phone.page.evaluate("(number) => logIn(number)", sim[:3] + "1" + sim[4:]) is False
    assert phone.page.evaluate("(number) => logIn(number)", sim) is True
    assert session(phone) == {"phoneNumMasked": masked(sim)}


# ---- the developer's panel


def step(desk: LoginPage, number: int) -> Locator:
    return desk.page.locator(".step").nth(number - 1)


def cheat(desk: LoginPage, name: str) -> Locator:
    """Press the button of a cheat; give where the back end's answer is shown."""
    button = desk.page.get_by_role("button", name=name, exact=True)
    button.click()
    return button.locator("xpath=following-sibling::div[1]").locator("output")


def test_four_more_steps_light_up_when_a_receipt_logs_in(desk: LoginPage, sim: str) -> None:
    desk.ready()
    expect(step(desk, 17)).to_have_attribute("data-state", "waiting")
    desk.sign_in(sim)
    desk.signed_in()

    for number in range(1, 21):
        expect(step(desk, number)).to_have_attribute("data-state", "done")
    expect(step(desk, 19)).to_contain_text("✓")
    expect(step(desk, 20)).to_contain_text(masked(sim))


def test_the_panel_shows_what_the_receipt_says_and_how_long_it_lives(desk: LoginPage, sim: str) -> None:
    desk.sign_in(sim)
    desk.signed_in()

    said = desk.page.locator(".said")
    for text in ("ES256", "number-verification+jwt", desk.stack.api, desk.stack.page, masked(sim)):
        expect(said).to_contain_text(text)
    expect(desk.page.get_by_role("timer")).to_have_text(re.compile(r"^还有 1[012]\d 秒有效$"))
    keys = desk.page.get_by_role("link", name="公钥（JWKS）")
    expect(keys).to_have_attribute("href", f"{desk.stack.api}/.well-known/jwks.json")
    assert sim not in desk.page.locator(".receipt").inner_html()


def test_whoever_cheats_is_refused_and_told_why(desk: LoginPage, sim: str) -> None:
    desk.tolerated = (FAILED_REQUEST,)
    desk.ready()
    for button in desk.page.locator(".cheats button").all():
        expect(button).to_be_disabled()
    desk.sign_in(sim)
    desk.signed_in()

    for name, reason in CHEATS.items():
        expect(cheat(desk, name)).to_contain_text(f"401 · {reason}")
    assert session(desk) == {"phoneNumMasked": masked(sim)}


@pytest.mark.parametrize(("name", "as_its_owner"), [("再交一次", True), ("偷来用", False)])
def test_a_thief_has_the_receipt_and_not_the_session(
    desk: LoginPage, sim: str, name: str, *, as_its_owner: bool
) -> None:
    desk.tolerated = (FAILED_REQUEST,)
    desk.sign_in(sim)
    desk.signed_in()
    with desk.page.expect_request("**/business/login") as attempt:
        cheat(desk, name)

    assert ("cookie" in attempt.value.all_headers()) is as_its_owner
    expect(desk.page.locator(".outcome[data-state=refused]")).to_have_count(1)


def test_a_receipt_that_has_outlived_its_time_is_refused(desk: LoginPage, sim: str, clock: LateClock) -> None:
    desk.tolerated = (FAILED_REQUEST,)
    desk.page.clock.install()
    desk.page.reload()
    desk.ready()
    desk.sign_in(sim)
    desk.signed_in()
    late = desk.page.get_by_role("button", name="过期再交", exact=True)
    expect(late).to_be_disabled()

    desk.page.clock.fast_forward(130_000)
    clock.ahead = timedelta(seconds=130)
    try:
        expect(desk.page.get_by_role("timer")).to_have_text("已过期")
        expect(cheat(desk, "过期再交")).to_contain_text("401 · expired")
    finally:
        clock.ahead = timedelta()


def test_a_back_end_that_falls_for_a_cheat_is_not_shown_as_refusing(desk: LoginPage, sim: str) -> None:
    desk.sign_in(sim)
    desk.signed_in()
    desk.page.route("**/business/login", lambda route: route.fulfill(json={"phoneNumMasked": "138****0000"}))

    accepted = cheat(desk, "改号码")
    expect(accepted).to_have_text("被接受了")
    expect(accepted).to_have_attribute("data-state", "accepted")


def test_a_back_end_that_is_down_is_shown_where_it_was_asked(desk: LoginPage, sim: str) -> None:
    desk.tolerated = (FAILED_REQUEST,)
    desk.page.route("**/business/nonce", lambda route: route.abort("connectionrefused"))
    desk.ready()
    desk.sign_in(sim)

    desk.shows("登录服务没有回应")
    expect(step(desk, 17)).to_have_attribute("data-state", "failed")
    expect(step(desk, 18)).to_have_attribute("data-state", "waiting")


def test_a_refused_login_is_shown_where_it_was_refused(desk: LoginPage, sim: str) -> None:
    desk.tolerated = (FAILED_REQUEST,)
    change_requests(desk, nonce="of-another-session")
    desk.sign_in(sim)

    desk.shows("登录没有完成")
    expect(step(desk, 20)).to_have_attribute("data-state", "failed")
    expect(step(desk, 20)).to_contain_text("wrong_nonce")


# ---- on every screen


@pytest.mark.parametrize("size", [DESK, PHONE, SMALL_PHONE])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_page_and_panel_are_for_everybody(
    phone: LoginPage, sim: str, axe: Callable[[], None], language: str, size: tuple[int, int]
) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.page.add_init_script(f"localStorage.language = {json.dumps(language)}")
    phone.page.set_viewport_size({"width": size[0], "height": size[1]})
    phone.open(query="")
    phone.sign_in(sim)
    phone.signed_in()
    handle = phone.page.locator(".panel-handle")
    if handle.is_visible():
        handle.click()
    for number in range(17, 21):
        step(phone, number).locator("summary").click()
    for button in phone.page.locator(".cheats button:enabled").all():
        button.click()
    expect(phone.page.locator(".outcome[data-state=refused]")).to_have_count(len(CHEATS))

    assert phone.page.evaluate("document.documentElement.scrollWidth") == size[0]
    axe()


@pytest.mark.parametrize("size", [PHONE, SMALL_PHONE])
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("status", [401, 503])
def test_what_the_page_says_of_its_back_end_fits_and_is_for_everybody(
    phone: LoginPage, axe: Callable[[], None], sim: str, language: str, size: tuple[int, int], status: int
) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.page.add_init_script(f"localStorage.language = {json.dumps(language)}")
    phone.page.set_viewport_size({"width": size[0], "height": size[1]})
    phone.page.route("**/business/login", lambda route: route.fulfill(status=status, json={"code": "c"}))
    phone.open()
    expect(phone.page.locator("[data-tone=good]")).to_be_visible()
    before = phone.submit.bounding_box()
    phone.sign_in(sim)

    expect(phone.page.locator("[data-tone=warn]")).to_be_visible()
    assert phone.submit.bounding_box() == before
    assert phone.page.evaluate("document.documentElement.scrollWidth") == size[0]
    axe()
