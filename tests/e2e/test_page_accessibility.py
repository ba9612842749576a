"""axe-core finds nothing to mend: in each state of the page, light and dark, in Chinese and in English."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.e2e.browser import DESK, PHONE, SMALL_PHONE, LoginPage


def answer_with(phone: LoginPage, status: int, body: dict[str, Any]) -> None:
    """Have the API answer every verification like this."""
    headers = {
        "access-control-allow-origin": phone.stack.page,
        "access-control-allow-headers": "content-type",
    }

    def fulfil(route: Route) -> None:
        route.fulfill(status=status, headers=headers, json=body)

    phone.page.route(f"{phone.stack.api}/verify", fulfil)


def refusal(code: str, action: str, **more: object) -> dict[str, Any]:
    return {"code": code, "action": action, "requestId": "KNqPGjFGPyy09Zo=", **more}


WRONG_NUMBER = [{"field": "phoneNum", "reason": "not a mainland mobile number"}]
MISMATCH = {"verified": False, "resultCode": "001", "action": "refuse", "attemptsLeft": 3}

OUTCOMES = {
    "mismatch": (200, MISMATCH),
    "last mismatch": (200, {**MISMATCH, "attemptsLeft": 0}),
    "wrong number": (
        400,
        refusal("invalid_request", "fix_request", errors=[{"field": "phoneNum", "reason": ""}]),
    ),
    "origin": (403, refusal("origin_not_allowed", "fix_request")),
    "no attempts": (429, refusal("attempts_exhausted", "use_other_method", resultCode="121011")),
    "too fast": (429, refusal("too_many_requests", "wait")),
    "rejected": (502, refusal("platform_rejected", "use_other_method", resultCode="110004")),
    "internal": (500, refusal("internal_error", "use_other_method")),
}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_before_the_verdict(phone: LoginPage, axe: Callable[[], None], language: str) -> None:
    phone.tolerated = ("Failed to load resource",)  # the SDK that hangs, once it is let go
    phone.page.add_init_script(f"localStorage.language = {json.dumps(language)}")
    phone.hang("**/jssdk.min.js")
    phone.open()
    axe()  # preparing

    phone.let_go()
    phone.page.unroute("**/jssdk.min.js")
    phone.open()
    expect(phone.page.locator("[data-tone=good]")).to_be_visible()
    axe()  # ready

    phone.submit.click()
    expect(phone.page.locator("[data-tone=bad]")).to_be_visible()
    axe()  # incomplete

    phone.hang(f"{phone.stack.api}/verify")
    phone.sign_in("13999994444")
    expect(phone.submit).to_have_attribute("aria-disabled", "true")
    axe()  # checking


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_without_a_token(phone: LoginPage, axe: Callable[[], None], language: str) -> None:
    phone.tolerated = ("Failed to load resource",)
    phone.page.add_init_script(f"localStorage.language = {json.dumps(language)}")
    notice = phone.page.locator("[data-tone=warn]")
    phone.insert("13999994444", "wifi")
    phone.open()
    expect(notice).to_be_visible()
    axe()

    phone.insert("")
    phone.open()
    expect(notice).to_be_visible()
    axe()

    phone.fault("unavailable", on="sdk")
    phone.open()
    expect(notice).to_be_visible()
    axe()

    phone.other.click()
    expect(phone.page.locator("#other-method")).to_be_visible()
    axe()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_after_a_refusal(phone: LoginPage, axe: Callable[[], None], language: str) -> None:
    phone.tolerated = ("Failed to load resource", "The API refuses pages of")
    phone.page.add_init_script(f"localStorage.language = {json.dumps(language)}")
    for status, body in OUTCOMES.values():
        answer_with(phone, status, body)
        phone.open()
        phone.sign_in("13999994444")
        expect(phone.page.locator("[data-tone=bad], [data-tone=warn]")).to_be_visible()
        axe()


@pytest.mark.parametrize("size", [PHONE, SMALL_PHONE])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_sentence_is_too_long_for_its_place(
    phone: LoginPage, language: str, size: tuple[int, int]
) -> None:
    phone.tolerated = ("Failed to load resource", "The API refuses pages of")
    phone.page.add_init_script(f"localStorage.language = {json.dumps(language)}")
    phone.page.set_viewport_size({"width": size[0], "height": size[1]})
    places = {}
    for name, (status, body) in OUTCOMES.items():
        answer_with(phone, status, body)
        phone.open()
        phone.sign_in("13999994444")
        expect(phone.page.locator("[data-tone=bad], [data-tone=warn]")).to_be_visible()
        box = phone.submit.bounding_box()
        places[name] = (box and box["y"], phone.page.evaluate("document.documentElement.scrollWidth"))

    assert set(places.values()) == {(places["mismatch"][0], size[0])}, places


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_when_it_is_done(phone: LoginPage, sim: str, axe: Callable[[], None], language: str) -> None:
    phone.page.add_init_script(f"localStorage.language = {json.dumps(language)}")
    phone.open()
    phone.sign_in(sim)
    phone.signed_in()
    axe()


@pytest.mark.parametrize("size", [DESK, SMALL_PHONE])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_with_the_developers_panel(
    phone: LoginPage, sim: str, axe: Callable[[], None], language: str, size: tuple[int, int]
) -> None:
    phone.page.add_init_script(f"localStorage.language = {json.dumps(language)}")
    phone.page.set_viewport_size({"width": size[0], "height": size[1]})
    phone.open(query="")
    phone.sign_in(sim)
    phone.signed_in()
    axe()

    handle = phone.page.locator(".panel-handle")
    if handle.is_visible():
        handle.click()
    for step in phone.page.locator(".step > summary").all():
        step.click()
    axe()


def test_every_notice_is_spoken_and_describes_the_field(phone: LoginPage) -> None:
    phone.open()

    expect(phone.page.locator("#notice")).to_have_attribute("role", "status")
    expect(phone.number).to_have_attribute("aria-describedby", "notice")
    expect(phone.page.get_by_label("手机号").first).to_be_visible()


def test_the_page_can_be_used_with_the_keyboard_alone(phone: LoginPage, sim: str) -> None:
    phone.open()
    phone.ready()
    for _ in range(2):
        phone.page.keyboard.press("Tab")
    expect(phone.number).to_be_focused()
    phone.page.keyboard.type(sim)
    phone.page.keyboard.press("Enter")

    phone.signed_in()
