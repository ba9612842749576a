"""Tokens: what the carrier's gateway told about a phone, and what was issued for it (guide steps 10 to 12).

A token lives for one minute and for one use. userInformation is the browser's fingerprint as the SDK
collected it, URI-encoded; the platform knows it since getMobile.htm, and wants it back as it was.
"""

import base64
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote

from local.simulator.protocol import RefusedError

TOKEN_LIFE: Final = timedelta(minutes=1)
ARRIVAL_LIFE: Final = timedelta(minutes=1)

SAMPLE_PREFIX: Final = "VM_SAMPLE"
SAMPLE_NUMBER: Final = "13999994444"
SAMPLE_EXHAUSTED: Final = "13900000429"
"""The number whose day is always used up, where the token is a sample."""

SAMPLE_USER_INFORMATION: Final = "sample%2Bfingerprint%3D%3D"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A phone that called getMobile.htm: its number, if the gateway inserted one, and its fingerprint."""

    number: str | None
    user_information: str | None
    at: datetime
    network: str = ""


@dataclass(slots=True)
class _Token:
    number: str
    user_information: str
    issued: datetime
    used: bool = False


class TokenDesk:
    """All arrivals and tokens, in memory, safe for threads."""

    def __init__(self) -> None:
        self._arrivals: dict[tuple[str, str], Arrival] = {}
        self._tokens: dict[str, _Token] = {}
        self._lock = threading.Lock()

    def arrive(self, app_id: str, msg_id: str, arrival: Arrival) -> None:
        """Note what getMobile.htm brought, until getToken.htm asks for it."""
        with self._lock:
            self._arrivals[app_id, msg_id] = arrival

    def arrival(self, app_id: str, msg_id: str, now: datetime) -> Arrival:
        """Return what getMobile.htm brought for this msgId; nothing at all if that is long ago."""
        with self._lock:
            arrival = self._arrivals.get((app_id, msg_id))
        if arrival is None or now - arrival.at > ARRIVAL_LIFE:
            return Arrival(None, None, now)
        return arrival

    def issue(self, number: str, user_information: str | None, now: datetime) -> tuple[str, str]:
        """Issue a token for a number; returns it with the userInformation that belongs to it."""
        name = f"VM_{secrets.token_hex(16)}"
        token = _Token(number, user_information or _made_up_user_information(), now)
        with self._lock:
            self._tokens[name] = token
        return name, token.user_information

    def is_sample(self, name: str) -> bool:
        """Tell whether a token is evergreen."""
        return name.startswith(SAMPLE_PREFIX)

    def redeem(self, name: str, user_information: str, now: datetime) -> str:
        """Use a token up and return its SIM's number.

        It is used up before userInformation is compared: nobody gets to guess twice.

        Raises
        ------
        RefusedError
            120020: unknown, older than a minute, used before, or userInformation is not the one issued.
        """
        if self.is_sample(name):
            token = _Token(SAMPLE_NUMBER, SAMPLE_USER_INFORMATION, now)
        else:
            token = self._take(name, now)
        if user_information != token.user_information:
            raise RefusedError("120020", _mismatch(user_information, token.user_information))
        return token.number

    def _take(self, name: str, now: datetime) -> _Token:
        with self._lock:
            token = self._tokens.get(name)
            if token is None:
                raise RefusedError("120020", "no such token was issued")
            if now - token.issued >= TOKEN_LIFE:
                raise RefusedError("120020", "the token is older than a minute")
            if token.used:
                raise RefusedError("120020", "the token was used before")
            token.used = True
            return token

    def expire(self) -> None:
        """Make every token issued so far older than a minute."""
        with self._lock:
            for token in self._tokens.values():
                token.issued -= TOKEN_LIFE


def _made_up_user_information() -> str:
    """Stand in for the fingerprint of a caller that collected none.

    The fixed bytes guarantee "+", "/" and "=" in the Base64, hence %2B, %2F and %3D: decoding or encoding
    it once too often never goes unnoticed.
    """
    fingerprint = b"\xfb\xef\xbe\xff\xff\xff" + secrets.token_bytes(34)
    return quote(base64.b64encode(fingerprint), safe="")


def _mismatch(given: str, issued: str) -> str:
    if given == unquote(issued):
        return "userInformation was URI-decoded on the way"
    if unquote(given) == issued:
        return "userInformation was URI-encoded a second time on the way"
    return "userInformation is not the one issued with the token"
