"""The signed probe: one verification with a made-up token, and one preSign. Sent only when asked for.

The token is nobody's, so the platform gives no verdict and bills none; what it answers instead tells how far
the request came, for it checks in the order of the guide's step 14. 120020, the token's own refusal, comes
last: appId, white list, signature and encryption were right. The number is China Mobile's own top-up line, no
subscriber's. A deployed stack is asked through its own API, since the white list has its address, not ours.
"""

import json
import secrets
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Any, Final

from cmpassport.problems import Problem
from tools.doctor.facts import Facts, Fetched, Probe, SignedPreSign, Stage, World
from tools.doctor.place import Origin
from tools.doctor.steps.keys import (
    credentials,
    keys_belong_together,
    reported_key,
    signing_key,
)
from tools.doctor.steps.line import app_id_and_line_agree
from tools.doctor.steps.pages import allowed_origins, origin_of
from tools.doctor.steps.step import Check, Step
from tools.findings import Finding, Severity, fault, fine, unknown, warning
from tools.remedies import OWN, REMEDIES
from tools.signatures import SignatureMismatchError
from tools.signatures import verify as verify_signature
from verify.codes import NOT_THIS_SIM, VERIFIED
from verify.message import (
    NotTheProtocolError,
    PlaintextTooLongError,
    format_timestamp,
    read_answer,
    write_request,
)
from verify.platform import BadAnswerError, PlatformSilentError, PlatformUnreachableError
from verify.submission import Submission

_NUMBER: Final = "13800138000"
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
_ALL_RIGHT: Final = "120020"
_USED_UP: Final = "121011"
_NOT_LISTED: Final = "110004"
_FROM_HERE: Final = (
    "From here it is this machine's address that is to be reported, which --address-service URL shows. "
    "For a deployment:"
)

_PROBLEMS: Final[Mapping[type[Exception], Problem]] = {
    PlatformUnreachableError: Problem.PLATFORM_UNREACHABLE,
    PlatformSilentError: Problem.PLATFORM_TIMEOUT,
    BadAnswerError: Problem.PLATFORM_ERROR,
    NotTheProtocolError: Problem.PLATFORM_ERROR,
}
_LINE: Final = (app_id_and_line_agree, frozenset({"line-mixed", "app-id-form"}))
_PAIR: Final = (keys_belong_together, frozenset({"no-pair", "reported-form"}))
_OWN_KEY: Final = (keys_belong_together, frozenset({"own-key-as-platforms"}))
_CAUSES: Final[Mapping[str, tuple[Check, frozenset[str]]]] = {
    "130018": _PAIR,
    "130016": _OWN_KEY,
    "999999": _OWN_KEY,
    "103605": _LINE,
    "130010": _LINE,
    "110022": _LINE,
}
"""The check, and which of its faults, that explain a return code."""


def _look(facts: Facts, world: World) -> Facts:
    if not facts.asked.probe:
        return facts
    if facts.place.origin is Origin.STACK:
        facts = replace(facts, probe=_ask_api(facts, world))
    else:
        facts = replace(facts, probe=_ask_platform(facts, world))
    return replace(facts, presign=_have_signed(facts, world))


def _submission() -> Submission:
    return Submission(_NUMBER, f"VM_DOCTOR{uuid.uuid4().hex}", "doctor", None)


def _ask_platform(facts: Facts, world: World) -> Probe | None:
    """Ask the platform from here, with the verify function's own message and exchange."""
    own, verify = credentials(facts), facts.settings.verify
    if own is None or verify is None or facts.contact is None or facts.contact.reached is not Stage.ANSWER:
        return None
    msg_id = str(uuid.uuid4())
    try:
        request = write_request(_submission(), own, msg_id=msg_id, instant=world.now())
        data = world.ask_platform(verify.platform_url, verify.limits, request)
        return Probe(code=read_answer(data, msg_id=msg_id, app_id=own.app_id).result_code)
    except PlaintextTooLongError:
        return None  # said of the appKey
    except tuple(_PROBLEMS) as error:
        return Probe(problem=_PROBLEMS[type(error)].code, detail=str(error))


def _ask_api(facts: Facts, world: World) -> Probe | None:
    """Have the deployed function ask the platform, by its own way out."""
    origin = _origin(facts)
    if facts.place.api is None or origin is None:
        return None
    submission = _submission()
    body = {
        "phoneNum": submission.number,
        "token": submission.token,
        "userInformation": submission.user_information,
    }
    reply = world.post(f"{facts.place.api}/verify", origin, body)
    document = _document(reply)
    code = document.get("resultCode")
    if isinstance(code, str) and code:
        return Probe(code=code)
    problem = document.get("code")
    if isinstance(problem, str) and problem in OWN:
        return Probe(problem=problem)
    return Probe(problem="api", detail=reply.error or f"HTTP status {reply.status}")


def _origin(facts: Facts) -> str | None:
    """Choose the origin to name: a page's, where one was given, else the first that is allowed."""
    allowed = allowed_origins(facts)
    return next((origin for url in facts.asked.pages if (origin := origin_of(url)) in allowed), None) or next(
        iter(allowed), None
    )


def _have_signed(facts: Facts, world: World) -> SignedPreSign | None:
    origin, verify = _origin(facts), facts.settings.verify
    if facts.place.api is None or origin is None or verify is None or not facts.settings.has("APP_ID"):
        return None
    pre_sign = _new_pre_sign(verify.common.app_id, world.now())
    reply = world.post(f"{facts.place.api}/presign", origin, {"preSign": pre_sign})
    return SignedPreSign(origin, reply, pre_sign, str(_document(reply).get("sign", "")))


def _new_pre_sign(app_id: str, now: datetime) -> str:
    """Make a preSign as the SDK's current build does."""
    msg_id, own_uuid = ("".join(secrets.choice(_ALPHABET) for _ in range(32)) for _ in range(2))
    return f"{app_id}{msg_id}{format_timestamp(now)}{own_uuid}1.2"


def _document(reply: Fetched) -> dict[str, Any]:
    try:
        content = json.loads(reply.body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


# --- What the platform said ---------------------------------------------------------------------------------


def the_platform_takes_the_probe(facts: Facts) -> Iterator[Finding]:
    """Say what the platform refuses: nothing but the made-up token, where all is right."""
    if not facts.asked.probe:
        yield unknown(
            "probe",
            "No probe was sent.",
            "--probe sends one signed request with a made-up token: nothing is billed, no attempt is spent.",
        )
    elif facts.probe is None:
        yield unknown(
            "probe", "No probe was sent: it could only repeat what is wrong above.", "Mend that first."
        )
    elif facts.probe.code:
        yield _judge_code(facts, facts.probe.code)
    else:
        yield _judge_failure(facts, facts.probe)


def _judge_code(facts: Facts, code: str) -> Finding:
    if code == _ALL_RIGHT:
        return fine(
            "probe",
            "The platform refuses the made-up token alone (120020): appId, white list, signature and "
            "encryption are right.",
        )
    if code in {VERIFIED.code, NOT_THIS_SIM.code}:
        return fault(
            "probe-verdict",
            f"A made-up token got a verdict ({code}): what answers is not the platform.",
            "See which platform the functions ask: the parameter Line, or PLATFORM_URL.",
        )
    if code == _USED_UP:
        return warning(
            "probe-121011",
            "The platform's daily limit of the probe's number is used up (121011): appId and white list are "
            "right, the keys are not known to be.",
            "Send the probe again tomorrow, Shanghai time.",
        )
    known = REMEDIES.get(code)
    if _is_explained(facts, code):
        meaning = known.meaning if known else "refused"
        return unknown(
            "probe", f"The platform answers {code} ({meaning}), as is to be expected from above.", ""
        )
    if known is None:
        return fault(
            f"probe-{code}",
            f"The platform answers {code}, which no table has.",
            f"Ask the platform's support what {code} means for appId and address.",
        )
    here = code == _NOT_LISTED and facts.place.origin is not Origin.STACK
    remedy = f"{_FROM_HERE} {known.remedy}" if here else known.remedy
    return fault(f"probe-{code}", f"The platform answers {code}: {known.meaning}.", remedy)


def _is_explained(facts: Facts, code: str) -> bool:
    """Tell whether a fault that was said above brings this return code."""
    if code not in _CAUSES:
        return False
    check, faults = _CAUSES[code]
    return any(finding.severity is Severity.FAULT and finding.code in faults for finding in check(facts))


def _judge_failure(facts: Facts, probe: Probe) -> Finding:
    detail = f" ({probe.detail})" if probe.detail else ""
    if probe.problem == "api":
        return fault(
            "probe-api",
            f"The API at {facts.place.api} gives no answer of this product{detail}.",
            "Is it the stack's API, and does it let this machine in? The API's access log has the request.",
        )
    if probe.problem == Problem.ATTEMPTS_EXHAUSTED.code:
        return warning(
            "probe-attempts-exhausted",
            "The attempts of the probe's number are used up here, by earlier probes that got no answer.",
            "Send the probe again tomorrow, Shanghai time.",
        )
    own = OWN[probe.problem]
    return fault(f"probe-{probe.problem.replace('_', '-')}", f"The probe: {own.meaning}{detail}.", own.remedy)


# --- What the API signed ------------------------------------------------------------------------------------


def the_api_signs(facts: Facts) -> Iterator[Finding]:
    """Say whether POST /presign signs a well-formed preSign with the key that is known."""
    signed = facts.presign
    if signed is None:
        return
    if not signed.sign:
        yield _judge_reply(facts, signed)
        return
    yield _judge_signature(facts, signed)
    allowed = signed.reply.headers.get("access-control-allow-origin")
    if allowed != signed.origin:
        yield fault(
            "presign-cors",
            f"The API does not let a page of {signed.origin} read its answers.",
            "The API's CORS settings are the parameter AllowedOrigins too: deploy template.yaml as it is.",
        )


def _judge_reply(facts: Facts, signed: SignedPreSign) -> Finding:
    reply = signed.reply
    problem = _document(reply).get("code")
    if isinstance(problem, str) and problem in OWN:
        if problem == Problem.INTERNAL_ERROR.code and signing_key(facts) is None:
            return unknown(
                "presign", "POST /presign cannot sign, as is to be expected from the signing secret.", ""
            )
        own = OWN[problem]
        code = f"presign-{problem.replace('_', '-')}"
        return fault(code, f"POST /presign from {signed.origin}: {own.meaning}.", own.remedy)
    return fault(
        "presign-api",
        f"POST /presign at {facts.place.api} gives no answer of this product "
        f"({reply.error or f'HTTP status {reply.status}'}).",
        "Is it the stack's API, and does it let this machine in? The API's access log has the request.",
    )


class _Signer(Enum):
    """Whose key a signature is."""

    PRESENT = "the one that the secret has now"
    OTHER = "another one"
    UNKNOWN = "not known"


def _signer(facts: Facts, signed: SignedPreSign) -> _Signer:
    own, reported, verify = signing_key(facts), reported_key(facts), facts.settings.verify
    public = reported if own is None else own.public_key()
    if verify is None or public is None:
        return _Signer.UNKNOWN
    try:
        verify_signature(verify.common.scheme, public, signed.pre_sign, signed.sign)
    except SignatureMismatchError:
        return _Signer.OTHER
    return _Signer.PRESENT


def _judge_signature(facts: Facts, signed: SignedPreSign) -> Finding:
    match _signer(facts, signed):
        case _Signer.UNKNOWN:
            return unknown(
                "presign", "POST /presign signs; with which key is not known.", "Give --public-key FILE."
            )
        case _Signer.OTHER:
            return fault(
                "presign-signature",
                "POST /presign signs with another key than the signing secret has now, or in another form.",
                "Functions keep a secret for SECRET_MAX_AGE_SECONDS (300 by default): wait that long and try "
                "again. If it stays, see that both functions have the same SIGNING_SECRET_ID, and deploy "
                "again.",
            )
        case _Signer.PRESENT:
            return fine(
                "presign", f"POST /presign signs for {signed.origin}, and the signature is the key's."
            )


# --- Both together ------------------------------------------------------------------------------------------


class Verdict(Enum):
    """What a probe says of the present key pair."""

    ALL_RIGHT = "the platform takes the key, and /presign signs with it"
    PRESIGN_LAGS = "the platform takes the key, and all that is amiss is that /presign signs with another"
    NOT_RIGHT = "the platform has not been seen to take the key, or something else is amiss"


def verdict(facts: Facts) -> Verdict:
    """Tell what the probe says of the present key pair."""
    if facts.probe is None or facts.probe.code != _ALL_RIGHT:
        return Verdict.NOT_RIGHT
    faults = [
        finding for check in STEP.checks for finding in check(facts) if finding.severity is Severity.FAULT
    ]
    signed = facts.presign
    if len(faults) == 1 and signed and signed.sign and _signer(facts, signed) is _Signer.OTHER:
        return Verdict.PRESIGN_LAGS
    return Verdict.NOT_RIGHT if faults else Verdict.ALL_RIGHT


STEP: Final = Step("Probe", _look, (the_api_signs, the_platform_takes_the_probe))
