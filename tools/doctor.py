"""`doctor`: finds what keeps a deployment, or a laptop, from working with the platform, each with its fix.

Nothing is written anywhere, no third party is asked unless it is named, and nothing is sent to the platform's
verification unless --probe asks for it.
"""

import argparse
import re
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from urllib3 import Timeout

from cmpassport.keys import KeyFormatError
from cmpassport.secret_cache import SecretFormatError
from cmpassport.settings import SettingsError
from tools.aws import errors_in_words
from tools.examination import PEPPER, RECEIPTS, SETTINGS, SIGNING, VERIFICATION, Examination, find
from tools.findings import Finding, Severity, ToolError, UseError, fault, fine, unknown, warning
from tools.key_text import bare_public
from tools.messages import Text, text
from tools.output import Output
from tools.signed_probe import probe
from tools.web import fetch, is_page, origin_of, referer_of, tls_of_the_functions
from verify.keyring import MIN_PEPPER_CHARACTERS
from verify.receipt import parse_keys

LINES: Final = {
    "test": "http://120.197.235.102/NumberAbility/h5/verifyVmMobileApi.htm",
    "production": "https://www.cmpassport.com/NumberAbility/h5/verifyVmMobileApi.htm",
}
"""Addresses of the platform's two lines; an appId has 6 digits on the test line, 12 in production."""
_SHARED: Final = ("APP_ID", "ALLOWED_ORIGINS", "SIGNATURE_ALGORITHM", "SIGNATURE_ENCODING", SIGNING, RECEIPTS)
"""What the functions that have it read alike."""
_PLATFORMS_DAILY_LIMIT: Final = 10
"""Verifications of a number in a day that the platform takes, unless the app has another limit there."""
_COMMENT: Final = re.compile(r"(?s)<!--.*?(?:-->|\Z)")
_LAST_POLICY: Final = re.compile(
    r"""(?is).*<meta\b(?=[^<>]*\bname=["']?referrer\b)[^<>]*\bcontent=["']?\s*([a-z-]+)"""
)
"""The referrer policy that a page sets: the last one counts."""


def _settings(examination: Examination) -> Iterator[Finding]:
    """Say which variables the functions refuse, and hold the appId against the line (guide section 3.1)."""
    for function, own in examination.variables.items():
        try:
            SETTINGS[function].from_environment(own)
        except SettingsError as error:
            yield fault("setting-wrong", function=function, reason=error)
        else:
            yield fine("settings", function=function)
    for name in _SHARED:
        held = {each: own[name] for each, own in examination.variables.items() if name in own}
        if len({*held.values()}) > 1:
            yield fault("settings-differ", variable=name, functions=", ".join(held))
    if examination.settings is None:
        return
    if (limit := examination.settings.daily_attempt_limit) >= _PLATFORMS_DAILY_LIMIT:
        yield warning("daily-limit-high", limit=limit, platforms=_PLATFORMS_DAILY_LIMIT)
    app_id, url = examination.settings.common.app_id, examination.settings.platform_url
    host = urlsplit(url).hostname
    line = {6: "test", 12: "production"}.get(len(app_id))
    asked = next((name for name, each in LINES.items() if urlsplit(each).hostname == host), None)
    values = {"app_id": app_id, "own": line, "line": asked, "host": host}
    if line is None:
        yield fault("app-id-form", digits=len(app_id))
    else:
        yield fine("line", **values) if asked in {line, None} else fault("line-mixed", **values)


def _pages(examination: Examination) -> Iterator[Finding]:
    """Hold allowed origins and pages against the guide's rules (section 2.3)."""
    allowed = examination.origins
    yield fine("origins", origins=", ".join(allowed))
    url = examination.settings.platform_url if examination.settings else ""
    for origin in allowed if url == LINES["production"] else ():
        if origin.startswith("http:") and not _is_loopback(urlsplit(origin).hostname):
            yield warning("origin-plain-http", origin=origin)
    if not examination.pages:
        yield unknown("page")
    for page in examination.pages:
        values = {"page": referer_of(page), "origin": origin_of(page)}
        listed = values["origin"] in allowed
        yield fine("page-origin", **values) if listed else fault("page-origin-not-allowed", **values)
        answer = fetch("GET", page.partition("#")[0])
        policy = _LAST_POLICY.match(_COMMENT.sub("", answer.body.decode("utf-8", "replace")))
        if answer.status != HTTPStatus.OK:
            yield warning("page-unreachable", why=answer.why, **values)
        elif policy and policy[1].lower() in {"always", "unsafe-url"}:  # the guide's word, and the standard's
            yield fine("page-referrer", **values)
        else:
            yield fault("page-no-referrer", **values)


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def _platform(examination: Examination) -> Iterator[Finding]:
    """Say whether the platform answers here, and from where it is called (return code 110004)."""
    if examination.settings is None:
        return
    url, limits = examination.settings.platform_url, examination.settings.limits
    timeout = Timeout(connect=limits.connect, read=limits.read)
    contact = fetch("GET", url, timeout, tls_of_the_functions())
    values = {"host": urlsplit(url).hostname, "why": contact.why, "stage": contact.stage}
    if contact.status:
        yield fine("platform", **values)
    else:  # the functions of a deployment have a way of their own
        severity = Severity.FAULT if examination.is_local else Severity.WARNING
        yield Finding(severity, text("platform-unreachable", **values))
    if examination.egress:
        yield fine("egress", addresses=", ".join(examination.egress))
    elif not examination.is_local:
        yield warning("egress-not-known")
    elif not _is_loopback(values["host"]):
        yield unknown("egress-not-asked")


def _secrets(examination: Examination) -> Iterator[Finding]:
    """Say of each secret whether it can be read, and what is wrong with the keys in them."""
    for variable in (SIGNING, VERIFICATION, PEPPER):
        yield _secret(examination, variable)
    yield from (*examination.keys.findings, *examination.keys.together())


def _secret(examination: Examination, variable: str) -> Finding:
    found, name = examination.secret(variable), examination.secret_name(variable)
    if found is None:
        return unknown("not-checked", what=name)
    if isinstance(found, Text):
        return Finding(Severity.FAULT, found)
    if variable == PEPPER and len(found.strip()) < MIN_PEPPER_CHARACTERS:
        return fault("pepper-short", name=name, least=MIN_PEPPER_CHARACTERS)
    return fine("secret", name=name)


def _table(examination: Examination) -> Iterator[Finding]:
    """Describe the table of attempts; whoever runs the doctor is not the function, so nothing is written."""
    if examination.settings is None:
        return
    name, aws = examination.settings.table_name, examination.aws
    try:
        with errors_in_words(f"table {name}", aws.region):
            status = aws.client("dynamodb").describe_table(TableName=name)["Table"]["TableStatus"]
    except ToolError as error:
        yield Finding(Severity.FAULT, error.text)
    else:
        good = status in {"ACTIVE", "UPDATING"}
        yield (fine if good else warning)("table" if good else "table-status", table=name, status=status)


def _receipts(examination: Examination) -> Iterator[Finding]:
    """Have the receipt secret parsed as the function does, and hold the published keys against it."""
    if examination.settings is None or examination.settings.receipts is None:
        return
    content, now = examination.secret(RECEIPTS), examination.now()
    if not isinstance(content, str):
        yield _secret(examination, RECEIPTS)
        return
    form, name = examination.settings.receipts.number_form, examination.secret_name(RECEIPTS)
    try:
        keys = parse_keys(content, form, now)
    except (SecretFormatError, KeyFormatError) as error:
        yield fault("receipt-secret-form", name=name, reason=error)
        return
    signing = keys.signing_at(now)
    since = f"{signing.sign_from:%Y-%m-%d %H:%M}"
    yield fine("receipt-secret", name=name, count=len(keys.signing), since=since, form=form.value)
    url = f"{examination.api}/.well-known/jwks.json"
    answer = fetch("GET", url)
    entries = answer.document().get("keys")
    published = [each.get("kid") for each in entries] if isinstance(entries, list) else []
    if signing.kid in published:
        yield fine("receipt-keys", url=url)
    else:
        yield fault("receipt-keys-missing", url=url, why=answer.why)


_STEPS: Final = (_settings, _pages, _platform, _secrets, _table, _receipts)
"""In an order in which causes come before their consequences."""


def run(options: argparse.Namespace, output: Output) -> int:
    """Check what the command line names; return the exit code."""
    for url in filter(None, (*options.page, options.address_service)):
        if not is_page(url):
            raise UseError("not-an-address")
    examination = find(options)
    examination.pages = tuple(options.page) or examination.pages
    if examination.is_local and options.address_service:
        answer = fetch("GET", options.address_service).body[:100].decode("ascii", "replace")
        with suppress(ValueError):
            examination.egress = (str(ip_address(answer.strip())),)
    output.given = {**output.given, **examination.shown_secrets()}
    output.show("checking", target=examination.name)
    output.group("step-deployment", examination.findings)
    for step in _STEPS:
        output.group(f"step-{step.__name__.lstrip('_')}", step(examination))
    output.group("step-probe", probe(examination) if options.probe else [unknown("probe-not-sent")])
    _sheet(examination, output)
    return output.summary()


def _sheet(examination: Examination, output: Output) -> None:
    """Print what is to be pasted into the open platform, by the field that takes it, if known."""
    own, settings = examination.keys.own, examination.settings
    referers = [form for url in examination.pages for form in (referer_of(url), f"{origin_of(url)}/")]
    lines = {
        "sheet-key": [bare_public(own.public_key())] if own else [],
        "sheet-referer": dict.fromkeys(referers),  # engines that shorten it send the origin and a slash
        "sheet-origin": examination.origins,
        "sheet-addresses": examination.egress,
        "sheet-limit": [str(settings.daily_attempt_limit)] if settings else [],
    }
    print()
    output.show("to-report")
    for field, values in lines.items():
        if values:
            print(f"  {output.words(text(field))}\n    {','.join(values)}")
