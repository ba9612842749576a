"""What is known of a target; each fact is looked at when it is first asked for, and then stays."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, cached_property
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
)

from cmpassport.secret_cache import SecretFormatError, read_fields
from cmpassport.settings import SettingsError
from tools import ROOT
from tools.aws_errors import AWS_ERRORS, EVERYWHERE, Cause, cause_of
from tools.findings import Finding
from tools.given import SecretKind, of_secrets
from tools.messages import Text, text
from tools.prompts import is_name
from tools.secret_text import APP_KEY, Keys, examine_reported, examine_signing, examine_verification
from tools.target import VERIFY, Target
from verify.message import Credentials
from verify.settings import Settings

SIGNING: Final = "SIGNING_SECRET_ID"
VERIFICATION: Final = "VERIFICATION_SECRET_ID"
PEPPER: Final = "PEPPER_SECRET_ID"
RECEIPTS: Final = "RECEIPT_SECRET_ID"

_ARN: Final = re.compile(
    r"arn:[a-z-]+:secretsmanager:([a-z0-9-]+):[0-9]{12}:secret:(.+?)(?:-[A-Za-z0-9]{6})?"
)
_PAGE_BYTES: Final = 1 << 20
_STAGES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (NameResolutionError, "name"),
    (NewConnectionError, "connection"),
    (ConnectTimeoutError, "connection"),
    (SSLError, "tls"),
    (Exception, "http"),
)


@dataclass(frozen=True, slots=True)
class Fetched:
    """An HTTP answer, or the stage at which there was none: name, connection, tls or http.

    `headers` have their names in lower case; `why` is the status or the kind of failure, in short.
    """

    why: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    stage: str = ""

    def document(self) -> dict[str, Any]:
        """Return the JSON object of the body; an empty one where it is not one."""
        try:
            content = json.loads(self.body)
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}


def fetch(method: str, url: str, timeout: Timeout | float = 10.0, **options: Any) -> Fetched:
    """Fetch an address, up to a MiB; redirections are not followed."""
    try:
        http = PoolManager(retries=False)
        response = http.request(
            method, url, redirect=False, timeout=timeout, preload_content=False, **options
        )
        body = response.read(_PAGE_BYTES, decode_content=True)
        response.close()
    except (HTTPError, OSError) as error:
        stage = next(stage for kind, stage in _STAGES if isinstance(error, kind))
        certificate = getattr(error.args[0] if error.args else None, "verify_message", "")
        return Fetched(certificate.rstrip(".") or type(error).__name__, stage=stage)
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Fetched(f"HTTP {response.status}", response.status, headers, body)


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


@cache
def parameter(variable: str) -> str:
    """Return the template's parameter behind a variable; empty where there is none."""
    parameters, _, resources = (ROOT / "template.yaml").read_text(encoding="utf-8").partition("\nResources:")
    found = re.search(rf"^ +{variable}: .*?!Ref (\w+)", resources, re.MULTILINE)
    return found[1] if found and f"\n  {found[1]}:\n" in parameters else ""


def where_to_set(variable: str) -> Text:
    """Say where a variable gets its value, as the beginning of a fix."""
    name = parameter(variable)
    return text("set-parameter" if name else "set-by-template", variable=variable, parameter=name)


class Examination:
    """What is known of a target.

    Parameters
    ----------
    target
        What is looked at.
    now
        Clock, aware.
    pages
        Addresses of pages that integrate the SDK.
    public_key
        The customer's public key as reported to the open platform; empty where no file was named.
    """

    def __init__(
        self, target: Target, now: Callable[[], datetime], pages: tuple[str, ...] = (), public_key: str = ""
    ) -> None:
        self.target = target
        self.now = now
        self.pages = pages or target.pages
        self._public_key = public_key or target.reported_key
        self._secrets: dict[str, str | Cause] = {}

    @cached_property
    def settings(self) -> Settings | None:
        """The verification's settings; None where its function refuses a variable."""
        try:
            return Settings.from_environment(self.target.variables[VERIFY])
        except SettingsError:
            return None

    @property
    def origins(self) -> tuple[str, ...]:
        """The allowed origins, in their order."""
        entries = self.target.variables[VERIFY].get("ALLOWED_ORIGINS", "").split(",")
        return tuple(dict.fromkeys(entry.strip() for entry in entries if entry.strip()))

    def secret_id(self, variable: str) -> str:
        """Return the name or ARN by which the functions know a secret; empty for none."""
        return next(
            (each[variable].strip() for each in self.target.variables.values() if variable in each), ""
        )

    def secret_name(self, variable: str) -> str:
        """Return a secret's name, out of its ARN where the functions have that."""
        whole = self.secret_id(variable)
        match = _ARN.fullmatch(whole)
        return match[2] if match else whole if is_name(whole) else variable

    def shown_secrets(self) -> dict[str, str]:
        """Return what names the target's own secrets in commands that are shown."""
        variables = (SIGNING, VERIFICATION, RECEIPTS)
        return of_secrets(dict(zip(SecretKind, map(self.secret_name, variables), strict=True)))

    def secret(self, variable: str) -> str | Cause | None:
        """Return a secret's text, or why there is none; None where it was not asked for.

        After an error that the next secret would meet too, no other is asked for.
        """
        if variable not in self._secrets and self.secret_id(variable):
            if any(cause.kind in EVERYWHERE for cause in self._secrets.values() if isinstance(cause, Cause)):
                return None
            self._secrets[variable] = self._read(self.secret_id(variable))
        return self._secrets.get(variable)

    def _read(self, name: str) -> str | Cause:
        if not is_name(name):  # AWS writes down which names it is asked for
            return Cause("a-key", "")
        match = _ARN.fullmatch(name)
        if match and match[1] != self.target.aws.region:
            return Cause("elsewhere", match[1])
        try:
            answer = self.target.aws.client("secretsmanager").get_secret_value(SecretId=name)
        except AWS_ERRORS as error:
            return cause_of(error)
        return answer["SecretString"] if "SecretString" in answer else Cause("binary", "SecretBinary")

    @cached_property
    def keys(self) -> Keys:
        """What the two secrets hold, and what is wrong with it."""
        signing, verification = self.secret(SIGNING), self.secret(VERIFICATION)
        own, theirs = Keys(), Keys()
        if isinstance(signing, str):
            own = examine_signing(signing, self.secret_name(SIGNING))
        if isinstance(verification, str):
            theirs = examine_verification(verification, self.secret_name(VERIFICATION))
        return Keys(own.own, theirs.platform, (*own.findings, *theirs.findings))

    @cached_property
    def reported(self) -> tuple[RSAPublicKey | None, tuple[Finding, ...]]:
        """The public key that the open platform has, None where not known, and what is wrong with it."""
        return examine_reported(self._public_key, text("reported-key")) if self._public_key else (None, ())

    def credentials(self) -> Credentials | None:
        """Return what a request is signed and encrypted with; None where any of it is wrong."""
        own, theirs, settings = self.keys.own, self.keys.platform, self.settings
        try:
            (app_key,) = read_fields(str(self.secret(VERIFICATION)), APP_KEY)
        except SecretFormatError:
            return None
        if own is None or theirs is None or settings is None:
            return None
        return Credentials(settings.common.app_id, app_key, theirs, own, settings.common.scheme)

    @cached_property
    def contact(self) -> Fetched | None:
        """The platform's answer to a request that asks for nothing, with the functions' own time limits."""
        if self.settings is None:
            return None
        limits = self.settings.limits
        return fetch("GET", self.settings.platform_url, Timeout(connect=limits.connect, read=limits.read))
