"""The signed probe: one verification with a made-up token, and one preSign. Sent only when asked for.

The token is nobody's, so the platform gives no verdict and bills none; what it answers instead tells how far
the request came, for it checks in the order of the guide's step 14. 120020, the token's own refusal, comes
last: appId, white list, signature and encryption were right. The number is China Mobile's own top-up line, no
subscriber's. A deployed stack is asked through its own API, since the white list has its address, not ours.
"""

import json
import secrets
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Final

from cmpassport.problems import Problem
from tools.examination import Examination, Fetched, fetch, origin_of
from tools.findings import Finding, Severity, fault, fine, unknown, warning
from tools.messages import table, text
from tools.pairs import is_signed
from verify.codes import NOT_THIS_SIM, VERIFIED
from verify.message import (
    NotTheProtocolError,
    PlaintextTooLongError,
    format_timestamp,
    read_answer,
    write_request,
)
from verify.platform import BadAnswerError, Platform, PlatformSilentError, PlatformUnreachableError
from verify.submission import Submission

_NUMBER: Final = "13800138000"
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
_ALL_RIGHT: Final = "120020"
_SECONDS: Final = 35.0
"""An API's gateway answers within 30 seconds."""
_PROBLEMS: Final[dict[type[Exception], Problem]] = {
    PlatformUnreachableError: Problem.PLATFORM_UNREACHABLE,
    PlatformSilentError: Problem.PLATFORM_TIMEOUT,
    BadAnswerError: Problem.PLATFORM_ERROR,
    NotTheProtocolError: Problem.PLATFORM_ERROR,
}
_CAUSES: Final = {
    "130018": {"no-pair", "reported-form"},
    "130016": {"own-key-as-platforms"},
    "999999": {"own-key-as-platforms"},
    "103605": {"line-mixed"},
    "130010": {"line-mixed"},
    "110022": {"line-mixed"},
}
"""The faults that explain a return code, where one was found."""


class Verdict(Enum):
    """What a probe says of the present key pair."""

    TAKEN = "the platform takes the key, and /presign signs with it"
    PRESIGN_LAGS = "the platform takes the key, and all that is amiss is that /presign signs with another"
    NOT_TAKEN = "the platform has not been seen to take the key, or something else is amiss"


@dataclass(frozen=True, slots=True)
class _Answer:
    """The platform's return code, or the code of a refusal in the API's own terms; `api` for neither."""

    code: str = ""
    problem: str = ""
    why: str = ""


class SignedProbe:
    """One probe of a target, sent when its findings are first asked for.

    `known` has the codes of faults that were found before, which may explain the platform's answer.
    """

    def __init__(self, examination: Examination, known: frozenset[str] = frozenset()) -> None:
        self._examination = examination
        self._known = known

    @cached_property
    def findings(self) -> list[Finding]:
        """What POST /presign signs, and what the platform refuses."""
        answer = self._answer
        found = list(self._presign())
        if answer is None:
            return [*found, unknown("probe", "probe-useless")]
        return [*found, self._judge_code(answer.code) if answer.code else self._judge_problem(answer)]

    def verdict(self) -> Verdict:
        """Tell what the probe says of the present key pair."""
        faults = [each.code for each in self.findings if each.severity is Severity.FAULT]
        if self._answer is None or self._answer.code != _ALL_RIGHT:
            return Verdict.NOT_TAKEN
        if faults == ["presign-signature"]:
            return Verdict.PRESIGN_LAGS
        return Verdict.NOT_TAKEN if faults else Verdict.TAKEN

    # Asked.

    @cached_property
    def _origin(self) -> str:
        """The origin to name: a page's, where one was given, else the first that is allowed."""
        allowed = self._examination.origins
        pages = map(origin_of, self._examination.pages)
        return next((origin for origin in (*pages, *allowed) if origin in allowed), "")

    def _post(self, path: str, **body: str) -> Fetched:
        headers = {"Content-Type": "application/json", "Origin": self._origin}
        url = f"{self._examination.target.api}{path}"
        return fetch("POST", url, _SECONDS, body=json.dumps(body), headers=headers)

    @cached_property
    def _answer(self) -> _Answer | None:
        submission = Submission(_NUMBER, f"VM_DOCTOR{uuid.uuid4().hex}", "doctor", None)
        if self._examination.target.is_local:
            return self._ask_platform(submission)
        if not self._examination.target.api or not self._origin:
            return None
        reply = self._post(
            "/verify",
            phoneNum=submission.number,
            token=submission.token,
            userInformation=submission.user_information,
        )
        code, problem = (str(reply.document().get(name) or "") for name in ("resultCode", "code"))
        return _Answer(code, problem if f"code-{problem}" in table() else "api", reply.why)

    def _ask_platform(self, submission: Submission) -> _Answer | None:
        """Ask the platform from here, with the verify function's own message and exchange."""
        own, settings = self._examination.credentials(), self._examination.settings
        contact = self._examination.contact
        if own is None or settings is None or contact is None or not contact.status:
            return None
        msg_id = str(uuid.uuid4())
        platform = Platform(settings.platform_url, settings.limits, time.monotonic)
        try:
            request = write_request(submission, own, msg_id=msg_id, instant=self._examination.now())
            return _Answer(read_answer(platform.ask(request), msg_id=msg_id, app_id=own.app_id).result_code)
        except PlaintextTooLongError:
            return None  # said of the appKey
        except tuple(_PROBLEMS) as error:
            return _Answer(problem=_PROBLEMS[type(error)].code)
        finally:
            platform.disconnect()

    # Judged.

    def _judge_code(self, code: str) -> Finding:
        if code == _ALL_RIGHT:
            return fine("probe")
        if code in {VERIFIED.code, NOT_THIS_SIM.code}:
            return fault("probe-verdict", code=code)
        if code == "121011":
            return warning("probe-121011")
        if _CAUSES.get(code, set()) & self._known:
            return unknown("probe", "probe-explained", code=code)
        if f"code-{code}" not in table():
            return fault(f"probe-{code}", "probe-unknown-code", code=code)
        here = code == "110004" and self._examination.target.is_local
        message = "probe-not-listed-here" if here else "probe-refused"
        return fault(f"probe-{code}", message, code=code, explained=text(f"code-{code}"))

    def _judge_problem(self, answer: _Answer) -> Finding:
        if answer.problem == "api":
            return fault("probe-api", api=self._examination.target.api, why=answer.why)
        if answer.problem in {Problem.ATTEMPTS_EXHAUSTED.code, Problem.TOO_MANY_REQUESTS.code}:
            return warning("probe-number-taken", problem=answer.problem)
        if answer.problem == Problem.PLATFORM_TIMEOUT.code:
            return fault("probe-platform-timeout")
        return fault(f"probe-{answer.problem}", "probe-failed", explained=text(f"code-{answer.problem}"))

    def _presign(self) -> Iterator[Finding]:
        """Have a well-formed preSign signed, as the SDK's current build makes it."""
        settings, api = self._examination.settings, self._examination.target.api
        if settings is None or not api or not self._origin:
            return
        msg_id, own_uuid = ("".join(secrets.choice(_ALPHABET) for _ in range(32)) for _ in range(2))
        timestamp = format_timestamp(self._examination.now())
        pre_sign = f"{settings.common.app_id}{msg_id}{timestamp}{own_uuid}1.2"
        reply = self._post("/presign", preSign=pre_sign)
        sign, problem = (str(reply.document().get(name) or "") for name in ("sign", "code"))
        own = self._examination.keys.own
        public = own.public_key() if own else self._examination.reported[0]
        if not sign and problem == Problem.INTERNAL_ERROR.code and own is None:
            yield unknown("presign", "presign-cannot")
        elif not sign and f"code-{problem}" in table():
            explained = text(f"code-{problem}")
            yield fault(f"presign-{problem}", "presign-refused", origin=self._origin, explained=explained)
        elif not sign:
            yield fault("presign-api", "probe-api", api=api, why=reply.why)
        elif public is None:
            yield unknown("presign", "presign-key-unknown")
        elif is_signed(public, pre_sign, sign, settings.common.scheme):
            yield fine("presign", origin=self._origin)
        else:
            yield fault("presign-signature")
        if sign and reply.headers.get("access-control-allow-origin") != self._origin:
            yield fault("presign-cors", origin=self._origin)
