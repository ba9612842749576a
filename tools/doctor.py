"""`doctor`: finds what keeps a deployment, or a laptop, from working with the platform, each with its fix.

Nothing is written anywhere, no third party is asked unless it is named, and nothing is sent to the platform's
verification unless --probe asks for it.
"""

import argparse
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from html.parser import HTMLParser
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from cmpassport.keys import KeyFormatError
from cmpassport.secret_cache import SecretFormatError
from cmpassport.settings import SettingsError
from jwks.settings import Settings as ReceiptKeysSettings
from presign.settings import Settings as PreSignSettings
from tools import ROOT
from tools.aws import errors_in_words
from tools.examination import (
    PEPPER,
    PRESIGN,
    RECEIPT_KEYS,
    RECEIPTS,
    SIGNING,
    VERIFICATION,
    VERIFY,
    Examination,
    find,
)
from tools.findings import (
    FOUND,
    Finding,
    Severity,
    ToolError,
    UseError,
    failed,
    fault,
    fine,
    unknown,
    warning,
)
from tools.given import read_file
from tools.key_text import bare_public
from tools.messages import Text, text
from tools.output import Output
from tools.secret_text import examine_together
from tools.signed_probe import probe
from tools.web import Fetched, fetch, is_page, origin_of, referer_of
from verify.keyring import MIN_PEPPER_CHARACTERS
from verify.receipt import parse_keys
from verify.settings import Settings as VerifySettings

_SETTINGS: Final[dict[str, Any]] = {
    PRESIGN: PreSignSettings,
    VERIFY: VerifySettings,
    RECEIPT_KEYS: ReceiptKeysSettings,
}
_SHARED: Final = (
    *("APP_ID", "ALLOWED_ORIGINS", "SIGNATURE_ALGORITHM", "SIGNATURE_ENCODING"),
    *("SIGNING_SECRET_ID", "RECEIPT_SECRET_ID"),
)
"""What the functions that have it read alike."""
LINES: Final = {
    "test": "http://120.197.235.102/NumberAbility/h5/verifyVmMobileApi.htm",
    "production": "https://www.cmpassport.com/NumberAbility/h5/verifyVmMobileApi.htm",
}
"""Addresses of the platform's two lines; an appId has 6 digits on the test line, 12 in production."""
_PLATFORMS_DAILY_LIMIT: Final = 10
"""Verifications of a number in a day that the platform takes, unless the app has another limit there."""


@cache
def parameter(variable: str) -> str:
    """Return the template's parameter behind a variable; empty where there is none."""
    parameters, _, resources = (ROOT / "template.yaml").read_text(encoding="utf-8").partition("\nResources:")
    found = re.search(rf"^ +{variable}: .*?!Ref (\w+)", resources, re.MULTILINE)
    return found[1] if found and f"\n  {found[1]}:\n" in parameters else ""


def _where_to_set(variable: str) -> Text:
    """Say where a variable gets its value, as the beginning of a fix."""
    name = parameter(variable)
    return text("set-parameter" if name else "set-by-template", variable=variable, parameter=name)


def _settings(examination: Examination) -> Iterator[Finding]:
    """Say which variables the functions refuse, and which differ between them."""
    variables = examination.variables
    for function, own in variables.items():
        try:
            _SETTINGS[function].from_environment(own)
        except SettingsError as error:
            yield fault("setting-wrong", function=function, reason=error, where=_where_to_set(error.name))
        else:
            yield fine("settings", function=function)
    for name in _SHARED:
        holders = [function for function, own in variables.items() if name in own]
        if len({variables[function][name] for function in holders}) > 1:
            functions = ", ".join(holders)
            yield fault("settings-differ", variable=name, functions=functions, where=_where_to_set(name))
    verify, name = examination.settings, "DAILY_ATTEMPT_LIMIT"
    if verify and verify.daily_attempt_limit >= _PLATFORMS_DAILY_LIMIT:
        limits = {"limit": verify.daily_attempt_limit, "platforms": _PLATFORMS_DAILY_LIMIT}
        yield warning("daily-limit-high", where=_where_to_set(name), variable=name, **limits)


def _line(examination: Examination) -> Iterator[Finding]:
    """Hold the appId's form against the line (guide section 3.1)."""
    if examination.settings is None:
        return
    app_id, url = examination.settings.common.app_id, examination.settings.platform_url
    host = urlsplit(url).hostname
    own = {6: "test", 12: "production"}.get(len(app_id))
    asked = next((name for name, each in LINES.items() if urlsplit(each).hostname == host), None)
    values = {"app_id": app_id, "own": own, "line": asked, "host": host}
    if own is None:
        yield fault("app-id-form", digits=len(app_id), where=_where_to_set("APP_ID"))
    elif asked is None:
        yield fine("line-of-another", **values)
    else:
        yield fine("line", **values) if asked == own else fault("line-mixed", **values)


def _pages(examination: Examination) -> Iterator[Finding]:
    """Hold allowed origins and pages against the guide's rules (section 2.3)."""
    allowed, where = examination.origins, _where_to_set("ALLOWED_ORIGINS")
    yield fine("origins", origins=", ".join(allowed))
    url = examination.settings.platform_url if examination.settings else ""
    for origin in allowed if url == LINES["production"] else ():
        if origin.startswith("http:") and not _is_loopback(urlsplit(origin).hostname):
            yield warning("origin-plain-http", origin=origin, where=where)
    if not examination.pages:
        yield unknown("page")
    for page in examination.pages:
        values = {"page": referer_of(page), "origin": origin_of(page)}
        if values["origin"] in allowed:
            yield fine("page-origin", **values)
        else:
            yield fault("page-origin-not-allowed", where=where, **values)
        yield _judge_page(page, fetch("GET", page.partition("#")[0]))


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def _judge_page(url: str, page: Fetched) -> Finding:
    """Tell whether a page lets its whole address go out as the referer (return code 170001)."""
    address = referer_of(url)
    if page.status // 100 == 3:  # noqa: PLR2004 - 3xx
        return warning("page-redirects", page=address, status=page.status)
    if page.status != 200:  # noqa: PLR2004 - OK
        return warning("page-unreachable", page=address, why=page.why)
    metas = _Metas()
    metas.feed(page.body.decode("utf-8", "replace"))
    if metas.policy in {"always", "unsafe-url"}:  # the guide's word, and the standard's for the same
        return fine("page-referrer", page=address)
    severity = Severity.FAULT if url.lower().startswith("https:") else Severity.WARNING
    return Finding(severity, text("page-no-referrer", page=address))


class _Metas(HTMLParser):
    """Finds the referrer policy that a page sets: the last one counts."""

    policy: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a meta element's policy."""
        given = {name: (value or "").strip().lower() for name, value in attrs}
        if tag == "meta" and given.get("name") == "referrer":
            self.policy = given.get("content", "")


def _platform(examination: Examination) -> Iterator[Finding]:
    """Say how far reaching the platform from here came."""
    contact, verify = examination.contact, examination.settings
    if contact is None or verify is None:
        return
    host, limits = urlsplit(verify.platform_url).hostname, verify.limits
    values = {"host": host, "why": contact.why, "connect": f"{limits.connect:g}", "read": f"{limits.read:g}"}
    if contact.status:
        yield fine("platform", **values)
    elif examination.is_local:
        yield fault(f"platform-{contact.stage}", **values)
    else:
        yield warning("platform-not-from-here", **values)


def _address_by(service: str) -> tuple[str, ...]:
    """Ask a service for the address from which this machine goes out."""
    answer = fetch("GET", service).body[:1000].decode("ascii", "replace")
    for word in re.findall(r"[0-9A-Fa-f.:]{3,45}", answer):
        with suppress(ValueError):
            if (address := ip_address(word.strip(".:"))).is_global:
                return (str(address),)
    return ()


def _address(examination: Examination) -> Iterator[Finding]:
    """Say from where the platform is called, so that it can be reported (return code 110004)."""
    url = examination.settings.platform_url if examination.settings else ""
    if examination.egress:
        yield fine("egress", addresses=", ".join(examination.egress))
    elif not examination.is_local:
        own_network = examination.own_network
        yield unknown("egress-own-network") if own_network else warning("egress-not-fixed")
    elif _is_loopback(urlsplit(url).hostname):
        yield fine("egress-none")
    else:
        yield unknown("egress-not-asked")


def _secrets(examination: Examination) -> Iterator[Finding]:
    """Say of each secret whether it can be read."""
    for variable in (SIGNING, VERIFICATION, PEPPER):
        yield _secret(examination, variable)


def _secret(examination: Examination, variable: str) -> Finding:
    found, name = examination.secret(variable), examination.secret_name(variable)
    title = text(f"secret-of-{variable}")
    if found is None:
        return unknown("not-checked", what=title)
    if isinstance(found, Text):
        return Finding(Severity.FAULT, found)
    if variable == PEPPER and len(found.strip()) < MIN_PEPPER_CHARACTERS:
        return fault("pepper-short", name=name, least=MIN_PEPPER_CHARACTERS)
    return fine("secret", title=title, name=name)


def _keys(examination: Examination) -> Iterator[Finding]:
    """Say what is in the two secrets, and hold the keys against each other."""
    own, (reported, found) = examination.keys, examination.reported
    for variable in (SIGNING, VERIFICATION):
        if not isinstance(examination.secret(variable), str):
            yield unknown("not-checked", what=text(f"secret-of-{variable}"))
    yield from (*own.findings, *found)
    if reported is None and not found:
        yield unknown("pair-unknown")
    yield from examine_together(own.own, reported, own.platform)


def _table(examination: Examination) -> Iterator[Finding]:
    """Describe the table of attempts; whoever runs the doctor is not the function, so nothing is written."""
    if examination.settings is None or examination.secret(PEPPER) is None:
        yield unknown("not-checked", what=text("step-table"))
        return
    name, aws = examination.settings.table_name, examination.aws
    try:
        with errors_in_words(name, aws.region):
            status = aws.client("dynamodb").describe_table(TableName=name)["Table"]["TableStatus"]
    except ToolError as error:
        yield Finding(Severity.FAULT, error.text)
        return
    if status in {"ACTIVE", "UPDATING"}:
        yield fine("table", table=name, status=status)
    else:
        yield warning("table-status", table=name, status=status)


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
        yield fault(
            "receipt-keys-other" if any(published) else "receipt-keys-missing", url=url, why=answer.why
        )


_STEPS: Final[tuple[Callable[[Examination], Iterable[Finding]], ...]] = (
    *(_settings, _line, _pages, _platform),
    *(_secrets, _keys, _table, _receipts, _address),
)
"""In an order in which causes come before their consequences."""


def run(options: argparse.Namespace, output: Output) -> int:
    """Check what the command line names; return the exit code."""
    for url in filter(None, (*options.page, options.address_service)):
        if not is_page(url):
            raise UseError("not-an-address")
    public_key = read_file(options.public).strip() if options.public else ""
    examination = find(options, tuple(options.page), public_key)
    if examination.is_local and options.address_service:
        examination.egress = _address_by(options.address_service)
    output.given = {**output.given, **examination.shown_secrets()}
    output.show("checking", target=examination.name)
    found = output.group("step-deployment", examination.findings)
    for step in _STEPS:
        found += output.group(f"step-{step.__name__.lstrip('_')}", step(examination))
    answers = probe(examination) if options.probe else [unknown("probe-not-sent")]
    found += output.group("step-probe", answers)
    _sheet(examination, output)
    output.summary()
    return FOUND if failed(found) else 0


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
            print(f"  {output.words(text(field))}:\n    {','.join(values)}")
