"""The platform, reached with the functions' own time limits: name, connection, TLS, HTTP."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from tools.doctor.facts import Contact, Facts, Stage, World
from tools.doctor.place import Origin
from tools.doctor.steps.settings import where_to_set
from tools.doctor.steps.step import Step
from tools.findings import Finding, fault, fine, warning
from verify.settings import Settings

_SOON: Final = timedelta(days=14)


def _look(facts: Facts, world: World) -> Facts:
    settings = facts.settings
    if settings.verify is None or not settings.has(
        "PLATFORM_URL", "PLATFORM_CONNECT_TIMEOUT", "PLATFORM_READ_TIMEOUT", "PLATFORM_DEADLINE"
    ):
        return facts
    return replace(facts, contact=world.contact(settings.verify.platform_url, settings.verify.limits))


def the_platform_answers(facts: Facts) -> Iterator[Finding]:
    """Say how far reaching it came."""
    if facts.settings.verify is None or facts.contact is None:
        return
    contact, parts = facts.contact, urlsplit(facts.settings.verify.platform_url)
    if contact.reached is Stage.ANSWER:
        secured = "over TLS, verified, " if parts.scheme == "https" else ""
        yield fine(
            "platform",
            f"{parts.hostname} ({contact.address}) answers {secured}with HTTP status {contact.status} "
            f"in {contact.seconds:.1f} s.",
        )
    else:
        yield _judge(facts, contact, facts.settings.verify)


def _judge(facts: Facts, contact: Contact, settings: Settings) -> Finding:
    host, limits = urlsplit(settings.platform_url).hostname, settings.limits
    reason = f" ({contact.detail})" if contact.detail else ""
    match contact.reached:
        case Stage.NAME:
            code, what = "platform-name", f"The name {host} has no address here."
            remedy = (
                f"Check DNS on this machine. {where_to_set(facts.place, 'PLATFORM_URL')}, if it is misspelt."
            )
        case Stage.CONNECTION:
            code = "platform-connection"
            what = f"{host} takes no connection within {limits.connect:g} s{reason}."
            remedy = (
                "Check that outgoing connections to it are let through (firewall, routes, NAT gateway); "
                "the test line lets some networks in only."
            )
        case Stage.TLS:
            code, what = "platform-tls", f"{host}: its certificate or its TLS is not accepted{reason}."
            remedy = (
                "Is there a proxy that opens TLS between here and the platform, or is this machine's clock "
                "or its set of certificates old? Never switch verification off."
            )
        case _:
            code = "platform-http"
            what = f"{host} takes the connection and gives no HTTP answer within {limits.read:g} s{reason}."
            remedy = f"Is it the platform's address and port? {where_to_set(facts.place, 'PLATFORM_URL')}."
    if facts.place.origin is Origin.STACK:
        what = f"{what} That is from this machine: the functions have a way of their own."
        return warning(code, what, f"{remedy} --probe asks through the deployed function.")
    return fault(code, what, remedy)


def the_certificate_lasts(facts: Facts) -> Iterator[Finding]:
    """Look when the platform's certificate ends."""
    until = facts.contact.certificate_until if facts.contact else None
    if until is not None and until - facts.now < _SOON:
        yield warning(
            "platform-certificate",
            f"The platform's certificate ends on {until:%Y-%m-%d}.",
            "It is the platform's to renew: ask its support if that day comes near.",
        )


STEP: Final = Step("Platform", _look, (the_platform_answers, the_certificate_lasts))
