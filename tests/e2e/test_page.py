"""The login page on a phone, against the local stack: what the flows of all engines do not have."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from local import ROOT
from tests.e2e.browser import BLOCKED_BY_CORS, FAILED_REQUEST, SMALL_PHONE, LoginPage
from tests.e2e.flows import MISMATCH, other, refusal

INDEX = (ROOT / "web" / "index.html").read_text(encoding="utf-8")
MATCH = {"verified": True, "resultCode": "000", "action": "login", "attemptsLeft": 4}


# ---- consent, and what leaves the phone


def test_nothing_leaves_the_phone_without_consent(phone: LoginPage, sim: str) -> None:
    phone.show()
    phone.enter(sim)
    phone.shows("#consent-error", "请先阅读并同意")
    expect(phone.page.locator("#consent")).to_be_focused()
    assert {urlsplit(request.url).netloc for request in phone.requests} == {urlsplit(phone.stack.page).netloc}

    phone.hang("**/presign")
    phone.page.check("#consent")
    expect(phone.page.locator("#consent-error")).to_be_empty()
    phone.until("steps.indexOf('sign start') >= 0")
    phone.page.uncheck("#consent")
    phone.until("steps.indexOf('sign failed') >= 0")
    assert phone.journal("getToken") == []

    phone.page.unroute_all()
    phone.page.check("#consent")
    phone.page.click("#submit")
    phone.signed_in()


def test_what_goes_out_is_the_contracts_and_user_information_goes_on_byte_for_byte(
    phone: LoginPage, sim: str
) -> None:
    phone.agree()
    for _ in range(2):
        phone.enter(sim)
        phone.signed_in()
        assert sim not in phone.page.content()
        phone.page.click("#done")

    first, again = phone.posted("/verify")
    url = next(request.url for request in phone.requests if "getMobile.htm" in request.url)
    given = url.partition("userInformation=")[2]
    assert list(first) == ["phoneNum", "token", "userInformation", "nonce"]
    assert "%2B" in given
    assert first["userInformation"] == given
    assert f'"{given}"' in phone.journal("verify")[0]["request"]["body"]
    assert again["device"] == phone.page.evaluate("localStorage['number-verification:device']")
    to_the_api = [request for request in phone.requests if request.url.startswith(phone.stack.api)]
    assert {request.headers.get("referer") or None for request in to_the_api} == {None}


def test_without_a_back_end_the_verdict_signs_in_and_consent_may_have_been_given(
    phone: LoginPage, sim: str
) -> None:
    phone.show(business=None, consent=False)
    phone.ready()
    expect(phone.page.locator("#consent")).to_be_hidden()
    phone.shows("#terms", "登录即表示您同意《用户协议》《隐私政策》和《中国移动认证服务条款》")
    phone.engine.run(
        "void document.addEventListener('number-verification:verified', (event) => (window.told = event))"
    )
    phone.enter(sim)
    phone.signed_in()

    assert phone.engine.run("told.detail.code") == "match"
    assert list(phone.posted("/verify")[0]) == ["phoneNum", "token", "userInformation"]
    ours = [urlsplit(each.url).path for each in phone.requests if each.url.startswith(phone.stack.page)]
    assert set(ours) == {"/", "/number-verification.classic.js"}


# ---- no token, and another try


def test_an_sdk_that_hangs_is_given_up_and_one_that_is_none_is_recognised(phone: LoginPage) -> None:
    phone.hang("**/jssdk.min.js")
    phone.show(timeouts={"sdk": 200})
    phone.page.check("#consent")
    phone.shows("#notice", "安全组件没有加载成功")

    phone.page.route("**/jssdk.min.js", lambda route: route.fulfill(body="/* maintenance */"))
    phone.page.reload()
    phone.page.check("#consent")
    phone.shows("#notice", "安全组件没有加载成功")


def test_offline_the_page_waits_for_the_network(phone: LoginPage, sim: str) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.agree()
    phone.ready()
    phone.page.context.set_offline(offline=True)
    phone.enter(sim)
    phone.shows("#notice", "网络已断开")

    phone.page.context.set_offline(offline=False)
    expect(phone.page.locator("#notice")).to_be_empty()
    phone.page.click("#submit")
    phone.signed_in()


# ---- an origin that was not reported


def test_a_page_of_an_origin_that_was_not_reported_offers_sms_and_tells_its_developer_why(
    phone: LoginPage, tmp_path: Path
) -> None:
    phone.tolerated = (FAILED_REQUEST, BLOCKED_BY_CORS)
    from_disk = tmp_path / "index.html"
    from_disk.write_text(phone.page.request.get(f"{phone.stack.page}/?panel=off").text(), encoding="utf-8")
    shutil.copy(ROOT / "web" / "number-verification.classic.js", tmp_path)
    for address in (phone.stack.page.replace("127.0.0.1", "localhost") + "/?panel=off", from_disk.as_uri()):
        phone.engine.open(address)
        phone.page.check("#consent")
        phone.shows("#notice", "暂时无法核对号码")
        assert "AllowedOrigins" not in phone.page.inner_text("body")
        (told,) = phone.complaints
        phone.complaints.clear()
        assert told.startswith(f"The API refuses pages of {phone.page.evaluate('location.origin')}")
        phone.page.click("#other")
        expect(phone.page.locator("#sms")).to_be_visible()


# ---- the business's back end

# Who answers what, and what the page says of it.
NO_LOGIN = [
    ("**/verify", 200, MATCH, "暂时无法核对号码"),
    ("**/verify", 200, {**MATCH, "receipt": "made.up.receipt"}, "登录没有完成"),
    ("**/business/login", 503, {"code": "keys_unavailable"}, "登录服务没有回应"),
    ("**/business/nonce", 503, {}, "登录服务没有回应"),
]


def test_nobody_is_signed_in_but_by_the_back_end(phone: LoginPage, sim: str) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.agree()
    for pattern, status, body, said in NO_LOGIN:
        phone.answer(status, body, pattern)
        phone.enter(sim)
        phone.shows("#notice", said)
        expect(phone.page.locator("#signed-in")).to_be_hidden()
        phone.page.unroute_all()
    assert len(phone.posted("/verify")) == 3  # without a nonce nothing is sent
    assert phone.page.evaluate("fetch('/business/session').then(({ ok }) => ok)") is False

    phone.page.click("#submit")
    phone.signed_in()


# ---- for everybody


def states(phone: LoginPage) -> Iterator[str]:
    """Bring the page into one state after the other."""
    phone.show()
    yield "open"
    phone.number.fill(phone.sim)
    phone.page.click("#other")
    expect(phone.page.locator("#sms h1")).to_be_focused()
    yield "other way"
    phone.page.go_back()
    expect(phone.page.locator("#sign-in h1")).to_be_focused()
    expect(phone.number).not_to_have_value("")
    phone.page.check("#consent")
    phone.answer(200, MISMATCH)
    phone.enter(other(phone.sim))
    expect(phone.page.locator("#phone-error")).not_to_be_empty()
    yield "mismatch"
    phone.answer(502, refusal("platform_rejected", "use_other_method", resultCode="103111"))
    phone.page.click("#submit")
    expect(phone.page.locator("#notice")).not_to_be_empty()
    yield "notice"
    phone.hang("**/verify")
    phone.enter(phone.sim)
    expect(phone.page.locator("#submit")).to_have_attribute("aria-disabled", "true")
    yield "checking"
    phone.page.unroute_all()
    phone.agree()
    phone.enter(phone.sim)
    phone.signed_in()
    yield "signed in"


@pytest.mark.parametrize(("language", "schemes"), [("zh", ("light", "dark")), ("en", ())])
def test_every_state_is_for_everybody_and_fits_a_small_phone(
    phone: LoginPage, axe: Callable[..., None], language: str, schemes: tuple[str, ...]
) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.page.set_viewport_size(SMALL_PHONE)
    if language == "en":
        phone.show()
        phone.page.get_by_role("button", name="English").click()
    for state in states(phone):
        expect(phone.page.locator("html")).to_have_attribute("lang", "en" if language == "en" else "zh-CN")
        axe(*schemes)
        width, height = phone.page.locator("html").evaluate("(page) => [page.scrollWidth, page.scrollHeight]")
        assert width == SMALL_PHONE["width"], state
        assert height == SMALL_PHONE["height"] or language == "en", state
        targets = phone.page.locator("button:visible, .button:visible, .help, #consent:visible")
        sizes = targets.evaluate_all("(all) => all.flatMap((one) => [one.offsetWidth, one.offsetHeight])")
        assert min(sizes) >= 44, state


# ---- the file


def test_the_policy_is_strict_and_each_address_stands_in_the_marked_block_alone() -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', INDEX, re.DOTALL)
    directives = {name: sources for name, *sources in map(str.split, policy.split(";"))}
    marked, rest = INDEX.split("<!-- ▲ -->", 1)

    assert directives["default-src"] == directives["base-uri"] == directives["form-action"] == ["'none'"]
    assert "unsafe" not in policy
    assert "*" not in policy
    for example in ("https://api.example.com", "https://www.cmpassport.com", "300000000000"):
        assert example in marked
        assert example not in rest
    loaded = re.findall(r"""(?: src=|url\(|import\(| from )["'](?!#|data:)([^"']+)["']""", INDEX)
    assert loaded == ["./number-verification.classic.js"]
