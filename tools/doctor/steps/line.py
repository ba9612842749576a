"""The platform's line: appId, address and scheme belong together (guide sections 3.1 and appendix)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from tools.doctor.facts import Facts
from tools.doctor.place import Origin, Place
from tools.doctor.steps.settings import where_to_set
from tools.doctor.steps.step import Step, nothing
from tools.findings import Finding, fault, fine


@dataclass(frozen=True, slots=True)
class Line:
    """One of the platform's two lines.

    Attributes
    ----------
    name
        As the parameter Line has it.
    url
        Address of verifyVmMobileApi.htm.
    digits
        How many an appId of it has.
    """

    name: str
    url: str
    digits: int


LINES: Final = (
    Line("test", "http://120.197.235.102/NumberAbility/h5/verifyVmMobileApi.htm", 6),
    Line("production", "https://www.cmpassport.com/NumberAbility/h5/verifyVmMobileApi.htm", 12),
)
_APP_ID: Final = re.compile(r"[0-9]{6}|[0-9]{12}", re.ASCII)


def line_of(url: str) -> Line | None:
    """Tell the line by its host; None for another platform, such as the simulator."""
    host = urlsplit(url).hostname
    return next((line for line in LINES if urlsplit(line.url).hostname == host), None)


def is_loopback(host: str | None) -> bool:
    """Tell this machine's own addresses and name."""
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False


def app_id_and_line_agree(facts: Facts) -> Iterator[Finding]:
    """Hold the appId's form against the line: 6 digits on the test line, 12 in production."""
    if facts.settings.verify is None or not facts.settings.has("APP_ID", "PLATFORM_URL"):
        return  # said above
    app_id, url = facts.settings.verify.common.app_id, facts.settings.verify.platform_url
    own = next((line for line in LINES if line.digits == len(app_id)), None)
    line = line_of(url)
    if own is None or not _APP_ID.fullmatch(app_id):
        yield fault(
            "app-id-form",
            f"The appId has {len(app_id)} digits; there are 6 on the test line and 12 in production.",
            f"Copy it from the open platform. {where_to_set(facts.place, 'APP_ID')}.",
        )
    elif line is None:
        host = urlsplit(url).hostname
        yield fine("line", f"appId {app_id} is of the {own.name} line's form; the platform is {host}.")
    elif line is not own:
        yield fault(
            "line-mixed",
            f"appId {app_id} is of the {own.name} line, and verifications go to the {line.name} line: the "
            "platform answers 103605, 130010 or 110022.",
            _other_line(facts.place, own),
        )
    else:
        yield fine("line", f"appId {app_id} and the platform's address are both of the {line.name} line.")


def _other_line(place: Place, own: Line) -> str:
    variable = f"PLATFORM_URL={own.url}" if place.origin is Origin.FILE else f"Line={own.name}"
    return f"{where_to_set(place, 'PLATFORM_URL')}: `{variable}`; or AppId, if that is the wrong one."


def address_is_the_guides(facts: Facts) -> Iterator[Finding]:
    """Hold the address against the guide's, letter by letter; plain HTTP is the test line's alone."""
    if facts.settings.verify is None or not facts.settings.has("PLATFORM_URL"):
        return
    url = facts.settings.verify.platform_url
    parts, line = urlsplit(url), line_of(url)
    remedy = where_to_set(facts.place, "PLATFORM_URL")
    if parts.scheme == "http" and not is_loopback(parts.hostname) and (line is None or line.name != "test"):
        yield fault(
            "platform-plain-http",
            f"{parts.hostname} is asked over plain HTTP: tokens travel in the open.",
            f"{remedy}: https; plain HTTP is for the test line alone.",
        )
    elif line is not None and url != line.url:
        yield fault(
            "platform-address",
            f"The address at {parts.hostname} is not the {line.name} line's verifyVmMobileApi.htm.",
            f"{remedy}: `{line.url}`.",
        )


STEP: Final = Step("Line", nothing, (app_id_and_line_agree, address_is_the_guides))
