"""Make docs/screenshots: each state of the login page, on two phones, light and dark, and the panel.

`make screenshots` runs this. It brings up a local stack, plays each state with the same helper as the browser
tests, and writes the pictures with an index of them, README.md.
"""

import struct
import sys
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, ViewportSize, expect

from local import ROOT
from local.keys import ReceiptNumber
from local.stack import EXHAUSTED_NUMBER, SIM_NUMBER, Options, Stack
from tests.e2e.browser import DESK, PHONE, SMALL_PHONE, LoginPage, chromium, find_chromium
from tests.support.stacks import start

FOLDER: Final = ROOT / "docs" / "screenshots"
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
OTHER_NUMBER: Final = "13900000000"

# Each refused number spends an attempt of its day, so no two pictures share one.
_spare = count(13_600_000_000)


def preparing(phone: LoginPage) -> None:
    phone.hang("**/jssdk.min.js")
    phone.open()
    phone.shows("正在准备")


def ready(phone: LoginPage) -> None:
    phone.open()
    phone.ready()


def typing(phone: LoginPage) -> None:
    ready(phone)
    phone.number.fill(SIM_NUMBER[:9])
    phone.number.focus()


def incomplete(phone: LoginPage) -> None:
    ready(phone)
    phone.sign_in(SIM_NUMBER[:9])
    phone.shows("请填写 11 位手机号")


def checking(phone: LoginPage) -> None:
    phone.hang(f"{phone.stack.api}/verify")
    ready(phone)
    phone.sign_in(SIM_NUMBER)
    phone.shows("正在与运营商核对")


def mismatch(phone: LoginPage) -> None:
    ready(phone)
    phone.sign_in(str(next(_spare)))
    phone.shows("这不是本机号码")
    phone.page.wait_for_load_state("networkidle")


def wifi(phone: LoginPage) -> None:
    phone.insert(SIM_NUMBER, "wifi")
    phone.open()
    phone.shows("您正在使用 Wi-Fi")


def number_unknown(phone: LoginPage) -> None:
    phone.insert("")
    phone.open()
    phone.shows("没有识别到本机号码")


def attempts_exhausted(phone: LoginPage) -> None:
    ready(phone)
    phone.sign_in(EXHAUSTED_NUMBER)
    phone.shows("今天的核对次数已用完")


def sdk_unavailable(phone: LoginPage) -> None:
    phone.fault("unavailable", on="sdk")
    phone.open()
    phone.shows("安全组件没有加载成功")


def platform_down(phone: LoginPage) -> None:
    ready(phone)
    phone.fault("html", times=0)
    phone.sign_in(str(next(_spare)))
    phone.shows("运营商暂时没有回应")


def api_down(phone: LoginPage) -> None:
    phone.page.route(f"{phone.stack.api}/**", lambda route: route.abort("connectionrefused"))
    phone.open()
    phone.shows("连接不上服务器")


def unavailable(phone: LoginPage) -> None:
    ready(phone)
    phone.fault("resultCode", resultCode="110004")
    phone.sign_in(str(next(_spare)))
    phone.shows("暂时无法核对号码")


def other_method(phone: LoginPage) -> None:
    number_unknown(phone)
    phone.other.click()
    expect(phone.page.locator("#other-method")).to_be_visible()


def signed_in(phone: LoginPage) -> None:
    ready(phone)
    phone.sign_in(SIM_NUMBER)
    phone.signed_in()


def logged_in(phone: LoginPage) -> None:
    signed_in(phone)
    expect(phone.page.locator("#account")).to_be_visible()


def login_refused(phone: LoginPage) -> None:
    refusal = {"code": "wrong_nonce", "status": 401}
    phone.page.route("**/business/login", lambda route: route.fulfill(status=401, json=refusal))
    ready(phone)
    phone.sign_in(SIM_NUMBER)
    phone.shows("登录没有完成")


def business_down(phone: LoginPage) -> None:
    phone.page.route("**/business/**", lambda route: route.abort("connectionrefused"))
    ready(phone)
    phone.sign_in(SIM_NUMBER)
    phone.shows("登录服务没有回应")


@dataclass(frozen=True, slots=True)
class State:
    """What to play, and what the index says about it."""

    play: Callable[[LoginPage], None]
    caption: str

    @property
    def name(self) -> str:
        """The state's part of a file name."""
        return self.play.__name__.replace("_", "-")


STATES: Final = (
    State(preparing, "Loading the SDK and fetching a token; the user may type already"),
    State(ready, "A token is at hand"),
    State(typing, "Grouped 3-4-4 while typing"),
    State(checking, "The verification is under way"),
    State(signed_in, "000: the number is this SIM's"),
    State(mismatch, "001: it is not"),
    State(incomplete, "Not a number yet"),
    State(wifi, "On Wi-Fi the carrier cannot see the number"),
    State(number_unknown, "getTokenInfo failed with 500"),
    State(attempts_exhausted, "The day's attempts of this number are used up"),
    State(sdk_unavailable, "The SDK did not load"),
    State(platform_down, "The platform failed three times"),
    State(api_down, "The API cannot be reached"),
    State(unavailable, "Something that the operator must mend"),
    State(other_method, "The other way to log in: where the business's own SMS login goes"),
)
RECEIPT_STATES: Final = (
    State(logged_in, "With a business back end: it has accepted the receipt, and says who is logged in"),
    State(login_refused, "The back end has refused the receipt"),
    State(business_down, "The back end cannot be reached; nothing was verified"),
)


@contextmanager
def phone_on(
    browser: Browser, stack: Stack, size: tuple[int, int], scheme: Literal["light", "dark"]
) -> Iterator[LoginPage]:
    """Give a phone of that size; without motion, and with the same time on each picture."""
    context = browser.new_context(
        viewport=ViewportSize(width=size[0], height=size[1]),
        device_scale_factor=1 if size == DESK else 1.5,
        is_mobile=size != DESK,
        has_touch=size != DESK,
        color_scheme=scheme,
        locale="zh-CN",
        reduced_motion="reduce",
    )
    phone = LoginPage.on(stack, context)
    phone.page.clock.install(time=datetime.now().astimezone().replace(hour=9, minute=41))
    phone.control("DELETE", "faults")
    phone.control("DELETE", "attempts")
    phone.insert(SIM_NUMBER)
    yield phone
    phone.let_go()
    context.close()


class Album:
    """Where the pictures go, with 256 colours each: a third of the size, and no eye can tell."""

    def __init__(self, browser: Browser) -> None:
        self._desk = browser.new_page()

    def keep(self, phone: LoginPage, name: str) -> None:
        """Take a picture of what the phone shows."""
        picture = phone.page.screenshot(animations="disabled", caret="hide")
        image = self._desk.evaluate(_PALETTE, f"data:image/png;base64,{b64encode(picture).decode()}")
        (FOLDER / f"{name}.png").write_bytes(_png(**image))


# Into the 256 commonest colours, each other pixel into the nearest of them.
_PALETTE: Final = """async (url) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  const { width, height } = image;
  const context = new OffscreenCanvas(width, height).getContext('2d');
  context.drawImage(image, 0, 0);
  const pixels = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) || 0) + 1);
  const palette = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([pixel]) => pixel);
  const parts = (pixel) => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
  const known = palette.map(parts);
  const nearest = (pixel) => {
    const [r, g, b] = parts(pixel);
    const far = known.map(([x, y, z]) => (x - r) ** 2 + (y - g) ** 2 + (z - b) ** 2);
    return far.indexOf(Math.min(...far));
  };
  const index = new Map([...counts.keys()].map((pixel) => [pixel, nearest(pixel)]));
  let indexes = '';
  for (const pixel of pixels) indexes += String.fromCharCode(index.get(pixel));
  return { width, height, palette: known.flat(), indexes };
}"""


def _png(*, width: int, height: int, palette: list[int], indexes: str) -> bytes:
    """Write a PNG with a palette (ISO/IEC 15948)."""
    pixels = indexes.encode("latin-1")
    rows = b"".join(b"\0" + pixels[row * width : (row + 1) * width] for row in range(height))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(palette)),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def shoot_states(
    album: Album,
    browser: Browser,
    stack: Stack,
    states: tuple[State, ...],
    size: tuple[int, int],
    scheme: Literal["light", "dark"],
) -> None:
    """Write the picture of each state."""
    for state in states:
        with phone_on(browser, stack, size, scheme) as phone:
            state.play(phone)
            album.keep(phone, f"{state.name}-{size[0]}-{scheme}")


def shoot_panel(album: Album, phone: LoginPage, scheme: str) -> None:
    """Write the panel's pictures: a match in Chinese, and a fault survived, in English."""
    phone.open(query="")
    phone.ready()
    phone.sign_in(SIM_NUMBER)
    phone.signed_in()
    expect(phone.page.locator(".step").nth(14)).to_have_attribute("data-state", "done")
    album.keep(phone, f"panel-signed-in-{scheme}")

    phone.open(query="")
    phone.ready()
    phone.page.get_by_role("button", name="Switch to English").click()
    phone.control("DELETE", "tokens")
    phone.sign_in(str(next(_spare)))
    phone.shows("Not this phone's number")
    phone.page.wait_for_load_state("networkidle")
    expect(phone.page.locator(".step").nth(14)).to_have_attribute("data-state", "stopped")
    phone.page.locator(".step > summary").nth(13).click()
    phone.page.locator(".step").nth(15).scroll_into_view_if_needed()
    album.keep(phone, f"panel-retried-{scheme}")


def shoot_cheats(album: Album, phone: LoginPage, scheme: str) -> None:
    """Write the panel's picture of a receipt, and of what the back end says to whoever cheats with it."""
    phone.page.clock.set_system_time(datetime.now().astimezone())  # the receipt's life is counted from now
    phone.open(query="")
    phone.ready()
    phone.sign_in(SIM_NUMBER)
    phone.signed_in()
    expect(phone.page.locator(".step").nth(18)).to_have_attribute("data-state", "done")
    cheats = phone.page.locator(".cheats button:enabled")
    for button in cheats.all():
        button.click()
    expect(phone.page.locator(".outcome[data-state=refused]")).to_have_count(cheats.count())
    phone.page.locator(".receipt").scroll_into_view_if_needed()
    album.keep(phone, f"panel-cheats-{scheme}")


def index() -> str:
    """Give the index of all pictures, in Markdown."""
    lines = ["# The login page, state by state", "", "Made by `make screenshots`.", ""]
    for state in (*STATES, *RECEIPT_STATES):
        lines += [f"## {state.caption}", ""]
        lines += [
            f'<img src="{state.name}-{width}-{scheme}.png" width="{width // 2}" alt="{width}, {scheme}">'
            for width, _ in (PHONE, SMALL_PHONE)
            for scheme in SCHEMES
        ]
        lines += [""]
    lines += ["## The developer's panel, on the local stack", ""]
    lines += [
        f"![{scheme}](panel-{what}-{scheme}.png)"
        for what in ("signed-in", "retried", "cheats")
        for scheme in SCHEMES
    ]
    return "\n".join([*lines, ""])


def main() -> int:
    """Make all pictures; 0 when they are there."""
    path = find_chromium()
    if path is None:
        print("screenshots: no Chromium on this machine; CHROMIUM=/path/to/one names it", file=sys.stderr)  # noqa: T201
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()
    patience = {"PlatformReadTimeout": "0.5", "DailyAttemptLimit": "20"}
    options = Options(parameters=patience, log=Path("/dev/null"))
    with (
        start(options) as stack,
        start(replace(options, receipts=ReceiptNumber.ENCRYPTED)) as receipts,
        chromium(path) as browser,
    ):
        album = Album(browser)
        for scheme in SCHEMES:
            for size in (PHONE, SMALL_PHONE):
                shoot_states(album, browser, stack, STATES, size, scheme)
                shoot_states(album, browser, receipts, RECEIPT_STATES, size, scheme)
            with phone_on(browser, stack, DESK, scheme) as phone:
                shoot_panel(album, phone, scheme)
            with phone_on(browser, receipts, DESK, scheme) as phone:
                shoot_cheats(album, phone, scheme)
    (FOLDER / "README.md").write_text(index(), encoding="utf-8")
    pictures = list(FOLDER.glob("*.png"))
    size_in_kb = sum(picture.stat().st_size for picture in pictures) // 1024
    print(f"docs/screenshots: {len(pictures)} pictures, {size_in_kb} KB")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
