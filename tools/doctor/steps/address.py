"""The outgoing address, which the platform's white list must have (return code 110004)."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from tools.doctor.facts import Facts, Fetched, World
from tools.doctor.place import Origin
from tools.doctor.steps.line import is_loopback
from tools.doctor.steps.step import Step
from tools.findings import Finding, fine, unknown, warning

_WORDS: Final = re.compile(r"[0-9A-Fa-f.:]{3,45}")


def outgoing_addresses(facts: Facts) -> tuple[str, ...]:
    """Give the addresses to report, as far as they are known."""
    if facts.place.origin is Origin.STACK:
        return facts.place.egress
    own = None if facts.own_address is None else _read_address(facts.own_address)
    return (own,) if own else ()


def _look(facts: Facts, world: World) -> Facts:
    if facts.asked.address_service is None or facts.place.origin is Origin.STACK:
        return facts
    return replace(facts, own_address=world.get(facts.asked.address_service))


def the_address_is_known(facts: Facts) -> Iterator[Finding]:
    """Say what the platform sees as the sender, so that it can be reported."""
    yield _deployed(facts) if facts.place.origin is Origin.STACK else _here(facts)


def _deployed(facts: Facts) -> Finding:
    if facts.place.egress:
        return fine(
            "egress", f"Platform calls come from {', '.join(facts.place.egress)}: report all of these."
        )
    if facts.place.own_network:
        return unknown(
            "egress",
            "Platform calls come from your own VPC, whose outgoing addresses the stack does not know.",
            "Report the addresses of its NAT gateways: `aws ec2 describe-nat-gateways`.",
        )
    return warning(
        "egress-not-fixed",
        "The function's outgoing address is Lambda's and changes: a white list cannot hold it (110004).",
        "Deploy with the parameter StaticEgress=one-address (or two-addresses), or with SubnetIds and "
        "SecurityGroupIds of a VPC of yours; then report the addresses.",
    )


def _here(facts: Facts) -> Finding:
    verify = facts.settings.verify
    if verify and facts.settings.has("PLATFORM_URL") and is_loopback(urlsplit(verify.platform_url).hostname):
        return fine("egress", "The platform is on this machine: there is no outgoing address to report.")
    if facts.own_address is None:
        return unknown(
            "egress",
            "The address from which this machine goes out was not looked for: nobody is asked unless named.",
            "Name a service that answers with the caller's address: --address-service URL; "
            "or ask whoever runs your network.",
        )
    address = _read_address(facts.own_address)
    if address is None:
        reason = facts.own_address.error or f"HTTP status {facts.own_address.status}"
        return warning(
            "egress-service",
            f"The address service gave no public address ({reason}).",
            "Name one that answers with the caller's address, as plain text or as JSON.",
        )
    return fine("egress", f"This machine goes out by {address}: report it.")


def _read_address(answer: Fetched) -> str | None:
    text = answer.body[:1000].decode("ascii", "replace")
    for word in _WORDS.findall(text):
        with suppress(ValueError):
            address = ip_address(word.strip(".:"))
            if address.is_global:
                return str(address)
    return None


STEP: Final = Step("Outgoing address", _look, (the_address_is_known,))
