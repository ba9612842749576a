"""What the tools fetch over HTTP, and addresses as browsers write them."""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from urllib3 import PoolManager, Timeout, exceptions

_PAGE_BYTES: Final = 1 << 20
_STAGES: Final[Mapping[type[Exception], str]] = {
    exceptions.NameResolutionError: "DNS",
    exceptions.NewConnectionError: "TCP",
    exceptions.ConnectTimeoutError: "TCP",
    exceptions.SSLError: "TLS",
    Exception: "HTTP",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """An HTTP answer, or the `stage` at which there was none; `why` is its status or the failure."""

    why: str
    status: int = 0
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    stage: str = ""

    def document(self) -> dict[str, Any]:
        """Return the JSON object of the body; an empty one where it is not one."""
        try:
            content = json.loads(self.body)
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}

    def member(self, name: str) -> str:
        """Return a member of that object as text; empty where it has none."""
        return str(self.document().get(name) or "")


def fetch(
    method: str,
    url: str,
    timeout: Timeout | float = 10.0,
    tls: ssl.SSLContext | None = None,
    **options: Any,
) -> Fetched:
    """Fetch an address, up to a MiB; redirections are not followed."""
    try:
        http = PoolManager(retries=False, ssl_context=tls)
        response = http.request(
            method, url, redirect=False, timeout=timeout, preload_content=False, **options
        )
        body = response.read(_PAGE_BYTES, decode_content=True)
        response.close()
    except (exceptions.HTTPError, OSError) as error:
        certificate = getattr(error.args[0] if error.args else None, "verify_message", "")
        stage = next(stage for kind, stage in _STAGES.items() if isinstance(error, kind))
        return Fetched(certificate.rstrip(".") or type(error).__name__, stage=stage)
    return Fetched(f"HTTP {response.status}", response.status, body, response.headers)


def tls_of_the_functions() -> ssl.SSLContext:
    """Return what verifies certificates as the functions' Python does, 3.13; an older one is less strict."""
    context = ssl.create_default_context()
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def origin_of(url: str) -> str:
    """Return the origin of an address as a browser writes it."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    port = f":{parts.port}" if parts.port not in {None, usual} else ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def referer_of(url: str) -> str:
    """Return the address under which a page is reported: all of it, up to ? or #."""
    return origin_of(url) + (urlsplit(url).path or "/")


def is_page(url: str) -> bool:
    """Tell an absolute http(s) address that can be reported: no wildcard, no comma (it separates them)."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - a ValueError where it is not one
    except ValueError:
        return False
    plain = url.isprintable() and not set(url) & set("*, ") and "@" not in parts.netloc
    return plain and parts.scheme in {"http", "https"} and bool(parts.hostname)
