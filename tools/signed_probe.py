"""The signed probe: one verification with a made-up token, and one preSign. Sent only when asked for.

The token is nobody's, so the platform gives no verdict and bills none; what it answers instead tells how far
the request came, for it checks in the order of the guide's step 14. 120020, the token's own refusal, comes
last: appId, white list, signature and encryption were right. A deployed stack is asked through its own API,
since the white list has its address, not ours.
"""

import json
import secrets
import time
import uuid
from collections.abc import Iterator
from typing import Final

from cmpassport.problems import Problem
from tools.examination import Examination
from tools.findings import Finding, fault, fine, unknown, warning
from tools.messages import table, text
from tools.web import Fetched, fetch, origin_of
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

_UNASSIGNED: Final = "154"
"""A range in the form of mobile numbers that no carrier has, and so no subscriber: libphonenumber's metadata
leave it out too. Each probe takes a random number of its 100 million, so that nobody can use up the attempts,
here or at the platform, that the next one needs."""
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
_ALL_RIGHT: Final = "120020"
_SECONDS: Final = 35.0
"""An API's gateway answers within 30 seconds."""
_LIMITS: Final = {"121011", Problem.ATTEMPTS_EXHAUSTED.code, Problem.TOO_MANY_REQUESTS.code}
_PROBLEMS: Final[dict[type[Exception], Problem]] = {
    PlatformUnreachableError: Problem.PLATFORM_UNREACHABLE,
    PlatformSilentError: Problem.PLATFORM_TIMEOUT,
    BadAnswerError: Problem.PLATFORM_ERROR,
    NotTheProtocolError: Problem.PLATFORM_ERROR,
}


def probe(examination: Examination) -> list[Finding]:
    """Say what POST /presign signs, and what the platform refuses."""
    pages = map(origin_of, examination.pages)
    allowed = examination.origins
    origin = next((each for each in (*pages, *allowed) if each in allowed), "")
    submission = Submission(
        f"{_UNASSIGNED}{secrets.randbelow(10**8):08}", f"VM_DOCTOR{uuid.uuid4().hex}", "doctor"
    )
    ask = _ask_platform if examination.is_local else _ask_api
    found = list(_presign(examination, origin)) if examination.api and origin else []
    return [*found, ask(examination, submission, origin)]


def _post(examination: Examination, origin: str, path: str, **body: str) -> Fetched:
    headers = {"Content-Type": "application/json", "Origin": origin}
    url = f"{examination.api}{path}"
    return fetch("POST", url, _SECONDS, body=json.dumps(body), headers=headers)


def _ask_api(examination: Examination, submission: Submission, origin: str) -> Finding:
    if not examination.api or not origin:
        return unknown("not-checked", what=text("step-probe"))
    reply = _post(
        examination,
        origin,
        "/verify",
        phoneNum=submission.number,
        token=submission.token,
        userInformation=submission.user_information,
    )
    code, problem = (str(reply.document().get(name) or "") for name in ("resultCode", "code"))
    if code:
        return _judge_code(code)
    if f"code-{problem}" in table():
        return _judge_problem(problem)
    return fault("probe-api", api=examination.api, why=reply.why)


def _ask_platform(examination: Examination, submission: Submission, _: str) -> Finding:
    """Ask the platform from here, with the verify function's own message and exchange."""
    own, settings = examination.credentials(), examination.settings
    contact = examination.contact
    if own is None or settings is None or contact is None or not contact.status:
        return unknown("not-checked", what=text("step-probe"))
    msg_id = str(uuid.uuid4())
    platform = Platform(settings.platform_url, settings.limits, time.monotonic)
    try:
        request = write_request(submission, own, msg_id=msg_id, instant=examination.now())
        answer = read_answer(platform.ask(request), msg_id=msg_id, app_id=own.app_id)
    except PlaintextTooLongError:  # said of the appKey
        return unknown("not-checked", what=text("step-probe"))
    except tuple(_PROBLEMS) as error:
        return _judge_problem(_PROBLEMS[type(error)].code)
    finally:
        platform.disconnect()
    if answer.result_code == "110004":
        return fault("probe-not-listed-here", code=answer.result_code)
    return _judge_code(answer.result_code)


def _judge_code(code: str) -> Finding:
    if code == _ALL_RIGHT:
        return fine("probe")
    if code in {VERIFIED.code, NOT_THIS_SIM.code}:
        return fault("probe-verdict", code=code)
    if code in _LIMITS:
        return warning("probe-limit", code=code)
    if f"code-{code}" not in table():
        return fault("probe-unknown-code", code=code)
    return fault("probe-refused", code=code, said=text(f"code-{code}"))


def _judge_problem(problem: str) -> Finding:
    if problem in _LIMITS:
        return warning("probe-limit", code=problem)
    if problem == Problem.PLATFORM_TIMEOUT.code:
        return fault("probe-platform-timeout")
    return fault("explained", who="POST /verify", said=text(f"code-{problem}"))


def _presign(examination: Examination, origin: str) -> Iterator[Finding]:
    """Have a well-formed preSign signed, as the SDK's current build makes it."""
    settings = examination.settings
    if settings is None:
        return
    msg_id, own_uuid = ("".join(secrets.choice(_ALPHABET) for _ in range(32)) for _ in range(2))
    timestamp = format_timestamp(examination.now())
    pre_sign = f"{settings.common.app_id}{msg_id}{timestamp}{own_uuid}1.2"
    reply = _post(examination, origin, "/presign", preSign=pre_sign)
    sign, problem = (str(reply.document().get(name) or "") for name in ("sign", "code"))
    own = examination.keys.own
    if not sign and problem == Problem.INTERNAL_ERROR.code and own is None:
        yield unknown("not-checked", what="POST /presign")
    elif not sign and f"code-{problem}" in table():
        explained = text(f"code-{problem}")
        yield fault("explained", who=f"POST /presign ({origin})", said=explained)
    elif not sign:
        yield fault("probe-api", api=examination.api, why=reply.why)
    elif own is None:
        yield unknown("presign-key-unknown")
    elif sign == settings.common.scheme.sign(own, pre_sign):  # RSASSA-PKCS1-v1_5 has one signature of a text
        yield fine("presign", origin=origin)
    else:
        yield fault("presign-signature")
    if sign and reply.headers.get("access-control-allow-origin") != origin:
        yield fault("presign-cors", origin=origin)
