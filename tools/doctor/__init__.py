"""`doctor`: finds what keeps a deployment, or a laptop, from working with the platform, each with its fix.

Nothing is written anywhere, no third party is asked unless it is named, and nothing is sent to the platform's
verification unless --probe asks for it.
"""

import argparse
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

from tools.doctor import checks
from tools.examination import Examination, origin_of, referer_of
from tools.findings import FOUND, Finding, Severity, UseError, failed, unknown
from tools.messages import text
from tools.output import Output
from tools.pairs import bare_public
from tools.prompts import read_file
from tools.signed_probe import SignedProbe
from tools.target import TargetError, find

_STEPS: Final[tuple[tuple[str, Callable[[Examination], Iterable[Finding]]], ...]] = (
    ("step-settings", checks.settings),
    ("step-line", checks.line),
    ("step-pages", checks.pages),
    ("step-platform", checks.platform),
    ("step-secrets", checks.secrets),
    ("step-keys", checks.keys),
    ("step-table", checks.table),
    ("step-receipts", checks.receipts),
)
"""In an order in which causes come before their consequences."""


def run(options: argparse.Namespace, output: Output) -> int:
    """Check what the command line names; return the exit code."""
    for url in filter(None, (*options.page, options.address_service)):
        if not is_page(url):
            raise UseError("not-an-address")
    public_key = read_file(options.public).strip() if options.public else ""
    try:
        target = find(options)
    except TargetError as error:
        output.group("step-deployment", [Finding(error.text.key, Severity.FAULT, error.text)])
        return FOUND
    examination = Examination(target, options.clock, tuple(options.page), public_key)
    output.given = {**output.given, **examination.shown_secrets()}
    output.show("checking", target=target.name)
    found = output.group("step-deployment", target.findings)
    for title, step in _STEPS:
        found += output.group(title, step(examination))
    addresses = checks.outgoing_addresses(examination, options.address_service)
    found += output.group("step-address", [checks.egress(examination, addresses)])
    known = frozenset(finding.code for finding in found if finding.severity is Severity.FAULT)
    probe = (
        SignedProbe(examination, known).findings if options.probe else [unknown("probe", "probe-not-sent")]
    )
    found += output.group("step-probe", probe)
    _sheet(examination, addresses, output)
    output.summary()
    return FOUND if failed(found) else 0


def is_page(url: str) -> bool:
    """Tell an absolute http(s) address that can be reported: no wildcard, no comma (it separates them)."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - a ValueError where it is not one
    except ValueError:
        return False
    plain = url.isprintable() and not set(url) & set("*, ") and "@" not in parts.netloc
    return plain and parts.scheme in {"http", "https"} and bool(parts.hostname)


def _sheet(examination: Examination, addresses: tuple[str, ...], output: Output) -> None:
    """Print what is to be pasted into the open platform, by the field that takes it, if known."""
    own, settings = examination.keys.own, examination.settings
    referers = [form for url in examination.pages for form in (referer_of(url), f"{origin_of(url)}/")]
    lines = {
        "sheet-key": [bare_public(own.public_key())] if own else [],
        "sheet-referer": dict.fromkeys(referers),  # engines that shorten it send the origin and a slash
        "sheet-origin": examination.origins,
        "sheet-addresses": addresses,
        "sheet-limit": [str(settings.daily_attempt_limit)] if settings else [],
    }
    print()
    output.show("to-report")
    for field, values in lines.items():
        if values:
            print(f"  {output.words(text(field))}:\n    {','.join(values)}")
