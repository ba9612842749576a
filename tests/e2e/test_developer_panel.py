"""The developer's panel: it shows the sixteen steps as they happen, and stays out of the page's way."""

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.browser import DESK, PHONE, SMALL_PHONE, LoginPage
from tests.support.stacks import phone_of


@pytest.fixture
def desk(phone: LoginPage) -> LoginPage:
    """The page with its panel, on a screen wide enough for both."""
    phone.page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
    phone.open(query="")
    return phone


def step(desk: LoginPage, number: int) -> Locator:
    return desk.page.locator(".step").nth(number - 1)


def states(desk: LoginPage) -> list[str]:
    found: list[str] = desk.page.evaluate(
        "[...document.querySelectorAll('.step')].map(({ dataset }) => dataset.state)"
    )
    return found


def reaches(desk: LoginPage, number: int, state: str) -> None:
    expect(step(desk, number)).to_have_attribute("data-state", state)


def test_all_sixteen_steps_light_up_when_a_number_signs_in(desk: LoginPage, sim: str) -> None:
    desk.ready()
    reaches(desk, 11, "done")
    assert states(desk) == ["done"] * 12 + ["waiting"] * 4

    desk.sign_in(sim)
    desk.signed_in()
    reaches(desk, 15, "done")
    assert states(desk) == ["done"] * 16


def test_each_step_shows_what_its_message_carried_shortened(desk: LoginPage, sim: str) -> None:
    desk.sign_in(sim)
    desk.signed_in()
    reaches(desk, 15, "done")
    for summary in desk.page.locator(".step > summary").all():
        summary.click()

    for number, text in {
        1: "referrer",
        4: "preSign",
        8: "cellular",
        10: f"+ {sim}",
        11: desk.stack.page,
        14: "userInformation",
        15: "match",
        16: "login",
    }.items():
        expect(step(desk, number)).to_contain_text(text)
    texts = desk.page.locator(".step dd").all_inner_texts()
    assert max(map(len, texts)) <= 30
    for secret in ("token", "userInformation"):
        assert desk.verified_bodies[0][secret] not in desk.page.content()


def test_a_refused_number_shows_where_it_was_refused(desk: LoginPage) -> None:
    desk.sign_in("13800000000")
    desk.shows("这不是本机号码")

    reaches(desk, 15, "stopped")
    reaches(desk, 16, "stopped")


def test_the_panel_types_the_number(desk: LoginPage, sim: str) -> None:
    desk.page.get_by_role("button", name="填入本机号码").click()
    expect(desk.number).to_have_value(f"{sim[:3]} {sim[3:7]} {sim[7:]}")
    desk.submit.click()

    desk.signed_in()


def test_wifi_is_chosen_in_the_panel_and_the_flow_ends_at_step_nine(desk: LoginPage) -> None:
    desk.ready()
    desk.page.get_by_role("radio", name="Wi-Fi").check()

    desk.shows("您正在使用 Wi-Fi")
    reaches(desk, 9, "stopped")
    assert states(desk)[9:] == ["waiting"] * 7
    desk.page.get_by_role("radio", name="移动数据").check()
    desk.ready()


def test_the_sim_is_changed_in_the_panel(desk: LoginPage) -> None:
    desk.ready()
    with desk.page.expect_navigation():
        desk.page.get_by_label("SIM 卡号码").fill("13700009999")
        desk.page.get_by_label("SIM 卡号码").press("Enter")
    desk.ready()
    desk.sign_in("13700009999")
    desk.signed_in()

    with desk.page.expect_navigation():
        desk.page.get_by_label("取不到号").check()
    desk.shows("没有识别到本机号码")
    reaches(desk, 11, "failed")
    reaches(desk, 12, "failed")


@pytest.mark.parametrize("wrong", ["139", "23700009999", "1370000999a", "138000000001", "none"])
def test_a_sim_that_is_no_number_is_said_to_be_none_and_changes_nothing(desk: LoginPage, wrong: str) -> None:
    desk.ready()
    before = desk.page.evaluate("localStorage['simulator.sim']")
    field = desk.page.get_by_label("SIM 卡号码")
    field.fill(wrong)
    field.press("Enter")

    complaint = desk.page.get_by_text("要 11 位手机号，以 1 开头")
    expect(complaint).to_be_visible()
    expect(field).to_have_accessible_description(re.compile("要 11 位手机号"))
    expect(field).to_have_attribute("aria-invalid", "true")
    desk.page.get_by_role("button", name="Switch to English").click()
    expect(desk.page.get_by_text("11 digits, starting with 1")).to_be_visible()
    assert desk.page.evaluate("localStorage['simulator.sim']") == before

    desk.page.get_by_label("SIM number").press_sequentially("1")
    expect(desk.page.locator(".wrong")).to_be_empty()


@pytest.mark.parametrize(
    "written", ["137 0000 9999", "+8613700009999", "137-0000-9999", "１３７００００９９９９"]
)
def test_a_sim_is_written_as_people_write_numbers(desk: LoginPage, written: str) -> None:
    desk.ready()
    with desk.page.expect_navigation():
        desk.page.get_by_label("SIM 卡号码").fill(written)
        desk.page.get_by_label("SIM 卡号码").press("Enter")

    assert desk.page.evaluate("localStorage['simulator.sim']") == "13700009999"
    desk.ready()


def test_a_number_that_is_used_up_logs_in_again_when_the_panel_gives_its_day_back(
    desk: LoginPage, sim: str
) -> None:
    desk.tolerated = ("Failed to load resource",)
    phone = phone_of(desk.stack, sim)
    while phone.verify(sim, phone.ticket()).status == 200:
        pass
    desk.sign_in(sim)
    desk.shows("今天的核对次数已用完")

    desk.page.get_by_role("button", name="重置今天的次数").click()
    expect(desk.page.locator(".armed")).to_have_text("所有号码今天的次数都恢复了，可以再登录")
    desk.submit.click()
    desk.signed_in()


def test_attempts_that_could_not_be_given_back_are_said_to_be_gone(desk: LoginPage) -> None:
    desk.tolerated = ("Failed to load resource",)
    desk.page.route("**/panel/attempts", lambda route: route.fulfill(status=500))
    desk.page.get_by_role("button", name="重置今天的次数").click()

    expect(desk.page.locator(".armed")).to_have_text("次数没有恢复：本地环境没有回应")


def test_a_fault_is_armed_in_the_panel_and_the_page_survives_it(desk: LoginPage, sim: str) -> None:
    desk.tolerated = ("Failed to load resource",)
    desk.ready()
    desk.page.get_by_label("接下来").select_option(label="120020 token 校验失败")
    desk.page.get_by_role("button", name="设置").click()
    armed = desk.page.locator(".armed")
    expect(armed).to_have_text("已设置: 120020 token 校验失败")
    desk.sign_in(sim)

    desk.signed_in()
    expect(step(desk, 13)).to_contain_text("第 2 次")
    expect(armed).to_have_text("一切正常")


def test_a_fault_stays_until_it_is_cleared(desk: LoginPage) -> None:
    desk.tolerated = ("Failed to load resource",)
    desk.ready()
    desk.page.get_by_label("接下来").select_option(label="SDK 加载失败")
    desk.page.get_by_label("次数").select_option(label="一直")
    desk.page.get_by_role("button", name="设置").click()
    desk.shows("安全组件没有加载成功")
    reaches(desk, 2, "failed")

    desk.page.get_by_role("button", name="恢复正常").click()
    expect(desk.page.locator(".armed")).to_have_text("一切正常")
    desk.page.get_by_role("button", name="重新打开页面").click()
    desk.ready()


def test_an_expired_token_is_replaced_before_the_eyes_of_the_developer(desk: LoginPage, sim: str) -> None:
    desk.tolerated = ("Failed to load resource",)
    desk.ready()
    desk.page.get_by_role("button", name="让 token 过期").click()
    expect(desk.page.locator(".armed")).to_have_text("已发出的 token 都过期了")
    desk.sign_in(sim)

    desk.signed_in()
    expect(step(desk, 10)).to_contain_text("第 2 次")


def test_an_sdk_without_get_connection_skips_steps_seven_to_nine(desk: LoginPage) -> None:
    desk.fault("noGetConnection", on="sdk")
    desk.page.reload()
    desk.ready()

    assert states(desk)[6:9] == ["skipped"] * 3


def test_the_panel_speaks_the_pages_language(desk: LoginPage) -> None:
    desk.page.get_by_role("button", name="Switch to English").click()

    expect(desk.page.get_by_role("heading", name="The sixteen steps")).to_be_visible()
    expect(step(desk, 2)).to_contain_text("Load the JS SDK")


@pytest.mark.parametrize("size", [PHONE, SMALL_PHONE])
def test_on_a_phone_the_panel_lies_folded_below_the_page(phone: LoginPage, size: tuple[int, int]) -> None:
    phone.page.set_viewport_size({"width": size[0], "height": size[1]})
    phone.open(query="")
    phone.ready()
    handle = phone.page.get_by_role("button", name="开发者面板")
    page, bar = phone.page.locator(".page").bounding_box(), handle.bounding_box()
    assert page is not None
    assert bar is not None
    assert bar["y"] >= page["y"] + page["height"]
    expect(phone.page.locator(".panel-body")).to_be_hidden()

    handle.click()
    expect(phone.page.locator(".panel-body")).to_be_visible()
    assert phone.page.evaluate("document.documentElement.scrollWidth") == size[0]
    handle.click()
    expect(phone.page.locator(".panel-body")).to_be_hidden()


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [320, 390, 900, 1024, 1280, 1920])
def test_the_whole_number_of_the_sim_is_seen(phone: LoginPage, width: int, language: str) -> None:
    phone.page.add_init_script(f"localStorage.language = '{language}'")
    phone.page.set_viewport_size({"width": width, "height": 900})
    phone.open(query="")
    handle = phone.page.locator(".panel-handle")
    if handle.is_visible():
        handle.click()
    field = phone.page.locator("#panel-sim")
    expect(field).to_be_visible()

    assert field.evaluate("(input) => input.scrollWidth <= input.clientWidth")
    assert phone.page.evaluate("document.documentElement.scrollWidth") == width
    overflow = "(panel) => panel.scrollWidth <= panel.clientWidth"
    assert phone.page.locator(".panel").evaluate(overflow)


def test_the_panel_is_no_part_of_the_page(phone: LoginPage) -> None:
    phone.open()
    phone.ready()

    expect(phone.page.locator(".panel")).to_have_count(0)
