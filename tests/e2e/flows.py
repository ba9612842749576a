"""What a user does on the login page, in the few words that every browser engine understands.

One table for all of them: `make test` plays it in Chromium, tests/parts in the other engines that users have.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import urllib3
from werkzeug import Request, Response

from local import ROOT
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
        """Press a key: a character, or `Backspace`, `Delete`, `Enter`, `Tab`."""

    def compose(self, digit: str) -> None:
        """Have an input method compose a digit at the caret, by way of other texts, and commit it."""

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
        self.choose(**{"sim": self.sim, "network": network} | more)
        self.engine.open(f"{self.stack.page}/index.html?panel=off")
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

    def paste(self, text: str) -> None:
        """Paste into the field of the number."""
        self.engine.tap("#phone")
        self.engine.run(f"document.execCommand('insertText', false, {json.dumps(text)})")

    def fill(self, text: str) -> None:
        """Have the browser fill in the field of the number."""
        self.engine.run(f"void (phone.value = {json.dumps(text)}, phone.dispatchEvent(new Event('input')))")

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


@contextmanager
def altered(phone: Phone, changes: dict[str, str]) -> Iterator[str]:
    """Serve the page's markup alone, with something else in it; yield its address."""
    page = urllib3.request("GET", f"{phone.stack.page}/?panel=off", retries=False).data.decode()
    for old, new in changes.items():
        page = page.replace(old, new)

    @Request.application
    def site(request: Request) -> Response:
        script = request.path.endswith(".js")
        return Response(status=404) if script else Response(page, content_type="text/html; charset=utf-8")

    with serving(site) as address:
        yield f"{address}/"


def guide(name: str) -> str:
    """Return the text of a page of docs/."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def sample(after: str, language: str) -> str:
    """Return the guide's first code block of a language after a heading."""
    section = guide("integration.md").partition(f"## {after}")[2]
    code: str = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)[0]
    return code


def refusal(code: str, action: str, **more: object) -> dict[str, Any]:
    """Return what the API says where it has no verdict."""
    return {"code": code, "action": action, "requestId": "KNqPGjFGPyy09Zo=", **more}


MISMATCH: Final = {"verified": False, "resultCode": "001", "action": "refuse", "attemptsLeft": 3}
# What /verify answers, what the page says of it, and which button it recommends then.
SENTENCES: Final[list[tuple[int, dict[str, Any], str, str]]] = [
    (200, MISMATCH, "今天还可核对 3 次", "submit"),
    (200, MISMATCH | {"attemptsLeft": 0}, "今天的核对次数已用完", "other"),
    (400, refusal("invalid_request", "fix_request", errors=[{"field": "phoneNum"}]), "不正确", "submit"),
    (400, refusal("presign_rejected", "fix_request"), "日期和时间", "other"),
    (403, refusal("origin_not_allowed", "fix_request"), "暂时无法核对号码", "other"),
    (429, refusal("too_many_requests", "wait"), "操作有点频繁", "submit"),
    (502, refusal("platform_rejected", "use_other_method", resultCode="103111"), "关闭 VPN", "submit"),
    (502, refusal("platform_rejected", "use_other_method", resultCode="110004"), "无法核对", "other"),
    (502, refusal("platform_error", "retry"), "运营商暂时没有回应", "submit"),
    (429, refusal("attempts_exhausted", "use_other_method"), "这个号码今天的核对次数已用完", "other"),
]
TYPED: Final = {
    "1x39": "139",
    "1399": "139 9",
    "13999994": "139 9999 4",
    **dict.fromkeys(("139999944445", "8613999994444"), "139 9999 4444"),
}
PASTED: Final = {
    **dict.fromkeys(("+86 139-1234-5678", "8613912345678", "(+86)139.1234.5678"), "139 1234 5678"),
    "１３９１２３４５６７８": "139 1234 5678",
    # Cut to fit, these would be other people's numbers.
    **{form: form for form in ("1795113912345678", "+1 415 555 2671", "139123456789", "tel:13912345678")},
    "12345678901": "123 4567 8901",
}

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
    """The newer SDK fetches a token of another site, which WebKit and Firefox tell the origin alone."""
    phone.open(wire="flat")
    phone.sign_in(phone.sim)
    phone.signed_in()

    assert phone.journal("getMobile") == []


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
    phone.until("document.querySelector('#actions > [data-main]:first-child').id === 'other'")
    phone.sign_in(phone.sim[:4])
    phone.shows("#phone-error", "请填写 11 位手机号")
    phone.type(phone.sim[4])
    phone.until("document.querySelector('#phone-error').textContent === ''")
    phone.shows("#notice", "您正在使用 Wi-Fi")
    assert not phone.engine.run("steps.indexOf('presign start') >= 0")


def back_from_sms(phone: Phone) -> None:
    """Back, the browser's and the page's, leads from the SMS view to the number as it was typed."""
    phone.open()
    phone.type(phone.sim[:5])
    shown = f"{phone.sim[:3]} {phone.sim[3:5]}"
    for back in ("history.back()", "document.querySelector('#back').click()"):
        phone.engine.tap("#other")
        phone.until("document.querySelector('#sms > h1:focus')")
        assert phone.engine.run("document.querySelector('#sms-phone').value") == shown
        assert not phone.is_seen("#sign-in")
        assert phone.engine.run("getComputedStyle(document.activeElement).outlineStyle") == "none"
        phone.engine.run(f"void {back}")
        phone.until("document.querySelector('#sign-in').offsetHeight > 0")
        assert not phone.is_seen("#sms")
        assert phone.engine.run("document.querySelector('#phone').value") == shown

    phone.engine.open(f"{phone.stack.page}/?panel=off#sms")  # nothing to go back to
    phone.until("document.querySelector('#sms').offsetHeight > 0")
    phone.engine.tap("#back")
    phone.until("document.querySelector('#sign-in').offsetHeight > 0")


def samples(phone: Phone) -> None:
    """The guide's sample takes over, and Back does not lead from where it leads to the login page again."""
    for path in ("/home", "/login/sms"):
        phone.open()
        code = sample("The finished page", "js").replace("cation:verified", "cation:logged-in")
        phone.engine.run(f"void (function () {{ {code} }})()")
        phone.sign_in(phone.sim) if path == "/home" else phone.engine.tap("#other")
        phone.until(f"location.pathname === '{path}'")
        phone.engine.run("void history.back()")
        phone.until(f"['/index.html', '{path}'].indexOf(location.pathname) < 0")


def bridge(phone: Phone) -> None:
    """An app's bridge of iframes is blocked until the policy has the source that the guide names."""
    for policy, blocked in (("", 2), (re.findall("frame-src \\w+:", guide("integration.md"))[0], 1)):
        with altered(phone, {"default-src 'none';": f"default-src 'none'; {policy};"}) as address:
            phone.engine.open(address)
            phone.engine.run(
                "void (window.blocked = 0, document.addEventListener('securitypolicyviolation',"
                " ({ effectiveDirective }) => (blocked += effectiveDirective === 'frame-src')),"
                " ['alipays:', 'wvjbscheme:'].forEach((scheme) => {"
                "  document.body.appendChild(document.createElement('iframe')).src = `${scheme}//call`; }))"
            )
            phone.until(f"blocked >= {blocked}")
            assert phone.engine.run("blocked") == blocked


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
    phone.engine.tap("#phone")
    full, short = "13712340999", "1371234099"
    wrong = []
    for number, key in ((full, "Backspace"), (full, "Delete"), (full, "5"), (short, "5")):
        for caret in range(len(number) + 3):
            phone.fill(number)
            phone.engine.run(f"phone.setSelectionRange({caret}, {caret})")
            phone.engine.press(key)
            value, at = phone.engine.run("[phone.value, phone.selectionStart]")
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


def written(phone: Phone) -> None:
    """A number is grouped, and read by the API's rule or left as it is, be it typed, pasted or filled in."""
    phone.open()
    for write, forms in ((phone.type, TYPED), (phone.paste, PASTED), (phone.fill, PASTED)):
        for text, shown in forms.items():
            phone.fill("")
            write(text)
            phone.until(f"phone.value === {json.dumps(shown)}")
    phone.engine.tap("#submit")
    phone.shows("#phone-error", "这个手机号不正确")
    assert phone.engine.run("document.activeElement.id") == "phone"
    assert not phone.engine.run("steps.indexOf('verify start') >= 0")


def composing(phone: Phone) -> None:
    """Nothing is rearranged while an input method composes; WebKit before 16.4 has no `isComposing`."""
    phone.open()
    phone.type("139")
    phone.engine.run(
        "delete InputEvent.prototype.isComposing && void (window.values = [],"
        " document.activeElement.addEventListener('input', ({ target }) => values.push(target.value)))"
    )
    phone.engine.compose("5")
    phone.until("document.querySelector('#phone').value === '139 5'")

    assert phone.engine.run("values")[:2] == ["139u", "139u3"]


def keyboard(phone: Phone) -> None:
    """The keyboard alone signs in and shows where it is, with `:focus-visible` or without."""
    phone.open()
    phone.engine.tap("#consent")  # no longer ticked
    phone.type(phone.sim)
    for stop in ("clear", "consent", "", "", "", "submit"):
        phone.engine.press("Tab")
        ring = phone.engine.run(
            "((element, { outlineStyle, outlineWidth }) => [element.id, outlineStyle, outlineWidth])"
            "(document.activeElement, getComputedStyle(document.activeElement))"
        )
        assert ring == [stop, "solid", "3px"]
        if stop == "consent":
            phone.engine.press(" ")
    phone.engine.press("Enter")
    phone.signed_in()


def refusals(phone: Phone) -> None:
    """Whatever the API answers is said in a sentence without a code, and what is best then is on top."""
    phone.open()
    phone.type(phone.sim)
    phone.engine.run(
        "void (window.fetch = ((fetch) => (url, options) => !/verify$/.test(url) ? fetch(url, options)"
        " : Promise.resolve(new Response(JSON.stringify(answer[1]), { status: answer[0] })))(window.fetch))"
    )
    for status, body, said, first in SENTENCES:
        phone.engine.run(f"void (window.answer = {json.dumps([status, body])})")
        phone.engine.tap("#submit")
        phone.shows("#sign-in", said)
        found = re.findall(
            r"_|\b\d{6}\b|KNq|AllowedOrigins|undefined", phone.engine.run("document.body.innerText")
        )
        assert found == [], said
        for place in ("[data-main]", ":first-child"):
            phone.until(f"document.querySelector('#actions > {place}').id === '{first}'")
        # To move the button that was tapped would take the focus away.
        assert phone.engine.run("document.activeElement.id") in {"submit", "phone"}

    phone.fill(other(phone.sim))
    phone.until("document.querySelector('#notice').textContent === ''")


def remount(phone: Phone) -> None:
    """A verifier that is disposed of and prepared again at once has a token; its former run fetches none."""
    phone.open()
    phone.ready()
    phone.control("DELETE", "journal")
    phone.engine.run(
        "void ((verifier) => { verifier.prepare(); verifier.dispose();"
        " verifier.prepare().then(({ kind }) => (window.remounted = kind));"
        "})(NumberVerification.createVerifier(JSON.parse(configuration.textContent)))"
    )
    phone.until("window.remounted === 'ready'")

    assert len(phone.journal("getToken")) == 1


def stale_sdk(phone: Phone) -> None:
    """An SDK that the page itself loaded half a day ago is loaded again."""
    phone.open()
    phone.ready()
    for hours, loads in ((11, 0), (13, 1)):
        phone.engine.run(
            "void (window.again = [], NumberVerification.createVerifier(Object.assign({"
            f" now: () => Date.now() + {hours} * 3600e3,"
            " onStep: ({ name, state }) => again.push(`${name} ${state}`),"
            "}, JSON.parse(configuration.textContent))).prepare())"
        )
        phone.until("again.indexOf('token done') >= 0")
        assert phone.engine.run("again").count("sdk done") == loads


def back_from_the_settings(phone: Phone) -> None:
    """Who is told what to do, without a code, does it and comes back to the page, has a token by himself."""
    for network, sim, said in (
        ("wifi", phone.sim, "关闭 Wi-Fi"),
        ("vpn", phone.sim, "VPN"),
        ("unknown", "", "打开移动数据"),
    ):
        phone.open(network, sim=sim)
        phone.shows("#notice", said)
        assert not re.search(r"\d{6}", phone.engine.run("document.body.innerText"))
        phone.choose(network="cellular", sim=phone.sim)
        phone.engine.run("void (window.steps = [], document.dispatchEvent(new Event('visibilitychange')))")
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
    for changes in ({}, {"script-src": "object-src"}):  # then not even the page's own lines run
        with altered(phone, changes) as address:
            phone.engine.open(address)
            phone.until("document.querySelector('#stuck').offsetHeight > 0")
            assert not phone.is_seen("#submit")
            assert phone.engine.run("document.querySelectorAll('#terms a[href^=https]').length") == 3
            phone.engine.tap("#other")
            phone.until("document.querySelector('#sms').offsetHeight > 0")
            assert not phone.is_seen("#sign-in")


def large_fonts(phone: Phone) -> None:
    """However large the font, the whole number is seen, and nothing is wider than the screen."""
    phone.open()
    phone.engine.run("void (document.body.style.width = '320px')")  # not every window can be that small
    for size in (100, 130, 160, 200):
        phone.engine.run(f"void (document.documentElement.style.fontSize = '{size}%')")
        phone.fill("13800001388")
        room = phone.engine.run(
            "[document.querySelector('#phone').clientWidth - document.querySelector('.measure').offsetWidth,"
            "Math.min(320, innerWidth) - document.querySelector('.page').scrollWidth]"
        )
        assert min(room) >= 0, (size, room)


FLOWS: Final[dict[str, Callable[[Phone], None]]] = {
    flow.__name__: flow
    for flow in (
        *(match, newer_sdk, mismatch, wifi, back_from_sms, samples, bridge, sdk_failure),
        *(token_ageing, stale_sdk, editing_at_every_caret, written, composing, keyboard),
        *(refusals, remount, back_from_the_settings, outage, without_its_script, large_fonts),
    )
}
