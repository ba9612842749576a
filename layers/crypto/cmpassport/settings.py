"""Settings from environment variables: read once, checked, frozen.

A function composes its own settings from these readers when its module is imported, so that a bad value stops
it at start. Values are not repeated in errors: a secret pasted into the wrong variable must not reach a log.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self, TypeVar

from cmpassport.errors import CmpassportError
from cmpassport.signing import SignatureAlgorithm, SignatureEncoding, SignatureScheme

_APP_ID: Final = re.compile(r"[0-9]{1,32}", re.ASCII)
# Without the scheme's own port, which no browser writes.
_ORIGIN: Final = re.compile(
    r"(?!https://.*:443$|http://.*:80$)"
    r"https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?"
)
MAX_SECRET_AGE: Final = 3000
"""Seconds: the longest for which a secret may be used before it is read again.

The tools publish a new receipt key an hour before it signs: every function has read it by then, and every
back end has fetched it (`cmpassport.receipt_keys.PUBLISHED_MAX_AGE`).
"""

_SECRET_ID: Final = re.compile(r"[A-Za-z0-9/_+=.@:!-]{1,2048}")

_E = TypeVar("_E", bound=StrEnum)


class SettingsError(CmpassportError):
    """An environment variable is missing or not valid.

    Parameters
    ----------
    name
        The variable's name.
    reason
        What is wrong with it and what is expected; never its value.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} {reason}")
        self.name = name


def read_text(env: Mapping[str, str], name: str, pattern: re.Pattern[str], expected: str) -> str:
    """Read a required variable that must match a pattern as a whole."""
    value = env.get(name, "").strip()
    if not pattern.fullmatch(value):
        state = "is not set" if not value else "is not valid"
        raise SettingsError(name, f"{state}: {expected}")
    return value


def read_number(env: Mapping[str, str], name: str, default: float, *, low: float, high: float) -> float:
    """Read a number of seconds or hours between two bounds, both included."""
    value = env.get(name, "").strip()
    try:
        number = float(value) if value else default
    except ValueError:
        raise SettingsError(name, f"is not a number; {low:g} to {high:g} is expected") from None
    if not low <= number <= high:  # NaN fails here too
        raise SettingsError(name, f"is out of range; {low:g} to {high:g} is expected")
    return number


def read_choice(env: Mapping[str, str], name: str, default: _E) -> _E:
    """Read one of an enumeration's values, spelled exactly so."""
    value = env.get(name, "").strip() or default.value
    try:
        return type(default)(value)
    except ValueError:
        names = ", ".join(type(default))
        raise SettingsError(name, f"is not one of: {names}") from None


def read_secret_id(env: Mapping[str, str], name: str) -> str:
    """Read the name or ARN of a secret."""
    return read_text(env, name, _SECRET_ID, "the name or ARN of a secret in Secrets Manager is expected")


def read_origins(env: Mapping[str, str], name: str) -> frozenset[str]:
    """Read a comma-separated list of origins, as a browser writes them in `Origin` (guide section 2.3.2)."""
    expected = (
        "origins as https://www.example.com or http://127.0.0.1:8080 are expected, separated by commas: "
        "lower case, no path, no trailing slash, no wildcard, no default port"
    )
    origins = [part.strip() for part in env.get(name, "").split(",") if part.strip()]
    if not origins:
        raise SettingsError(name, f"is not set: {expected}")
    if not all(_ORIGIN.fullmatch(origin) for origin in origins):
        raise SettingsError(name, f"is not valid: {expected}")
    return frozenset(origins)


@dataclass(frozen=True, slots=True)
class CommonSettings:
    """Settings shared by presign and verify.

    Attributes
    ----------
    app_id
        The appId that the open platform assigned: 6 digits on the test line, 12 in production.
    allowed_origins
        Origins whose pages may call, as reported to the platform.
    signing_secret_id
        Name or ARN of the secret that holds `{"privateKey"}`.
    scheme
        Digest and encoding of signatures.
    secret_max_age
        Seconds for which a parsed secret is used before it is fetched again.
    """

    app_id: str
    allowed_origins: frozenset[str]
    signing_secret_id: str
    scheme: SignatureScheme
    secret_max_age: float

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """Read the variables; raise SettingsError for the first that is not valid."""
        return cls(
            app_id=read_text(env, "APP_ID", _APP_ID, "the appId's digits are expected"),
            allowed_origins=read_origins(env, "ALLOWED_ORIGINS"),
            signing_secret_id=read_secret_id(env, "SIGNING_SECRET_ID"),
            scheme=SignatureScheme(
                read_choice(env, "SIGNATURE_ALGORITHM", SignatureAlgorithm.MD5_WITH_RSA),
                read_choice(env, "SIGNATURE_ENCODING", SignatureEncoding.BASE64),
            ),
            secret_max_age=read_number(env, "SECRET_MAX_AGE_SECONDS", 300, low=1, high=MAX_SECRET_AGE),
        )
