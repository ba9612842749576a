"""The developer's panel: it shows the steps as they happen, and what becomes of cheats."""

import re
from collections.abc import Callable
from datetime import timedelta

from playwright.sync_api import Locator, expect

from tests.e2e.browser import FAILED_REQUEST, SMALL_PHONE, LoginPage
from tests.support.stacks import LateClock, phone_of

CHEATS = {
    "改号码": "bad_signature",
    "自己签": "unknown_key",
    "不签名": "wrong_algorithm",
    "再交一次": "wrong_nonce",
    "偷来用": "wrong_nonce",
}


def step(desk: LoginPage, number: int) -> Locator:
    return desk.page.locator(".step").nth(number - 1)


def reaches(desk: LoginPage, number: int, state: str) -> None:
    expect(step(desk, number)).to_have_attribute("data-state", state)


def arm(desk: LoginPage, fault: str, times: str = "下一次") -> None:
    desk.page.get_by_label("接下来").select_option(label=fault)
    desk.page.get_by_label("次数").select_option(label=times)
    desk.page.get_by_role("button", name="设置").click()
    expect(desk.page.locator(".armed")).to_contain_text(f"已设置: {fault}")


def cheat(desk: LoginPage, name: str) -> Locator:
    """Press the button of a cheat; return where the back end's answer is shown."""
    desk.page.get_by_role("button", name=name, exact=True).click()
    return desk.page.locator(f"button:text-is('{name}') + div output")


def test_each_step_lights_up_with_what_its_message_carried_shortened(
    desk: LoginPage, sim: str, axe: Callable[..., None]
) -> None:
    reaches(desk, 12, "done")
    reaches(desk, 13, "waiting")
    desk.page.get_by_role("button", name="填入别的号码").click()
    expect(desk.number).to_have_value(re.compile("^.{13}$"))
    desk.page.click("#submit")
    reaches(desk, 15, "stopped")
    reaches(desk, 16, "stopped")

    desk.page.get_by_role("button", name="填入本机号码").click()
    expect(desk.number).to_have_value(f"{sim[:3]} {sim[3:7]} {sim[7:]}")
    desk.page.click("#submit")
    desk.signed_in()
    for number in range(1, 21):
        reaches(desk, number, "done")
    for summary in desk.page.locator(".step > summary").all():
        summary.click()
    shown = {1: "referrer", 4: "preSign", 8: "cellular", 10: f"+ {sim}", 11: desk.stack.page}
    shown |= {14: "userInformation", 15: "match", 16: "login", 19: "✓", 20: sim}
    for number, text in shown.items():
        expect(step(desk, number)).to_contain_text(text)
    for posted in desk.posted("/verify"):
        assert posted["token"] not in desk.page.content()
        assert posted["userInformation"] not in desk.page.content()
    axe("light", "dark")


def test_page_and_panel_fit_a_small_phone_in_english(phone: LoginPage, axe: Callable[..., None]) -> None:
    phone.page.add_init_script("localStorage.language = 'en'")
    phone.page.set_viewport_size(SMALL_PHONE)
    phone.show(query="")
    expect(phone.page.locator(".panel-body")).to_be_hidden()
    phone.page.click(".panel-handle")
    step(phone, 1).locator("summary").click()
    axe("light")

    assert phone.page.evaluate("document.documentElement.scrollWidth") == SMALL_PHONE["width"]
    assert phone.page.locator("#panel-sim").evaluate("(input) => input.scrollWidth <= input.clientWidth")
    expect(step(phone, 2)).to_contain_text("JS")


def test_phone_and_network_are_chosen_in_the_panel(desk: LoginPage) -> None:
    with desk.page.expect_navigation():
        desk.page.get_by_role("radio", name="Wi-Fi").check()
    desk.page.check("#consent")
    reaches(desk, 9, "stopped")
    reaches(desk, 10, "waiting")
    with desk.page.expect_navigation():
        desk.page.get_by_role("radio", name="移动数据").check()

    field = desk.page.get_by_label("SIM 卡号码")
    for wrong in ("139", "1370000999a", "138000000001"):
        field.fill(wrong)
        field.press("Enter")
        expect(field).to_have_accessible_description(re.compile("要 11 位手机号"))
    with desk.page.expect_navigation():
        field.fill("+86 137-0000-９９９９")
        field.press("Enter")
    assert desk.page.evaluate("localStorage['simulator.sim']") == "13700009999"
    with desk.page.expect_navigation():
        desk.page.get_by_label("取不到号").check()
    desk.fault("noGetConnection", on="sdk")
    desk.page.check("#consent")
    for number in (7, 8, 9):
        reaches(desk, number, "skipped")
    reaches(desk, 12, "failed")


def test_faults_are_armed_in_the_panel_and_the_page_survives_them(desk: LoginPage, sim: str) -> None:
    desk.tolerated = (FAILED_REQUEST,)
    reaches(desk, 12, "done")
    desk.page.get_by_role("button", name="让 token 过期").click()
    expect(desk.page.locator(".armed")).to_have_text("已发出的 token 都过期了")
    arm(desk, "999999 系统错误")
    desk.enter(sim)
    desk.signed_in()
    expect(step(desk, 13)).to_contain_text("第 2 次")

    arm(desk, "SDK 加载失败", "一直")
    desk.page.get_by_role("button", name="重新打开页面").click()
    desk.page.check("#consent")
    reaches(desk, 2, "failed")
    desk.page.get_by_role("button", name="恢复正常").click()
    expect(desk.page.locator(".armed")).to_have_text("一切正常")
    desk.page.click("#submit")
    reaches(desk, 12, "done")

    desk.page.get_by_role("button", name="重置今天的次数").click()
    expect(desk.page.locator(".armed")).to_have_text("所有号码今天的次数都恢复了，可以再登录")
    assert phone_of(desk.stack, sim).verify(sim, phone_of(desk.stack, sim).ticket()).json["attemptsLeft"] == 4


def test_whoever_cheats_is_refused_and_told_why(desk: LoginPage, sim: str, late_clock: LateClock) -> None:
    desk.tolerated = (FAILED_REQUEST,)
    desk.enter(sim)
    desk.signed_in()
    said = desk.page.locator(".said")
    for text in ("ES256", "number-verification+jwt", desk.stack.api, desk.stack.page, "phoneNumJwe"):
        expect(said).to_contain_text(text)
    expect(said).not_to_contain_text(sim)
    expect(desk.page.get_by_role("timer")).to_have_text(re.compile(r"^还有 1[012]\d 秒有效$"))

    for name, reason in CHEATS.items():
        expect(cheat(desk, name)).to_contain_text(f"401 · {reason}")
    late_clock.ahead = timedelta(seconds=130)
    try:
        desk.page.evaluate("Date.now = ((now) => () => now() + 130000)(Date.now)")
        expect(desk.page.get_by_role("timer")).to_have_text("已过期")
        expect(cheat(desk, "过期再交")).to_contain_text("401 · expired")
    finally:
        late_clock.ahead = timedelta()
    desk.page.route("**/business/login", lambda route: route.fulfill(json={"phoneNum": "13800000000"}))
    expect(cheat(desk, "改号码")).to_have_attribute("data-state", "accepted")
