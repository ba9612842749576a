"""docs/integration.md: its samples run as they stand there, and its tables name every outcome."""

import re
from typing import Final

import pytest
from playwright.sync_api import expect

from local import ROOT
from tests.e2e.browser import LoginPage
from tests.e2e.guide import guide, sample

GUIDES: Final = ("integration.md", "integration.zh-CN.md")
DECLARATIONS: Final = (ROOT / "web" / "number-verification.d.ts").read_text(encoding="utf-8")


def serve_plain_page(phone: LoginPage) -> None:
    """Put the guide's own page in the place of index.html."""
    stack = phone.stack
    page = sample("integration.md", "Your own page, plain script", "html")
    page = page.replace("https://api.example.com", stack.api).replace(
        "appId: '300000000000'",
        f"appId: '{stack.app_id}', sdkUrl: '{stack.platform}/NumberAbility/jssdk/jssdk.min.js'",
    )
    html = f"<!doctype html><html lang='zh-CN'><link rel='icon' href='data:,'>{page}"
    phone.page.route(
        f"{stack.page}/", lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8")
    )
    for path in ("home", "login/sms"):
        phone.page.route(f"{stack.page}/{path}", lambda route: route.fulfill(body="there"))


def test_the_plain_page_signs_in(phone: LoginPage, sim: str) -> None:
    serve_plain_page(phone)
    phone.open(query="")
    phone.page.get_by_label("手机号").fill(sim)
    phone.page.get_by_role("button", name="登录").click()

    phone.page.wait_for_url("**/home")


def test_the_plain_page_refuses_and_stays(phone: LoginPage, sim: str) -> None:
    serve_plain_page(phone)
    phone.open(query="")
    phone.page.get_by_label("手机号").fill("13800000000" if sim != "13800000000" else "13800000001")
    phone.page.get_by_role("button", name="登录").click()

    expect(phone.page.get_by_role("status")).to_contain_text("今天还可核对")


def test_the_plain_page_goes_another_way_on_wifi(phone: LoginPage, sim: str) -> None:
    phone.insert(sim, "wifi")
    serve_plain_page(phone)
    phone.open(query="")

    phone.page.wait_for_url("**/login/sms")


def test_the_finished_pages_events_take_over(phone: LoginPage, sim: str) -> None:
    phone.page.add_init_script(sample("integration.md", "The finished page", "js"))
    for path in ("home", "login/sms"):
        phone.page.route(f"{phone.stack.page}/{path}", lambda route: route.fulfill(body="there"))
    phone.open()
    phone.sign_in(sim)
    phone.page.wait_for_url("**/home")

    phone.open()
    phone.ready()
    phone.other.click()
    phone.page.wait_for_url("**/login/sms")


@pytest.mark.parametrize("name", GUIDES)
def test_every_outcome_is_in_the_guide(name: str) -> None:
    codes = re.findall(r"^  \| '(\w+)'", DECLARATIONS, re.MULTILINE)
    kinds = re.findall(r"^  kind: '(\w+)'", DECLARATIONS, re.MULTILINE)
    assert len(codes) > 20
    assert len(kinds) == 8

    text = guide(name)
    assert [word for word in codes + kinds if f"`{word}`" not in text] == []


@pytest.mark.parametrize("name", GUIDES)
def test_links_within_the_guide_lead_somewhere(name: str) -> None:
    text = guide(name)
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors
