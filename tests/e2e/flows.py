"""What a user does on the login page, in the few words that every browser engine understands.

One table for all of them: `make test` plays it in Chromium, tests/parts in the other engines that users have.
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import urllib3
from werkzeug import Request, Response

from local.stack import Stack
from tests.support.server import serving

PATIENCE: Final = 20.0  # seconds; a busy machine is slow, not wrong


class Engine(Protocol):
    """A browser with one page."""

    def open(self, address: str) -> None:
        """Open an address, and wait until the page has run its scripts."""

    def run(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""

    def press(self, key: str) -> None:
        """Press a key: a digit, or `Backspace`, `Delete`, `Enter`."""

    def tap(self, selector: str) -> None:
        """Tap what a CSS selector names."""


@dataclass
class Phone:
    """A phone with a SIM, and the login page of a stack on it."""

    stack: Stack
    engine: Engine
    sim: str

    def choose(self, **settings: str) -> None:
        """Choose the SIM, the network and whatever else the simulator lets one choose."""
        stored = {f"simulator.{name}": value for name, value in settings.items()}
        self.engine.run(f"Object.assign(localStorage, {json.dumps(stored)})")

    def open(self, network: str = "cellular", **more: str) -> None:
        """Open the page on a phone as it came from the shop, and accept the terms."""
        self.engine.open(f"{self.stack.page}/number-verification.d.ts")
        self.engine.run("localStorage.clear()")
        self.choose(sim=self.sim, network=network, **more)
        self.engine.open(f"{self.stack.page}/?panel=off")
        self.engine.run(
            "window.steps = [], document.addEventListener('number-verification:step',"
            "(event) => steps.push(event.detail.name + ' ' + event.detail.state))"
        )
        self.engine.tap("#consent")

    def ready(self) -> None:
        """Wait until the page has a token."""
        self.until("steps.indexOf('token done') >= 0")

    def type(self, digits: str) -> None:
        """Type into the field of the number."""
        self.engine.tap("#phone")
        for digit in digits:
            self.engine.press(digit)

    def sign_in(self, number: str) -> None:
        """Type a number and tap."""
        self.type(number)
        self.engine.tap("#submit")

    def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.engine.run(f"Boolean({expression})"):
            assert time.monotonic() < end, f"{expression}: {self.engine.run('document.body.innerText')}"
            time.sleep(0.05)

    def shows(self, selector: str, text: str) -> None:
        """Wait until an element holds a text."""
        self.until(f"document.querySelector('{selector}').textContent.indexOf('{text}') >= 0")

    def is_seen(self, selector: str) -> bool:
        """Return whether an element takes up room on the page."""
        seen: bool = self.engine.run(f"document.querySelector('{selector}').offsetHeight > 0")
        return seen

    def signed_in(self) -> None:
        """Wait until the page says that it is done."""
        self.until("document.querySelector('#signed-in').offsetHeight > 0")

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Ask the simulator's developer side."""
        address = f"{self.stack.platform}/simulator/{path}"
        return urllib3.request(method, address, json=body, retries=False).json()

    def journal(self, name: str) -> list[dict[str, Any]]:
        """Return what the platform saw of one kind."""
        return [entry for entry in self.control("GET", "journal")["entries"] if entry["name"] == name]


def other(number: str) -> str:
    """Return a number that is another one."""
    return number[:10] + str((int(number[10]) + 1) % 10)


# ---- the flows


def match(phone: Phone) -> None:
    """The SIM's number signs in, once for two taps, shown masked; the platform is sent what was reported."""
    phone.open()
    phone.type(phone.sim)
    phone.engine.run("[1, 2].forEach(() => document.querySelector('#submit').click())")
    phone.signed_in()

    shown = phone.engine.run("document.querySelector('#account').textContent")
    assert shown == f"{phone.sim[:3]} **** {phone.sim[7:]}"
    assert not phone.is_seen("#terms")
    assert len(phone.journal("verify")) == 1
    requests = [entry["request"] for name in ("getMobile", "getToken") for entry in phone.journal(name)]
    sheet = phone.control("GET", "customer")
    assert {seen["origin"] for seen in requests if seen["origin"]} <= set(sheet["origins"])
    assert {seen["referer"].partition("?")[0] for seen in requests} <= set(sheet["referers"])


def newer_sdk(phone: Phone) -> None:
    """The SDK's newer build, which speaks to another host, fetches a token as well."""
    phone.open(wire="flat")
    phone.sign_in(phone.sim)
    phone.signed_in()

    assert phone.journal("getMobile") == []


def vpn(phone: Phone) -> None:
    """Whoever is not on the carrier's network is told what to do, without a code."""
    phone.open("vpn")
    phone.shows("#notice", "关闭")
    assert not re.search(r"\d{6}", phone.engine.run("document.body.innerText"))


def mismatch(phone: Phone) -> None:
    """Another number is refused at the field, and the right one signs in afterwards."""
    phone.open()
    phone.sign_in(other(phone.sim))
    phone.shows("#phone-error", "这不是本机号码，今天还可核对")
    assert phone.engine.run("document.activeElement.id") == "phone"

    phone.engine.press("Backspace")
    assert phone.engine.run("document.querySelector('#phone-error').textContent") == ""
    phone.engine.press(phone.sim[10])
    phone.engine.tap("#submit")
    phone.signed_in()


def wifi(phone: Phone) -> None:
    """On Wi-Fi the other way is on top; the field's own error comes and goes beside the notice."""
    phone.open("wifi")
    phone.shows("#notice", "您正在使用 Wi-Fi")
    phone.sign_in(phone.sim[:4])
    phone.shows("#phone-error", "请填写 11 位手机号")
    phone.type(phone.sim[4])
    phone.until("document.querySelector('#phone-error').textContent === ''")
    phone.shows("#notice", "您正在使用 Wi-Fi")
    assert not phone.engine.run("steps.indexOf('presign start') >= 0")

    phone.engine.tap("#other")
    phone.until("document.querySelector('#sms').offsetHeight > 0")
    phone.until(f"document.querySelector('#sms-phone').value.replace(/ /g, '') === '{phone.sim[:5]}'")
    phone.engine.tap("#back")
    phone.until("document.querySelector('#sign-in').offsetHeight > 0")
    phone.until("document.querySelector('#sms').offsetHeight === 0")


def sdk_failure(phone: Phone) -> None:
    """Without the SDK another way is offered, and another try loads it."""
    phone.control("POST", "faults", {"fault": "unavailable", "on": "sdk"})
    phone.open()
    phone.shows("#notice", "安全组件没有加载成功")
    phone.sign_in(phone.sim)
    phone.signed_in()


def token_ageing(phone: Phone) -> None:
    """A token that grows too old while the user types is replaced, unnoticed."""
    phone.open()
    phone.ready()
    phone.engine.run("void (Date.now = ((now) => () => now() + 51000)(Date.now))")
    phone.sign_in(phone.sim)
    phone.signed_in()

    assert len(phone.journal("getToken")) == 2


def editing_at_every_caret(phone: Phone) -> None:
    """At every caret a key changes the digit that it should, and the caret stays between the same digits."""
    phone.open()
    full, short = "13712340999", "1371234099"
    wrong = []
    for number, key in ((full, "Backspace"), (full, "Delete"), (full, "5"), (short, "5")):
        for caret in range(len(number) + 3):
            phone.engine.run(
                f"(function (field) {{ field.value = '{number}'; field.dispatchEvent(new Event('input'));"
                f" field.focus(); field.setSelectionRange({caret}, {caret});"
                " })(document.querySelector('#phone'))"
            )
            phone.engine.press(key)
            value, at = phone.engine.run(
                "[document.querySelector('#phone').value, document.querySelector('#phone').selectionStart]"
            )
            shown = f"{number[:3]} {number[3:7]} {number[7:]}"
            before = len(shown[:caret].replace(" ", ""))
            head, tail = number[:before], number[before:]
            if key == "Backspace":
                head = head[:-1]
            elif key == "Delete":
                tail = tail[1:]
            elif number is short:
                head += key
            if (value[:at].replace(" ", ""), value[at:].replace(" ", "")) != (head, tail):
                wrong.append((number, key, caret, value, at))
    assert not wrong, wrong


def pasted(phone: Phone) -> None:
    """What is pasted is read by the API's rule; what that refuses stays as it is, and is not cut to fit."""
    phone.open()
    shown = {"(+86)139.1234.5678": "139 1234 5678", "1391234": "139 1234"}
    shown |= {form: form for form in ("1795113912345678", "+1 415 555 2671", "139123456789")}
    for text, value in shown.items():
        phone.engine.run(
            f"(function (field) {{ field.value = {json.dumps(text)};"
            " field.dispatchEvent(new Event('input')); })(document.querySelector('#phone'))"
        )
        phone.until(f"document.querySelector('#phone').value === {json.dumps(value)}")


def remount(phone: Phone) -> None:
    """A verifier that is disposed of and prepared again at once has a token; its former run fetches none."""
    phone.open()
    phone.ready()
    phone.control("DELETE", "journal")
    phone.engine.run(
        "void (function (options) {"
        " var verifier = NumberVerification.createVerifier(options);"
        " verifier.prepare().catch(function () {});"
        " verifier.dispose();"
        " verifier.prepare().then(function () { window.remounted = 'ready'; },"
        "   function (error) { window.remounted = String(error); });"
        " })(JSON.parse(document.querySelector('#configuration').textContent))"
    )
    phone.until("window.remounted")

    assert phone.engine.run("remounted") == "ready"
    assert len(phone.journal("getToken")) == 1


def back_on_mobile_data(phone: Phone) -> None:
    """Who switches Wi-Fi off and comes back to the page has a token without doing anything."""
    phone.open("wifi")
    phone.shows("#notice", "您正在使用 Wi-Fi")
    phone.engine.run("localStorage['simulator.network'] = 'cellular'")
    phone.engine.run("void document.dispatchEvent(new Event('visibilitychange'))")
    phone.ready()

    phone.until("document.querySelector('#notice').textContent === ''")


def outage(phone: Phone) -> None:
    """An API that breaks down after it answered is an outage, not a page that was not enabled."""
    phone.open()
    phone.ready()
    phone.engine.run(
        "void (window.fetch = ((fetch) => (url, options) => /verify$/.test(url)"
        " ? Promise.reject(new TypeError('dropped')) : fetch(url, options))(window.fetch))"
    )
    phone.sign_in(phone.sim)
    phone.shows("#notice", "连接不上服务器")


def without_its_script(phone: Phone) -> None:
    """Where the page's script does not run, the other way is there, and works."""
    page = urllib3.request("GET", f"{phone.stack.page}/?panel=off", retries=False).data

    @Request.application
    def site(request: Request) -> Response:
        script = request.path.endswith(".js")
        return Response(status=404) if script else Response(page, content_type="text/html; charset=utf-8")

    with serving(site) as address:
        phone.engine.open(f"{address}/")
        phone.until("document.querySelector('#stuck').offsetHeight > 0")
        assert not phone.is_seen("#submit")
        phone.engine.tap("#other")
        phone.until("document.querySelector('#sms').offsetHeight > 0")
        assert not phone.is_seen("#sign-in")


def large_fonts(phone: Phone) -> None:
    """However large the font, the whole number is seen, and nothing is wider than the screen."""
    phone.open()
    for size in (100, 130, 160, 200):
        phone.engine.run(f"void (document.documentElement.style.fontSize = '{size}%')")
        phone.engine.run("document.querySelector('#phone').value = ''")
        phone.type("13800001388")
        cut = phone.engine.run(
            "[document.querySelector('.measure').offsetWidth, document.querySelector('#phone').clientWidth,"
            "document.documentElement.scrollWidth - innerWidth]"
        )
        assert cut[0] <= cut[1], (size, cut)
        assert cut[2] <= 0, (size, cut)


FLOWS: Final[dict[str, Callable[[Phone], None]]] = {
    flow.__name__: flow
    for flow in (
        *(match, newer_sdk, mismatch, wifi, vpn, sdk_failure, token_ageing),
        *(
            editing_at_every_caret,
            pasted,
            remount,
            back_on_mobile_data,
            outage,
            without_its_script,
            large_fonts,
        ),
    )
}
