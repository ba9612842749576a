"""verifyVmMobileApi.htm: every check of the guide's step 14, in its order, up to the verdict (section 3)."""

import re
import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from local.simulator.crypto import PlatformKey, SignatureForm
from local.simulator.customer import Customer, LimitRule
from local.simulator.protocol import SHANGHAI, RefusedError, VerifyRequest, read_verify_request
from local.simulator.tokens import SAMPLE_EXHAUSTED, TokenDesk

_LEADING_NUMBER: Final = re.compile(rb"[0-9]{11}")


class Verdict(Enum):
    """What the platform judged; billed."""

    MATCH = "000"
    MISMATCH = "001"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of a verification, for the answer and for the journal.

    ``number`` is what the cipher holds. None stands for: not found out.
    """

    code: str
    reason: str | None = None
    number: str | None = None
    signature_verified: bool | None = None

    def notes(self) -> dict[str, Any]:
        """Return what the journal has of it."""
        return {
            "reason": self.reason,
            "phoneNum": self.number,
            "signatureVerified": self.signature_verified,
            "verdict": next((each.name.lower() for each in Verdict if each.value == self.code), None),
        }


@dataclass(frozen=True, slots=True)
class _Opened:
    """phoneNum after decryption: the number in it, if any, and what is wrong with the whole."""

    number: str | None
    refusal: RefusedError | None


class Verifier:
    """verifyVmMobileApi.htm, safe for threads.

    The daily limit per number (121011) stands before signature and decryption in the guide's order, yet the
    number is inside the cipher. So the platform looks into the cipher first, keeps what it found to itself,
    and reports a bad signature or a bad cipher only when their turn comes; a cipher that gives no number has
    no limit and fails at its own check. Only verdicts count against the limit: a stranger who cannot sign
    can see that a number's day is used up, but cannot use it up.
    """

    def __init__(self, desk: TokenDesk, form: SignatureForm) -> None:
        self._desk = desk
        self._form = form
        self._lock = threading.Lock()
        self._verdicts: dict[str, tuple[datetime, int]] = {}  # by number: since when, how many

    def judge(
        self, customer: Customer, key: PlatformKey, message: dict[str, Any], address: str, now: datetime
    ) -> Judgement:
        """Judge one request from a client address."""
        found = Judgement("999999")
        try:
            request = read_verify_request(message)
            if request.header.app_id != customer.app_id:
                raise RefusedError("110022", "no such appId")  # noqa: TRY301 - the ladder reads in one piece
            if not customer.admits(address):
                raise RefusedError("110004", "the client's address is not on the white list")  # noqa: TRY301 - as above
            # RSA is done outside the lock; from the limit to the verdict nobody else may count.
            opened = _open(customer, key, request)
            forged = self._check_signature(customer, request)
            found = replace(found, number=opened.number, signature_verified=forged is None)
            verdict = self._decide(customer, request, opened, forged, now)
        except RefusedError as refusal:
            return replace(found, code=refusal.code, reason=refusal.reason)
        return replace(found, code=verdict.value)

    def forget(self) -> None:
        """Forget the day's verdicts: every number has its whole limit again."""
        with self._lock:
            self._verdicts.clear()

    def _check_signature(self, customer: Customer, request: VerifyRequest) -> RefusedError | None:
        fields = {
            "version": request.header.version,
            "msgId": request.header.msg_id,
            "timestamp": request.header.timestamp,
            "appId": request.header.app_id,
            "phoneNum": request.phone_num,
            "token": request.token,
        }
        # The guide's TreeMap: values in the natural order of their names.
        text = "".join(fields[name] for name in sorted(fields))
        try:
            self._form.check(customer.public_key, text, request.sign)
        except RefusedError as refusal:
            return refusal
        return None

    def _decide(
        self,
        customer: Customer,
        request: VerifyRequest,
        opened: _Opened,
        forged: RefusedError | None,
        now: datetime,
    ) -> Verdict:
        with self._lock:
            # A sample token may be used for ever, so it counts for no day.
            sample = self._desk.is_sample(request.token)
            number = None if sample else opened.number
            since, count = self._verdicts.get(number or "", (now, 0))
            if _forgotten(since, now, customer.limit_rule):
                since, count = now, 0
            if (number and count >= customer.daily_limit) or (sample and opened.number == SAMPLE_EXHAUSTED):
                raise RefusedError("121011", "the number's verdicts of the day are used up")
            if forged:
                raise forged
            if opened.refusal:
                raise opened.refusal
            sim = self._desk.redeem(request.token, request.user_information, now)
            if number:
                self._verdicts[number] = since, count + 1
            return Verdict.MATCH if sim == opened.number else Verdict.MISMATCH


def _forgotten(since: datetime, now: datetime, rule: LimitRule) -> bool:
    if rule is LimitRule.DAY:
        return since.astimezone(SHANGHAI).date() != now.astimezone(SHANGHAI).date()
    return now - since >= timedelta(hours=24)


def _open(customer: Customer, key: PlatformKey, request: VerifyRequest) -> _Opened:
    """Look into phoneNum: number + appKey + timestamp, the header's timestamp."""
    try:
        plain = key.decrypt(request.phone_num)
    except RefusedError as refusal:
        return _Opened(None, refusal)
    leading = _LEADING_NUMBER.match(plain)
    if leading is None:
        return _Opened(None, RefusedError("130016", "phoneNum holds no number under the platform's key"))
    number, rest = leading[0].decode(), plain[leading.end() :]
    app_key, timestamp = customer.app_key.encode(), request.header.timestamp.encode()
    if rest == app_key + timestamp:
        return _Opened(number, None)
    if rest.startswith(app_key):
        return _Opened(number, RefusedError("130016", "the timestamp inside phoneNum is not the header's"))
    return _Opened(number, RefusedError("130016", "the appKey inside phoneNum is not this app's"))
