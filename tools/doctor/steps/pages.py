"""Origins and pages, by the guide's rules (section 2.3): what may call, and what is reported."""

from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Final
from urllib.parse import SplitResult, urlsplit

from cmpassport.settings import SettingsError, read_origins
from tools.doctor.facts import Facts, Fetched, World
from tools.doctor.place import PRESIGN, VERIFY, Origin
from tools.doctor.steps.line import is_loopback, line_of
from tools.doctor.steps.settings import where_to_set
from tools.doctor.steps.step import Step
from tools.findings import Finding, fault, fine, unknown, warning

_VARIABLE: Final = "ALLOWED_ORIGINS"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_POLICIES: Final = frozenset({"always", "unsafe-url"})
"""The guide's word, and the standard's for the same."""
_META: Final = '<meta content="always" name="referrer">'
_QUOTED: Final = 100


def origin_of(url: str) -> str:
    """Give the origin of an address as a browser writes it."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = parts.port if parts.port != _DEFAULT_PORTS.get(parts.scheme) else None
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}"


def referer_of(url: str) -> str:
    """Give the address under which a page is reported: all of it, up to ? or #."""
    return origin_of(url) + (urlsplit(url).path or "/")


def is_page(url: str) -> bool:
    """Tell an absolute http(s) address that can be reported: no wildcard, no comma (it separates them)."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - a ValueError where it is none
    except ValueError:
        return False
    plain = url.isprintable() and not set(url) & set("*, ") and "@" not in parts.netloc
    return plain and parts.scheme in _DEFAULT_PORTS and bool(parts.hostname)


def allowed_origins(facts: Facts) -> tuple[str, ...]:
    """Give the allowed origins that are well-formed, in their order."""
    return tuple(dict.fromkeys(entry for entry in _entries(facts) if _is_origin(entry)))


def _entries(facts: Facts) -> list[str]:
    texts = [facts.place.variables.get(function, {}).get(_VARIABLE, "") for function in (VERIFY, PRESIGN)]
    entries = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    return list(dict.fromkeys(entries))


def _is_origin(entry: str) -> bool:
    try:
        read_origins({_VARIABLE: entry}, _VARIABLE)
    except SettingsError:
        return False
    return True


def origins_are_well_formed(facts: Facts) -> Iterator[Finding]:
    """Hold each allowed origin against what a browser sends, letter by letter."""
    remedy = where_to_set(facts.place, _VARIABLE)
    for number, entry in enumerate(_entries(facts), 1):
        if not _is_origin(entry):
            yield _judge_origin(number, entry, remedy)
    right = allowed_origins(facts)
    if right:
        yield fine("origins", f"Allowed origins in the form that browsers send: {', '.join(right)}.")


def _judge_origin(number: int, entry: str, remedy: str) -> Finding:
    if "*" in entry:
        return fault(
            "origin-wildcard",
            f"Allowed origin {number} has a wildcard: the platform and the browser know none.",
            f"{remedy}: each origin by itself, such as https://www.abc.com,https://m.abc.com.",
        )
    try:
        parts = urlsplit(entry)
        right = origin_of(entry.strip())
    except ValueError:
        parts, right = SplitResult("", "", "", "", ""), ""
    if not _is_origin(right) or "@" in parts.netloc or len(entry) > _QUOTED:
        # It may be anything that went into the wrong field, so it is not shown.
        return fault(
            "origin-form",
            f"Allowed origin {number} is no protocol://host[:port].",
            f"{remedy}: an origin looks like https://www.abc.com or http://127.0.0.1:8080.",
        )
    code, what = _fault_of(entry, parts)
    return fault(code, f"Allowed origin {number} {what}: no page has this origin.", f"{remedy}: `{right}`.")


def _fault_of(entry: str, parts: SplitResult) -> tuple[str, str]:
    if parts.path == "/" and not (parts.query or parts.fragment):
        return "origin-trailing-slash", 'ends in "/"'
    if parts.path or parts.query or parts.fragment:
        return "origin-path", "has a path"
    if entry != entry.lower():
        return "origin-upper-case", "has capital letters"
    return "origin-default-port", f"names its scheme's own port {parts.port}"


def origins_are_safe(facts: Facts) -> Iterator[Finding]:
    """Look for plain HTTP in production."""
    if facts.settings.verify is None or not facts.settings.has("PLATFORM_URL"):
        return
    line = line_of(facts.settings.verify.platform_url)
    for origin in allowed_origins(facts):
        parts = urlsplit(origin)
        if line and line.name == "production" and parts.scheme == "http" and not is_loopback(parts.hostname):
            yield warning(
                "origin-plain-http",
                f"{origin} is plain HTTP in production: number and token of its page travel in the open.",
                f"Serve the page over https. {where_to_set(facts.place, _VARIABLE)}; report the new origin.",
            )


# --- Pages --------------------------------------------------------------------------------------------------


def _look(facts: Facts, world: World) -> Facts:
    return replace(facts, pages={url: world.get(url.partition("#")[0]) for url in facts.asked.pages})


def pages_are_allowed(facts: Facts) -> Iterator[Finding]:
    """Look for each page's origin among the allowed ones."""
    allowed = allowed_origins(facts)
    wrong = {origin_of(entry) for entry in _entries(facts) if not _is_origin(entry) and is_page(entry)}
    for url in facts.asked.pages:
        origin = origin_of(url)
        if origin in allowed:
            yield fine("page-origin", f"{referer_of(url)}: its origin {origin} is allowed.")
        elif origin in wrong:
            yield unknown("page-origin", f"{referer_of(url)}: its origin {origin} is misspelt above.", "")
        else:
            yield fault(
                "page-origin-not-allowed",
                f"{referer_of(url)}: its origin {origin} is not among the allowed ones.",
                f"{where_to_set(facts.place, _VARIABLE)}: add {origin}; report it to the open platform too.",
            )


def pages_send_their_referer(facts: Facts) -> Iterator[Finding]:
    """Look whether each page lets its whole address go out as the referer (return code 170001)."""
    for url, page in facts.pages.items():
        yield _judge_page(url, page)


def _judge_page(url: str, page: Fetched) -> Finding:
    address, status = referer_of(url), page.status
    if page.error:
        return warning(
            "page-unreachable",
            f"{address}: it cannot be fetched from here ({page.error}), so its referrer policy is not known.",
            "Reported addresses have to be reachable. Where it is only from elsewhere, run the doctor there.",
        )
    if status // 100 == 3:  # noqa: PLR2004 - 3xx
        return warning(
            "page-redirects",
            f"{address}: it answers with a redirection ({status}).",
            "Report the address that the browser ends at, and name that with --page.",
        )
    if status != 200:  # noqa: PLR2004 - OK
        return warning(
            "page-unreachable",
            f"{address}: it answers with HTTP status {status}.",
            "Name the page's own address.",
        )
    policy = _referrer_policy(page.body)
    if policy in _POLICIES:
        return fine("page-referrer", f"{address}: it lets its whole address go out as the referer.")
    found = "no referrer policy" if policy is None else "another referrer policy"
    report = fault if url.lower().startswith("https:") else warning
    return report(
        "page-no-referrer",
        f"{address}: it has {found}, so the platform gets no whole referer (170001).",
        f"Put {_META} into the page's head.",
    )


class _Metas(HTMLParser):
    """Finds the referrer policy that a page sets: the last one counts."""

    def __init__(self) -> None:
        super().__init__()
        self.policy: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a meta element's policy."""
        given = {name: (value or "").strip().lower() for name, value in attrs}
        if tag == "meta" and given.get("name") == "referrer":
            self.policy = given.get("content", "")


def _referrer_policy(html: bytes) -> str | None:
    metas = _Metas()
    metas.feed(html.decode("utf-8", "replace"))
    return metas.policy


def no_page_was_named(facts: Facts) -> Iterator[Finding]:
    """Say that without a page there is no referer to report."""
    if not facts.asked.pages and facts.place.origin is not Origin.LOCAL:
        yield unknown(
            "page",
            "No page was looked at.",
            "Name each page that integrates the SDK: --page https://www.abc.com/login.html",
        )


STEP: Final = Step(
    "Origins and pages",
    _look,
    (
        origins_are_well_formed,
        origins_are_safe,
        no_page_was_named,
        pages_are_allowed,
        pages_send_their_referer,
    ),
)
