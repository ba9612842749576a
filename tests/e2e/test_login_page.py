"""The login page on a phone, against the local stack: every outcome, and the way on from it."""

import json
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Route, expect

from local.stack import EXHAUSTED_NUMBER
from tests.e2e.browser import PHONE, SMALL_PHONE, LoginPage

FAILED_REQUEST = "Failed to load resource"
BLOCKED_BY_CORS = "Access to fetch at"


def other(number: str) -> str:
    """Give a number that is another one."""
    return number[:3] + "1" + number[4:]


# ---- verdicts


def test_the_number_of_the_sim_signs_in(phone: LoginPage, sim: str) -> None:
    phone.open()
    phone.ready()
    phone.sign_in(sim)

    phone.signed_in()
    expect(phone.page.get_by_role("heading", name="登录成功")).to_be_focused()
    assert [entry["verdict"] for entry in phone.journal("verify")] == ["match"]


def test_without_a_back_end_the_page_asks_none_and_the_verdict_signs_in(phone: LoginPage, sim: str) -> None:
    phone.open()
    phone.sign_in(sim)
    phone.signed_in()

    assert [body.keys() for body in phone.verified_bodies] == [{"phoneNum", "token", "userInformation"}]
    to_the_page = [request.url for request in phone.requests if request.url.startswith(phone.stack.page)]
    assert to_the_page == [f"{phone.stack.page}/{name}" for name in ("?panel=off", "number-verification.js")]
    expect(phone.page.locator("#account")).to_be_hidden()


def test_the_number_is_gone_from_the_page_once_signed_in(phone: LoginPage, sim: str) -> None:
    phone.open()
    phone.sign_in(sim)
    phone.signed_in()

    assert phone.number.input_value() == ""
    assert sim not in phone.page.content()


def test_another_number_is_refused_and_the_right_one_signs_in_afterwards(phone: LoginPage, sim: str) -> None:
    phone.open()
    phone.ready()
    phone.sign_in(other(sim))

    phone.shows("这不是本机号码")
    expect(phone.text).to_contain_text("今天还可核对 4 次")
    expect(phone.number).to_have_attribute("aria-invalid", "true")
    expect(phone.number).to_be_focused()

    phone.sign_in(sim)
    phone.signed_in()
    assert [entry["verdict"] for entry in phone.journal("verify")] == ["mismatch", "match"]


def test_a_number_typed_before_the_token_is_there_waits_for_it(phone: LoginPage, sim: str) -> None:
    phone.fault("delay", on="getToken", seconds=1)
    phone.open()
    phone.sign_in(sim)

    phone.signed_in()
    assert len(phone.journal("getToken")) == 1


def test_user_information_reaches_the_platform_byte_for_byte(phone: LoginPage, sim: str) -> None:
    phone.open()
    phone.sign_in(sim)
    phone.signed_in()

    urls = [request.url for request in phone.requests if "getMobile.htm" in request.url]
    (given,) = [url.partition("userInformation=")[2] for url in urls]
    (posted,) = phone.verified_bodies
    (entry,) = phone.journal("verify")
    assert "%2B" in given
    assert posted["userInformation"] == given
    assert json.loads(entry["request"]["body"])["body"]["userInformation"] == given
    assert f'"{given}"' in entry["request"]["body"]


def test_the_platform_sees_the_whole_address_of_the_page_as_its_referer(phone: LoginPage) -> None:
    phone.open()
    phone.ready()

    (entry,) = phone.journal("getToken")
    assert urlsplit(entry["request"]["referer"])._replace(query="").geturl() == f"{phone.stack.page}/"


def test_the_api_sees_no_referer(phone: LoginPage) -> None:
    phone.open()
    phone.ready()

    to_the_api = [request for request in phone.requests if request.url.startswith(phone.stack.api)]
    assert len(to_the_api) == 1
    assert not to_the_api[0].headers.get("referer")


# ---- no token


def test_on_wifi_the_page_offers_the_other_way_at_once(phone: LoginPage, sim: str) -> None:
    phone.insert(sim, "wifi")
    phone.open()

    phone.shows("您正在使用 Wi-Fi")
    assert phone.journal("getMobile") == []
    assert phone.page.evaluate("!document.querySelector('#submit').hasAttribute('data-main')")
    phone.other.click()
    expect(phone.page.get_by_role("heading", name="短信验证码登录")).to_be_focused()


def test_back_on_mobile_data_trying_again_signs_in(phone: LoginPage, sim: str) -> None:
    phone.insert(sim, "wifi")
    phone.open()
    phone.shows("您正在使用 Wi-Fi")
    phone.number.fill(sim)
    phone.page.evaluate("localStorage['simulator.network'] = 'cellular'")

    phone.submit.click()

    phone.signed_in()


def test_back_from_the_settings_the_page_looks_at_the_network_again(phone: LoginPage, sim: str) -> None:
    phone.insert(sim, "wifi")
    phone.open()
    phone.shows("您正在使用 Wi-Fi")
    phone.page.evaluate("localStorage['simulator.network'] = 'cellular'")
    phone.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    phone.ready()


def test_an_sdk_without_get_connection_works(phone: LoginPage, sim: str) -> None:
    phone.fault("noGetConnection", on="sdk")
    phone.open()
    phone.ready()
    assert phone.page.evaluate("YDRZ.getConnection === undefined")

    phone.sign_in(sim)
    phone.signed_in()


def test_an_unknown_network_is_no_obstacle(phone: LoginPage, sim: str) -> None:
    phone.insert(sim, "unknown")
    phone.open()
    phone.ready()


def test_without_the_sdk_the_page_offers_the_other_way_and_a_retry_loads_it(phone: LoginPage) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.fault("unavailable", on="sdk")
    phone.open()

    phone.shows("安全组件没有加载成功")
    phone.submit.click()
    phone.ready()


def test_an_sdk_that_hangs_is_given_up_after_its_timeout(phone: LoginPage) -> None:
    phone.page.clock.install()
    phone.hang("**/jssdk.min.js")
    phone.open()
    phone.shows("正在准备")

    phone.page.clock.fast_forward(8_001)
    phone.shows("安全组件没有加载成功")


def test_a_script_that_is_not_the_sdk_is_recognised(phone: LoginPage) -> None:
    phone.page.route(
        "**/jssdk.min.js",
        lambda route: route.fulfill(body="/* maintenance */", content_type="text/javascript"),
    )
    phone.open()

    phone.shows("安全组件没有加载成功")


def test_get_token_info_failing_with_500_offers_the_other_way(phone: LoginPage) -> None:
    phone.insert("")
    phone.open()

    phone.shows("没有识别到本机号码")
    expect(phone.page.locator("#reference")).to_have_text("参考编号 token_unavailable · 500")
    phone.other.click()
    expect(phone.page.locator("#other-method")).to_be_visible()


# ---- tokens


def test_a_token_that_expires_while_the_user_types_is_replaced_unnoticed(phone: LoginPage, sim: str) -> None:
    phone.page.clock.install()
    phone.open()
    phone.ready()
    phone.number.fill(sim)
    phone.page.clock.fast_forward(51_000)
    phone.submit.click()

    phone.signed_in()
    tokens = [json.loads(entry["response"]["body"])["body"]["token"] for entry in phone.journal("getToken")]
    assert len(tokens) == 2
    assert [body["token"] for body in phone.verified_bodies] == tokens[1:]


def test_a_token_younger_than_that_is_used(phone: LoginPage, sim: str) -> None:
    phone.page.clock.install()
    phone.open()
    phone.ready()
    phone.page.clock.fast_forward(45_000)
    phone.sign_in(sim)

    phone.signed_in()
    assert len(phone.journal("getToken")) == 1


def test_a_token_that_the_platform_rejects_is_replaced_unnoticed(phone: LoginPage, sim: str) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.open()
    phone.ready()
    phone.control("DELETE", "tokens")
    phone.sign_in(sim)

    phone.signed_in()
    assert [entry["resultCode"] for entry in phone.journal("verify")] == ["120020", "000"]


# ---- taps


def test_a_double_tap_is_one_verification(phone: LoginPage, sim: str) -> None:
    phone.open()
    phone.ready()
    phone.number.fill(sim)
    phone.submit.dblclick()

    phone.signed_in()
    assert len(phone.verified_bodies) == 1
    assert len(phone.journal("verify")) == 1


def test_tap_and_enter_at_once_are_one_verification(phone: LoginPage, sim: str) -> None:
    phone.open()
    phone.number.fill(sim)
    phone.page.evaluate("for (let n = 0; n < 5; n++) document.querySelector('#sign-in').requestSubmit()")

    phone.signed_in()
    assert len(phone.verified_bodies) == 1


# ---- refusals


def test_a_number_without_attempts_left_is_sent_another_way(phone: LoginPage) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.insert(EXHAUSTED_NUMBER)
    phone.open()
    phone.ready()
    phone.sign_in(EXHAUSTED_NUMBER)

    phone.shows("今天的核对次数已用完")
    expect(phone.page.locator("#reference")).to_contain_text("attempts_exhausted")
    assert phone.journal("verify") == []


def test_the_last_attempt_of_the_day_is_said_to_be_the_last(phone: LoginPage, sim: str) -> None:
    phone.open()
    for left in (4, 3, 2, 1):
        phone.ready()
        phone.sign_in(other(sim))
        phone.shows("这不是本机号码")
        expect(phone.text).to_contain_text(f"今天还可核对 {left} 次")
        phone.page.reload()
    phone.ready()
    phone.sign_in(other(sim))

    phone.shows("这不是本机号码")
    expect(phone.text).to_contain_text("今天的核对次数已用完")


def test_an_api_that_is_down_is_tried_three_times_and_can_be_tried_again(phone: LoginPage, sim: str) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.method)
        route.abort("connectionrefused")

    phone.page.route(f"{phone.stack.api}/**", refuse)
    phone.open()

    phone.shows("连接不上服务器")
    assert asked.count("POST") == 3
    phone.number.fill(sim)
    phone.page.unroute(f"{phone.stack.api}/**")
    phone.submit.click()
    phone.signed_in()


def test_a_lost_answer_is_asked_for_again_with_the_same_token(phone: LoginPage, sim: str) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    lost: list[object] = []

    def lose_the_first(route: Route) -> None:
        if route.request.method == "POST" and not lost:
            lost.append(route.fetch())
            route.abort("connectionreset")
        else:
            route.continue_()

    phone.page.route(f"{phone.stack.api}/verify", lose_the_first)
    phone.open()
    phone.sign_in(sim)

    phone.signed_in()
    first, second = phone.verified_bodies
    assert first == second
    assert len(phone.journal("verify")) == 1


def test_offline_the_page_waits_for_the_network(phone: LoginPage, sim: str) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.open()
    phone.ready()
    phone.page.context.set_offline(offline=True)
    phone.sign_in(sim)
    phone.shows("网络已断开")

    phone.page.context.set_offline(offline=False)
    phone.ready()
    phone.submit.click()
    phone.signed_in()


def test_a_platform_that_is_down_is_said_in_a_sentence(phone: LoginPage, sim: str) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.open()
    phone.ready()
    phone.fault("reset", when="before", times=0)
    phone.sign_in(sim)

    phone.shows("运营商暂时没有回应")
    assert len(phone.journal("verify")) <= 2
    phone.control("DELETE", "faults")
    phone.submit.click()
    phone.signed_in()


def test_a_platform_that_is_slow_once_is_not_noticed(phone: LoginPage, sim: str) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.open()
    phone.ready()
    phone.fault("delay", seconds=2)
    phone.sign_in(sim)

    phone.signed_in()


def test_a_platform_that_stays_slow_is_said_in_a_sentence(phone: LoginPage, sim: str) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.open()
    phone.ready()
    phone.fault("delay", seconds=2, times=0)
    phone.sign_in(sim)

    phone.shows("运营商暂时没有回应")
    expect(phone.page.locator("#reference")).to_contain_text("platform_timeout")
    assert len(phone.verified_bodies) <= 2


@pytest.mark.parametrize(
    "fault", ["html", "notJson", "wrongMsgId", "truncated", "oversized", "missingResultCode"]
)
def test_a_platform_that_talks_nonsense_is_said_in_a_sentence(phone: LoginPage, sim: str, fault: str) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.open()
    phone.ready()
    phone.fault(fault, times=0)
    phone.sign_in(sim)

    phone.shows("运营商暂时没有回应")
    expect(phone.page.locator("#reference")).to_contain_text("platform_error")


def test_what_the_operator_must_mend_sends_the_user_another_way(phone: LoginPage, sim: str) -> None:
    phone.tolerated = (FAILED_REQUEST,)
    phone.open()
    phone.ready()
    phone.fault("resultCode", resultCode="110004")
    phone.sign_in(sim)

    phone.shows("暂时无法核对号码")
    expect(phone.page.locator("#reference")).to_contain_text("platform_rejected · 110004 · ")


def test_a_page_of_an_origin_that_was_not_reported_says_what_to_check(phone: LoginPage) -> None:
    phone.tolerated = (FAILED_REQUEST, BLOCKED_BY_CORS, "The API refuses pages of")
    port = urlsplit(phone.stack.page).port
    phone.open(origin=f"http://localhost:{port}")

    phone.shows("这个页面还没有开通")
    expect(phone.text).to_contain_text("AllowedOrigins")
    expect(phone.text).to_contain_text(f"http://localhost:{port}")
    assert any("exactly this origin" in complaint for complaint in phone.complaints)
    assert phone.journal("getToken") == []


def test_a_page_that_the_platform_does_not_know_sends_the_user_another_way(phone: LoginPage) -> None:
    phone.open(query="index.html?panel=off")
    phone.ready()
    phone.fault("resultCode", on="getToken", resultCode="170001")
    phone.page.reload()

    phone.shows("没有识别到本机号码")


# ---- the other way, and the business's own code


def test_the_business_can_bring_its_own_other_way(phone: LoginPage) -> None:
    phone.insert("")
    phone.open()
    phone.shows("没有识别到本机号码")
    phone.page.evaluate(
        """document.addEventListener('number-verification:other-method', (event) => {
             window.reason = event.detail.reason;
             event.preventDefault();
           })"""
    )
    phone.other.click()

    assert phone.page.evaluate("window.reason") == "token_unavailable"
    expect(phone.page.locator("#other-method")).to_be_hidden()


def test_the_business_can_take_over_once_signed_in(phone: LoginPage, sim: str) -> None:
    phone.open()
    phone.page.evaluate(
        """document.addEventListener('number-verification:verified', (event) => {
             document.body.dataset.outcome = JSON.stringify(event.detail);
             event.preventDefault();
           })"""
    )
    phone.sign_in(sim)

    told = phone.page.locator("body[data-outcome]").get_attribute("data-outcome", timeout=15_000)
    outcome = json.loads(told or "")
    assert (outcome["kind"], outcome["code"], outcome["resultCode"]) == ("verified", "match", "000")
    assert sim not in json.dumps(outcome)
    expect(phone.page.locator("#signed-in")).to_be_hidden()


def test_step_events_carry_names_alone(phone: LoginPage, sim: str) -> None:
    phone.page.add_init_script(
        """window.steps = [];
           document.addEventListener('number-verification:step', ({ detail }) => steps.push(detail));"""
    )
    phone.open()
    phone.sign_in(sim)
    phone.signed_in()

    steps = phone.page.evaluate("window.steps")
    names = ["sdk", "network", "presign", "sign", "token", "verify"]
    assert steps == [{"name": name, "state": state} for name in names for state in ("start", "done")]


# ---- the number


@pytest.mark.parametrize(
    "pasted",
    [
        "+86 139-9999-4444",
        "13999994444",
        "0086 13999994444",
        "86 139 9999 4444",
        "１３９９９９９４４４４",
        " 139.9999.4444 ",
    ],
)
def test_a_pasted_number_is_grouped_whatever_its_form(phone: LoginPage, pasted: str) -> None:
    phone.open()
    phone.number.focus()
    phone.page.keyboard.insert_text(pasted)

    expect(phone.number).to_have_value("139 9999 4444")


def test_a_number_is_grouped_while_it_is_typed(phone: LoginPage) -> None:
    phone.open()
    seen = []
    phone.number.focus()
    for digit in "139999944445":
        phone.page.keyboard.press(digit)
        seen.append(phone.number.input_value())

    assert seen[2:5] == ["139", "139 9", "139 99"]
    assert seen[6:8] == ["139 9999", "139 9999 4"]
    assert seen[-1] == "139 9999 4444"


def test_digits_are_corrected_in_the_middle(phone: LoginPage) -> None:
    phone.open()
    phone.number.fill("13999994444")
    phone.number.focus()
    phone.page.evaluate("document.querySelector('#phone').setSelectionRange(4, 4)")
    phone.page.keyboard.press("Backspace")  # the space is not the user's: this takes the 9 before it
    expect(phone.number).to_have_value("139 9994 444")
    phone.page.keyboard.press("8")

    expect(phone.number).to_have_value("138 9999 4444")


def test_the_number_is_asked_for_with_a_numeric_keyboard(phone: LoginPage) -> None:
    phone.open()

    expect(phone.number).to_have_attribute("inputmode", "numeric")
    expect(phone.number).to_have_attribute("autocomplete", "tel-national")


@pytest.mark.parametrize("number", ["", "139", "23999994444", "12999994444"])
def test_what_cannot_be_a_number_is_not_sent(phone: LoginPage, number: str) -> None:
    phone.open()
    phone.ready()
    phone.sign_in(number)

    phone.shows("请填写 11 位手机号")
    expect(phone.number).to_be_focused()
    assert phone.verified_bodies == []


# ---- the screen


def test_nothing_moves_from_one_state_to_the_next(phone: LoginPage, sim: str) -> None:
    for size in (PHONE, SMALL_PHONE):
        phone.page.set_viewport_size({"width": size[0], "height": size[1]})
        phone.open()
        boxes = [phone.submit.bounding_box()]
        phone.ready()
        boxes.append(phone.submit.bounding_box())
        phone.submit.click()
        phone.shows("请填写 11 位手机号")
        boxes.append(phone.submit.bounding_box())
        phone.sign_in(other(sim))
        boxes.append(phone.submit.bounding_box())
        phone.shows("这不是本机号码")
        boxes.append(phone.submit.bounding_box())

        assert boxes == [boxes[0]] * len(boxes)


def test_a_small_phone_shows_everything_without_scrolling(phone: LoginPage) -> None:
    phone.page.set_viewport_size({"width": SMALL_PHONE[0], "height": SMALL_PHONE[1]})
    phone.open()
    phone.ready()

    width, height = phone.page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    assert (width, height) == SMALL_PHONE


def test_what_can_be_tapped_is_large_enough(phone: LoginPage) -> None:
    phone.open()
    phone.number.fill("139")
    for button in phone.page.locator("button:visible").all():
        box = button.bounding_box()
        assert box is not None
        assert box["width"] >= 44
        assert box["height"] >= 44


def test_the_language_is_switched_and_remembered(phone: LoginPage) -> None:
    phone.open()
    phone.ready()
    phone.page.get_by_role("button", name="Switch to English").click()

    phone.shows("Ready")
    expect(phone.page.locator("html")).to_have_attribute("lang", "en")
    phone.page.reload()
    phone.shows("Ready")
    expect(phone.page.get_by_role("heading", level=1)).to_have_text("Sign in")
