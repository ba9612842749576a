"""docs/integration.md: its samples run as they stand there, and its tables name every outcome."""

import re

import pytest

from local import ROOT
from tests.e2e.browser import LoginPage
from tests.e2e.flows import guide, other, sample


def lead_on(phone: LoginPage) -> None:
    """Put pages where the samples lead."""
    phone.page.route(re.compile("/(home|login/sms)$"), lambda route: route.fulfill(body="there"))


def serve(phone: LoginPage, html: str) -> None:
    """Put a page in the place of index.html."""
    sdk = f"{phone.stack.platform}/NumberAbility/jssdk/jssdk.min.js"
    html = html.replace("https://api.example.com", phone.stack.api)
    html = html.replace("appId: '300000000000'", f"appId: '{phone.stack.app_id}', sdkUrl: '{sdk}'")
    html = f"<!doctype html><html lang='zh-CN'><meta name='referrer' content='always'>{html}"
    html_type = "text/html; charset=utf-8"
    phone.page.route(f"{phone.stack.page}/", lambda route: route.fulfill(body=html, content_type=html_type))
    phone.show(query="")


def test_the_plain_pages_sample_refuses_signs_in_and_goes_another_way(phone: LoginPage, sim: str) -> None:
    html = f"""<script src="number-verification.classic.js"></script>
      <script>{sample("Your own page, plain script", "js")}</script>"""
    lead_on(phone)
    serve(phone, html)
    assert phone.page.evaluate("logIn('17951139')") == "请填写 11 位手机号"
    assert "今天还可核对" in phone.page.evaluate("(number) => logIn(number)", other(sim))
    phone.page.evaluate("(number) => void logIn(number)", sim)
    phone.page.wait_for_url("**/home")

    phone.choose(network="wifi")
    phone.show(query="")
    phone.page.evaluate("(number) => void logIn(number)", sim)
    phone.page.wait_for_url("**/login/sms")


def test_the_back_ends_sample_logs_in(phone: LoginPage, sim: str) -> None:
    serve(
        phone,
        f"""<script type="module">
          import {{ createVerifier }} from './number-verification.js';
          const verifier = createVerifier({{ api: 'https://api.example.com', appId: '300000000000' }});
          {sample("Your back end", "js")}
          window.logIn = logIn;
        </script>""",
    )
    phone.until("window.logIn")

    assert phone.page.evaluate("(number) => logIn(number)", other(sim)) is False
    assert phone.page.evaluate("(number) => logIn(number)", sim) is True
    session = phone.page.evaluate("fetch('/business/session').then((answer) => answer.json())")
    assert session == {"phoneNum": sim}


@pytest.mark.parametrize("name", ["integration.md", "integration.zh-CN.md"])
def test_every_outcome_is_in_the_guide(name: str) -> None:
    declarations = (ROOT / "web" / "number-verification.d.ts").read_text(encoding="utf-8")
    codes = re.findall(r"^  \| '(\w+)'", declarations, re.MULTILINE)
    kinds = re.findall(r"^  kind: '(\w+)'", declarations, re.MULTILINE)
    assert len(codes) > 20
    assert len(kinds) == 8

    text = guide(name)
    assert [word for word in codes + kinds if f"`{word}`" not in text] == []
