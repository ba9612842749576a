"""The login page on a phone, against the local stack: what the flows of all engines do not have."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Route, expect

from local import ROOT
from local.stack import EXHAUSTED_NUMBER, Stack
from tests.e2e.browser import BLOCKED_BY_CORS, FAILED_REQUEST, SMALL_PHONE, LoginPage
from tests.e2e.flows import other

INDEX = (ROOT / "web" / "index.html").read_text(encoding="utf-8")
MISMATCH = {"verified": False, "resultCode": "001", "action": "refuse", "attemptsLeft": 3}


def refusal(code: str, action: str, **more: object) -> dict[str, Any]:
    return {"code": code, "action": action, "requestId": "KNqPGjFGPyy09Zo=", **more}


# ---- consent, and what leaves the phone


def test_nothing_leaves_the_phone_before_the_user_has_agreed(phone: LoginPage, sim: str) -> None:
    phone.show()
    phone.enter(sim)
    phone.says("#consent-error", "请先阅读并同意")
    expect(phone.page.locator("#consent")).to_be_focused()
    assert {urlsplit(request.url).netloc for request in phone.requests} == {urlsplit(phone.stack.page).netloc}
    assert phone.journal("getMobile") == []

    phone.page.check("#consent")
    expect(phone.page.locator("#consent-error")).to_be_empty()
    phone.page.click("#submit")
    phone.signed_in()


def test_a_tick_that_is_taken_back_ends_what_is_under_way(phone: LoginPage) -> None:
    phone.hang("**/presign")
    phone.agree()
    phone.until("steps.indexOf('sign start') >= 0")
    phone.page.uncheck("#consent")

    phone.until("steps.indexOf('sign failed') >= 0")
    assert phone.journal("getToken") == []


def test_what_goes_out_is_the_contracts_and_user_information_goes_on_byte_for_byte(
    phone: LoginPage, sim: str
) -> None:
    phone.agree()
    phone.enter(sim)
    phone.signed_in()

    (posted,) = phone.posted("/verify")
    (url,) = [request.url for request in phone.requests if "getMobile.htm" in request.url]
    given = url.partition("userInformation=")[2]
    (entry,) = phone.journal("verify")
    assert list(posted) == ["phoneNum", "token", "userInformation", "nonce"]
    assert "%2B" in given
    assert posted["userInformation"] == given
    assert f'"{given}"' in entry["request"]["body"]
    to_the_api = [request for request in phone.requests if request.url.startswith(phone.stack.api)]
    assert [request.headers.get("referer") or None for request in to_the_api] == [None, None]
    assert sim not in phone.page.content()


def test_a_device_that_the_api_has_seen_makes_itself_known(phone: LoginPage, sim: str) -> None:
    phone.agree()
    for _ in range(2):
        phone.enter(sim)
        phone.signed_in()
        phone.page.click("#done")

    first, second = phone.posted("/verify")
    assert "device" not in first
    assert second["device"] == phone.page.evaluate("localStorage['number-verification:device']")


def test_without_a_back_end_the_verdict_signs_in_and_consent_may_have_been_given(
    phone: LoginPage, sim: str
) -> None:
    phone.show(business=None, consent=False)
    phone.ready()
    expect(phone.page.locator("#consent")).to_be_hidden()
    phone.says("#terms", "登录即表示您同意《用户协议》《隐私政策》和《中国移动认证服务条款》")
    phone.enter(sim)
    phone.signed_in()

    assert list(phone.posted("/verify")[0]) == ["phoneNum", "token", "userInformation"]
    ours = {
        urlsplit(request.url).path for request in phone.requests if request.url.startswith(phone.stack.page)
    }
    assert ours == {"/", "/number-verification.classic.js"}


# ---- no token, and another try


@pytest.mark.parametrize(("network", "sim_there"), [("wifi", True), ("unknown", False)])
def test_back_from_the_settings_the_page_looks_again(
    phone: LoginPage, network: str, *, sim_there: bool
) -> None:
    phone.show()
    phone.page.evaluate(f"localStorage['simulator.network'] = '{network}'")
    phone.page.evaluate(f"localStorage['simulator.sim'] = {json.dumps(phone.sim if sim_there else '')}")
    phone.page.check("#consent")
    phone.says("#notice", "关闭 Wi-Fi")

    phone.page.evaluate(
        f"localStorage['simulator.network'] = 'cellular', localStorage['simulator.sim'] = '{phone.sim}'"
    )
    phone.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    phone.ready()
    expect(phone.page.locator("#notice")).to_be_empty()


def test_an_sdk_that_hangs_is_given_up_and_one_that_is_none_is_recognised(phone: LoginPage) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.hang("**/jssdk.min.js")
    phone.show(timeouts={"sdk": 200})
    phone.page.check("#consent")
    phone.says("#notice", "安全组件没有加载成功")

    phone.let_go()
    phone.page.route("**/jssdk.min.js", lambda route: route.fulfill(body="/* maintenance */"))
    phone.page.reload()
    phone.page.check("#consent")
    phone.says("#notice", "安全组件没有加载成功")


def test_the_recommended_action_is_on_top_and_whatever_has_the_focus_keeps_it(phone: LoginPage) -> None:
    phone.agree()
    phone.ready()
    phone.tolerated = (FAILED_REQUEST,)
    phone.fault("unavailable", on="sdk")
    phone.page.evaluate("YDRZ = undefined; Date.now = ((now) => () => now() + 60000)(Date.now)")
    phone.number.fill("13999994444")
    phone.page.focus("#submit")
    phone.page.keyboard.press("Enter")

    phone.says("#notice", "安全组件没有加载成功")
    tops = phone.page.evaluate("['other', 'submit'].map((id) => document.getElementById(id).offsetTop)")
    assert tops[0] < tops[1]
    expect(phone.page.locator("#other")).to_have_attribute("data-main", "")
    expect(phone.page.locator("#submit")).to_be_focused()


# ---- verdicts and refusals


SENTENCES = [
    (200, MISMATCH, "#phone-error", "今天还可核对 3 次"),
    (200, {**MISMATCH, "attemptsLeft": 0}, "#notice", "今天的核对次数已用完"),
    (
        400,
        refusal("invalid_request", "fix_request", errors=[{"field": "phoneNum"}]),
        "#phone-error",
        "不正确",
    ),
    (400, refusal("presign_rejected", "fix_request"), "#notice", "日期和时间"),
    (403, refusal("origin_not_allowed", "fix_request"), "#notice", "暂时无法核对号码"),
    (429, refusal("too_many_requests", "wait"), "#notice", "操作有点频繁"),
    (502, refusal("platform_rejected", "use_other_method", resultCode="110004"), "#notice", "暂时无法核对"),
    (502, refusal("platform_rejected", "use_other_method", resultCode="103111"), "#notice", "关闭 VPN"),
    (500, refusal("internal_error", "use_other_method"), "#notice", "暂时无法核对号码"),
]


def test_what_the_api_says_is_said_in_a_sentence_without_a_code(phone: LoginPage, sim: str) -> None:
    phone.tolerated = (FAILED_REQUEST, "The API refuses pages of")
    phone.agree()
    for status, body, where, said in SENTENCES:
        phone.answer(status, body)
        phone.enter(sim)
        phone.says(where, said)
        shown = phone.page.inner_text("body").replace(sim, "")
        assert re.findall(r"_|\b\d{6}\b|KNq|AllowedOrigins|undefined", shown) == []


def test_a_platform_that_is_down_is_said_in_a_sentence_and_another_try_signs_in(
    phone: LoginPage, sim: str
) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.agree()
    phone.fault("html", times=0)
    phone.enter(sim)
    phone.says("#notice", "运营商暂时没有回应")
    assert len(phone.journal("verify")) <= 2

    phone.control("DELETE", "faults")
    phone.page.get_by_role("button", name="重试").click()
    phone.signed_in()


def test_a_token_that_the_platform_rejects_is_replaced_unnoticed(phone: LoginPage, sim: str) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.agree()
    phone.ready()
    phone.control("DELETE", "tokens")
    phone.enter(sim)

    phone.signed_in()
    assert [entry["resultCode"] for entry in phone.journal("verify")] == ["120020", "000"]


def test_a_lost_answer_is_asked_for_again_and_an_error_without_cors_is_an_outage(
    phone: LoginPage, sim: str
) -> None:
    phone.tolerated = (FAILED_REQUEST, BLOCKED_BY_CORS)
    posts: list[Route] = []

    def lose(route: Route) -> None:
        if route.request.method == "POST":
            posts.append(route)
        if route.request.method != "POST" or len(posts) == 5:
            route.continue_()
        elif len(posts) == 4:
            route.fetch()
            route.abort("connectionreset")
        else:
            route.fulfill(status=502, body="a gateway's own")

    phone.page.route(f"{phone.stack.api}/verify", lose)
    phone.agree()
    phone.enter(sim)
    phone.says("#notice", "连接不上服务器")

    phone.page.click("#submit")
    phone.signed_in()
    assert phone.posted("/verify")[-1]["token"] == phone.posted("/verify")[-2]["token"]
    assert len(phone.journal("verify")) == 1


def test_a_page_of_an_origin_that_was_not_reported_tells_its_developer_alone(phone: LoginPage) -> None:
    phone.tolerated = (FAILED_REQUEST, BLOCKED_BY_CORS, "The API refuses pages of")
    phone.engine.open(f"http://localhost:{urlsplit(phone.stack.page).port}/?panel=off")
    phone.page.check("#consent")

    phone.says("#notice", "暂时无法核对号码")
    assert any(f"http://localhost:{urlsplit(phone.stack.page).port}" in text for text in phone.complaints)
    assert "AllowedOrigins" not in phone.page.inner_text("body")


def test_offline_the_page_waits_for_the_network(phone: LoginPage, sim: str) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.agree()
    phone.ready()
    phone.page.context.set_offline(offline=True)
    phone.enter(sim)
    phone.says("#notice", "网络已断开")

    phone.page.context.set_offline(offline=False)
    expect(phone.page.locator("#notice")).to_be_empty()
    phone.page.click("#submit")
    phone.signed_in()


def test_an_exhausted_number_is_sent_another_way_and_another_number_is_not(phone: LoginPage) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.agree()
    phone.enter(EXHAUSTED_NUMBER)
    phone.says("#notice", "这个号码今天的核对次数已用完")
    assert phone.journal("verify") == []

    phone.number.fill(other(EXHAUSTED_NUMBER))
    expect(phone.page.locator("#notice")).to_be_empty()


# ---- the receipt and the back end


def with_claims(receipt: str, **claims: Any) -> str:
    """Change claims and leave the signature, as a page that lies would."""
    header, payload, signature = receipt.split(".")
    said = {**json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4))), **claims}
    return ".".join((header, urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode(), signature))


@pytest.mark.parametrize("lie", ["claims", "nonce", "nothing"])
def test_a_receipt_that_is_forged_or_anothers_or_missing_signs_nobody_in(
    phone: LoginPage, sim: str, lie: str
) -> None:
    phone.tolerated = (FAILED_REQUEST,)

    def change(route: Route) -> None:
        posted: dict[str, Any] = json.loads(route.request.post_data or "")
        response = route.fetch(post_data={**posted, "nonce": "another"} if lie == "nonce" else posted)
        answer = response.json()
        if lie == "nothing":
            del answer["receipt"]
        if lie == "claims":
            answer["receipt"] = with_claims(answer["receipt"], sub="another")
        route.fulfill(response=response, json=answer)

    phone.page.route(f"{phone.stack.api}/verify", change)
    phone.agree()
    phone.enter(sim)

    phone.says("#notice", "暂时无法核对号码" if lie == "nothing" else "登录没有完成")
    expect(phone.page.locator("#signed-in")).to_be_hidden()
    assert phone.page.evaluate("fetch('/business/session').then(({ ok }) => ok)") is False


@pytest.mark.parametrize("answer", [{"status": 503, "json": {"code": "x"}}, None])
def test_a_back_end_that_cannot_judge_is_no_refusal(
    phone: LoginPage, sim: str, answer: dict[str, Any] | None
) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    if answer is None:
        phone.page.route("**/business/nonce", lambda route: route.abort("connectionrefused"))
    else:
        phone.page.route("**/business/login", lambda route: route.fulfill(**answer))
    phone.agree()
    phone.enter(sim)

    phone.says("#notice", "登录服务没有回应")
    assert (phone.posted("/verify") == []) is (answer is None)


def test_a_double_tap_is_one_login_and_the_business_takes_over(phone: LoginPage, sim: str) -> None:
    phone.agree()
    phone.page.evaluate(
        """document.addEventListener('number-verification:logged-in', (event) => {
             document.body.dataset.account = JSON.stringify(event.detail);
             event.preventDefault();
           })"""
    )
    phone.number.fill(sim)
    phone.page.dblclick("#submit")

    expect(phone.page.locator("body")).to_have_attribute("data-account", re.compile(sim))
    expect(phone.page.locator("#signed-in")).to_be_hidden()
    assert len(phone.posted("/business/nonce")) == len(phone.posted("/business/login")) == 1


# ---- the other way


def test_back_leads_back_from_the_other_way_and_the_business_can_bring_its_own(phone: LoginPage) -> None:
    phone.show()
    phone.number.fill("13999994444")
    phone.page.click("#other")
    expect(phone.page.get_by_role("heading", name="短信验证码登录")).to_be_focused()
    expect(phone.page.locator("#sms-phone")).to_have_value("139 9999 4444")

    phone.page.go_back()
    expect(phone.page.get_by_role("heading", name="本机号码登录")).to_be_focused()
    expect(phone.number).to_have_value("139 9999 4444")

    phone.page.evaluate(
        """document.addEventListener('number-verification:other-method', (event) => {
             window.told = event.detail;
             event.preventDefault();
           })"""
    )
    phone.page.evaluate("localStorage['simulator.network'] = 'wifi'")
    phone.page.check("#consent")
    phone.says("#notice", "Wi-Fi")
    phone.page.click("#other")
    assert phone.page.evaluate("told") == {"reason": "wifi"}
    expect(phone.page.locator("#sms")).to_be_hidden()


def test_without_any_script_every_link_works(browser: Browser, stack: Stack) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(stack.page)
    assert (
        page.locator("#terms a").evaluate_all("(links) => links.map(({ href }) => href.slice(0, 8))")
        == ["https://"] * 3
    )
    page.click("#other")

    expect(page.locator("#sms")).to_be_visible()
    expect(page.locator("#submit, #sign-in")).to_have_count(2)
    expect(page.locator("#sign-in")).to_be_hidden()
    context.close()


# ---- the number


PASTED = [
    *(
        (form, "139 1234 5678")
        for form in ("+86 139-1234-5678", "8613912345678", "１３９１２３４５６７８", "(+86)139.1234.5678")
    ),
    ("1391234", "139 1234"),
    # Cut to fit, these would be other people's numbers.
    *((form, form) for form in ("1795113912345678", "+1 415 555 2671", "139123456789", "tel:13912345678")),
]


def test_a_pasted_number_is_read_by_the_apis_rule_or_left_as_it_is(phone: LoginPage) -> None:
    phone.agree()
    for pasted, shown in PASTED:
        phone.number.fill("")
        phone.page.keyboard.insert_text(pasted)
        expect(phone.number).to_have_value(shown)
        if len(shown) != 13:
            phone.page.click("#submit")
            phone.says("#phone-error", "请填写 11 位手机号")
            expect(phone.number).to_be_focused()
    assert phone.posted("/verify") == []


def test_a_number_is_grouped_while_it_is_typed_and_a_key_too_many_is_none(phone: LoginPage) -> None:
    phone.show()
    phone.number.focus()
    seen = []
    for key in "1x39999944445":
        phone.page.keyboard.press(key)
        seen.append(phone.number.input_value())

    assert seen == [
        *("1", "1", "13", "139", "139 9", "139 99", "139 999", "139 9999", "139 9999 4"),
        *("139 9999 44", "139 9999 444", "139 9999 4444", "139 9999 4444"),
    ]
    phone.number.fill("")
    for key in "8613999994444":
        phone.page.keyboard.press(key)
    expect(phone.number).to_have_value("139 9999 4444")


def test_nothing_is_rearranged_while_an_input_method_composes(phone: LoginPage) -> None:
    phone.show()
    phone.number.focus()
    session = phone.page.context.new_cdp_session(phone.page)
    for text in ("1", "13", "139", "1399"):
        session.send(
            "Input.imeSetComposition", {"text": text, "selectionStart": len(text), "selectionEnd": len(text)}
        )
        assert phone.number.input_value() == text
    session.send("Input.insertText", {"text": "1399"})

    expect(phone.number).to_have_value("139 9")


# ---- for everybody


def states(phone: LoginPage) -> Iterator[str]:
    """Bring the page into one state after the other."""
    phone.show()
    yield "open"
    phone.page.click("#other")
    expect(phone.page.locator("#sms")).to_be_visible()
    yield "other way"
    phone.page.go_back()
    phone.page.check("#consent")
    phone.answer(200, MISMATCH)
    phone.enter(other(phone.sim))
    expect(phone.page.locator("#phone-error")).not_to_be_empty()
    yield "mismatch"
    phone.answer(502, refusal("platform_rejected", "use_other_method", resultCode="103111"))
    phone.page.click("#submit")
    expect(phone.page.locator("#notice")).not_to_be_empty()
    yield "notice"
    phone.page.unroute(f"{phone.stack.api}/verify")
    phone.hang(f"{phone.stack.api}/verify")
    phone.enter(phone.sim)
    expect(phone.page.locator("#submit")).to_have_attribute("aria-disabled", "true")
    yield "checking"
    phone.page.unroute(f"{phone.stack.api}/verify")
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
        width, height = phone.page.evaluate(
            "(({ scrollWidth: x, scrollHeight: y }) => [x, y])(document.documentElement)"
        )
        assert width == SMALL_PHONE["width"], state
        assert height == SMALL_PHONE["height"] or language == "en", state
        for box in phone.page.locator(
            "button:visible, .button:visible, .help, #consent:visible"
        ).evaluate_all("(all) => all.map((one) => [one.offsetWidth, one.offsetHeight])"):
            assert min(box) >= 44, state


def test_the_page_can_be_used_with_the_keyboard_alone(phone: LoginPage, sim: str) -> None:
    phone.show()
    phone.number.focus()
    phone.page.keyboard.type(sim)
    for _ in range(2):
        phone.page.keyboard.press("Tab")
    phone.page.keyboard.press("Space")
    phone.number.focus()
    phone.page.keyboard.press("Enter")

    phone.signed_in()


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
    assert re.findall(r"""(?: src=|url\(|import\(| from )["'](?!#|data:)([^"']+)["']""", INDEX) == [
        "./number-verification.classic.js"
    ]
