"""Fetching the number: from the carrier's gateway to the token (guide steps 10 to 12).

Into the request for getMobile.htm the gateway inserts the phone's number; getToken.htm gives a token for it
to a page that may ask.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from local.simulator.crypto import SignatureForm
from local.simulator.customer import Customer
from local.simulator.protocol import Header, RefusedError, TokenRequest, read_token_request
from local.simulator.tokens import Arrival, TokenDesk

_NUMBER: Final = re.compile(r"1[0-9]{10}")

# The parts of a preSign as the SDK's builds make them, current and legacy, each on its own: they come apart
# in the request, so that this reading needs none of the product's grammar of the joined string.
_MSG_ID: Final = re.compile(r"[0-9A-V]{32}|0\.[0-9]{1,20}|[1-9](\.[0-9]{1,17})?e-[0-9]{1,2}")
_UUID: Final = re.compile(r"[0-9A-V]{32}|(?:cms-)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VERSION: Final = re.compile(r"[0-9]{1,2}\.[0-9]{1,2}")

# The 1x1 transparent GIF that getMobile.htm answers with, as any image beacon does.
PIXEL: Final = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)


@dataclass(frozen=True, slots=True)
class Fetch:
    """What came of a getToken.htm request, for the answer and for the journal."""

    code: str
    reason: str | None = None
    token: str = ""
    user_information: str = ""
    signature_verified: bool | None = None


def insert_number(query: Mapping[str, str]) -> str | None:
    """Be the carrier's gateway: the number it puts into a request that comes over mobile data.

    A browser's image request cannot carry a header of its own, so the SDK stand-in tells the gateway in the
    query which SIM the phone holds (``simulator.sim``) and over which network the request travels
    (``simulator.network``). On Wi-Fi, over a VPN or without a number, nothing is inserted. Headers that
    pretend to be the gateway's are never looked at.
    """
    number = query.get("simulator.sim", "")
    if query.get("simulator.network") in {"wifi", "vpn"} or not _NUMBER.fullmatch(number):
        return None
    return number


def get_mobile(desk: TokenDesk, query: Mapping[str, str], now: datetime) -> str | None:
    """Note the phone's number and fingerprint under its msgId; returns the number inserted."""
    number = insert_number(query)
    fingerprint = query.get("userInformation")
    # The query's own decoding took off one layer: this is the SDK's Base64, and the encoded form is issued.
    encoded = quote(fingerprint, safe="") if fingerprint else None
    desk.arrive(
        query.get("appId", ""),
        query.get("msgId", ""),
        Arrival(number, encoded, now, query.get("simulator.network", "")),
    )
    return number


@dataclass(frozen=True, slots=True)
class TokenService:
    """getToken.htm."""

    desk: TokenDesk
    form: SignatureForm

    def get_token(
        self, customer: Customer, message: dict[str, Any], origin: str, referer: str, now: datetime
    ) -> Fetch:
        """Check the page and its preSign's signature, and issue a token.

        The checks come in this order: required fields (130010) and their form (130032, 105112), appId
        (110022), origin and referer as reported (170001), signature (130018), a number (111002).
        """
        verified: bool | None = None
        try:
            request = read_token_request(message)
            _check_forms(request)
            _check_app(customer, request.header, origin, referer)
            verified = False
            header = request.header
            pre_sign = header.app_id + header.msg_id + header.timestamp + request.uuid + header.version
            self.form.check(customer.public_key, pre_sign, request.sign)
            verified = True
            token, user_information = self._issue(request, now)
        except RefusedError as refusal:
            return Fetch(refusal.code, refusal.reason, signature_verified=verified)
        return Fetch("000000", None, token, user_information, verified)

    def _issue(self, request: TokenRequest, now: datetime) -> tuple[str, str]:
        arrival = self.desk.arrival(request.header.app_id, request.header.msg_id, now)
        if arrival.network == "vpn":
            raise RefusedError(
                "103111", "the request did not come through the carrier's gateway (VPN, proxy)"
            )
        # As on the test line, where no real number is fetched, the page may name one.
        number = request.expand_params.get("phoneNum") or arrival.number
        if number is None or not _NUMBER.fullmatch(number):
            raise RefusedError("111002", "the carrier's gateway inserted no number (Wi-Fi, another carrier)")
        return self.desk.issue(number, arrival.user_information, now)


def _check_forms(request: TokenRequest) -> None:
    parts = (
        ("msgId", _MSG_ID, request.header.msg_id),
        ("uuid", _UUID, request.uuid),
        ("version", _VERSION, request.header.version),
    )
    for name, form, value in parts:
        if not form.fullmatch(value):
            raise RefusedError("130032", f"{name} has not a form that an SDK makes")


def _check_app(customer: Customer, header: Header, origin: str, referer: str) -> None:
    if header.app_id != customer.app_id:
        raise RefusedError("110022", "no such appId")
    if origin not in customer.origins:
        raise RefusedError("170001", "the page's origin is not one of those reported")
    if not referer:
        raise RefusedError("170001", "the request has no referer: the page lacks the referrer meta tag")
    if not customer.reported_page(referer):
        raise RefusedError("170001", "the page's address is not one of those reported as referer")
