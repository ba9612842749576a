"""The page server: `web/` on an origin of its own, so that CORS is exercised for real.

The files are served as they are, but for the addresses in index.html, which are examples there, and for the
developer's panel, which exists on the local stack only and never in `web/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from werkzeug import Request, Response
from werkzeug.exceptions import MethodNotAllowed, NotFound

from local.server import HOST

API_EXAMPLE: Final = "https://api.example.com"
PLATFORM_EXAMPLE: Final = "https://www.cmpassport.com"
SECOND_EXAMPLES: Final = ("https://verify.cmpassport.com", "https://log-h5.cmpassport.com:9443")
"""Hosts of the SDK's newer build, for which the simulator has its other name."""

APP_ID_EXAMPLE: Final = "300000000000"
BUSINESS_PATH: Final = "/business"
"""Where a stack with receipts has its business back end, on the page's origin."""

TEST_NUMBER: Final = "13999994444"
"""The number whose token a page asks for on the test line, which fetches no real ones."""


class Line(Enum):
    """The platform's line to which a page belongs; the simulator is like production."""

    PRODUCTION = "production"
    TEST = "test"


_PANEL_STYLE: Final = '<link rel="stylesheet" href="/panel/panel.css">\n'
_PANEL_SCRIPT: Final = '<script type="module" src="/panel/panel.js"></script>\n'
_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
}
"""Fixed here, since what `mimetypes` says depends on the machine."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a page is told in place of the examples; `business` is a path on its own origin."""

    api: str
    platform: str
    app_id: str
    line: Line = Line.PRODUCTION
    business: str | None = None


class Pages:
    """What answers behind the page's address: a directory and, unless None, the developer's panel."""

    def __init__(self, site: Path, panel: Path | None, addresses: Addresses) -> None:
        self._site = site.resolve()
        self._panel = panel.resolve() if panel is not None and panel.is_dir() else None
        self._addresses = addresses

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        if request.method not in {"GET", "HEAD"}:
            raise MethodNotAllowed(["GET", "HEAD"])
        name = request.path.removeprefix("/")
        if name in {"", "index.html"}:
            return self._index(request)
        root = self._site
        if self._panel is not None and name.startswith("panel/"):
            root, name = self._panel, name.removeprefix("panel/")
        file = _find(root, name)
        return _answer(_type(file), file.read_bytes())

    def _index(self, request: Request) -> Response:
        text = _find(self._site, "index.html").read_text(encoding="utf-8")
        text = text.replace(API_EXAMPLE, self._addresses.api)
        if self._addresses.line is Line.TEST:
            text = _on_the_test_line(text, self._addresses.platform)
        else:
            text = text.replace(PLATFORM_EXAMPLE, self._addresses.platform)
            if HOST in self._addresses.platform:
                for example in SECOND_EXAMPLES:
                    text = text.replace(example, self._addresses.platform.replace(HOST, "localhost"))
        if self._addresses.business is not None:
            text = text.replace('"appId": ', f'"business": "{self._addresses.business}",\n  "appId": ', 1)
        text = text.replace(APP_ID_EXAMPLE, self._addresses.app_id)
        panel = self._panel is not None and request.args.get("panel") != "off"
        if panel or self._addresses.business is not None:  # both ask the page's own origin
            text = text.replace("connect-src ", "connect-src 'self' ", 1)
        if panel:
            text = text.replace("</head>", f"{_PANEL_STYLE}</head>", 1)
            text = text.replace("</body>", f"{_PANEL_SCRIPT}</body>", 1)
        return _answer(_TYPES[".html"], text)


def _on_the_test_line(text: str, address: str) -> str:
    """Have a page load the SDK from where it is, and fetch the token of a number that it names itself."""
    text = text.replace(
        '"line": "production"', f'"line": "test",\n  "expandParams": "phoneNum={TEST_NUMBER}"'
    )
    for directive in ("img-src", "connect-src"):
        text = text.replace(f"{directive} ", f"{directive} {address} ", 1)
    return text


def _find(root: Path, name: str) -> Path:
    """Find a file below a directory; what leads out of it, or is hidden, is not found."""
    if "\0" in name or any(part.startswith(".") for part in name.split("/")):
        raise NotFound
    file = (root / name).resolve()
    if not (file.is_relative_to(root) and file.is_file()):
        raise NotFound
    return file


def _type(file: Path) -> str:
    return _TYPES.get(file.suffix, "text/plain; charset=utf-8")


def _answer(content_type: str, body: str | bytes) -> Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(body, headers=headers, content_type=content_type)
