"""The signed probe: one request with a made-up token, which a well-configured platform refuses with 120020.

That answer says that signature, appId, encryption and white list are right, and the token alone is not. It
spends no attempt and is never billed. It is sent through the stack's own API, since the white list has the
functions' address.
"""

import json
import secrets
import uuid
from collections.abc import Iterator
from typing import Final

from cmpassport.problems import Problem
from tools.examination import Examination
from tools.findings import Finding, fault, fine, unknown, warning
from tools.messages import meaning_of, text
from tools.web import Fetched, fetch
from verify.codes import NOT_THIS_SIM, VERIFIED
from verify.message import format_timestamp

_UNASSIGNED: Final = "154"
"""A range in the form of mobile numbers that no carrier has, and so no subscriber: libphonenumber's metadata
leave it out too. Each probe takes a random number of its 100 million, so that nobody can use up the attempts,
here or at the platform, that the next one needs."""
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
_ALL_RIGHT: Final = "120020"
_SECONDS: Final = 35.0
"""An API's gateway answers within 30 seconds."""
_LIMITS: Final = {"121011", Problem.ATTEMPTS_EXHAUSTED.code, Problem.TOO_MANY_REQUESTS.code}
_UNANSWERED: Final = {
    each.code for each in (Problem.PLATFORM_TIMEOUT, Problem.PLATFORM_UNREACHABLE, Problem.PLATFORM_ERROR)
}


def probe(examination: Examination) -> list[Finding]:
    """Say what POST /presign signs, and what the platform refuses."""
    if not examination.api or not examination.origins:
        return [unknown("not-checked", what=text("step-probe"))]
    return [*_presign(examination), _verify(examination)]


def _post(examination: Examination, path: str, **body: str) -> Fetched:
    headers = {"Content-Type": "application/json", "Origin": examination.origins[0]}
    url = f"{examination.api}{path}"
    return fetch("POST", url, _SECONDS, body=json.dumps(body), headers=headers)


def _verify(examination: Examination) -> Finding:
    """Have a made-up token verified."""
    number = f"{_UNASSIGNED}{secrets.randbelow(10**8):08}"
    token = f"VM_DOCTOR{uuid.uuid4().hex}"
    reply = _post(examination, "/verify", phoneNum=number, token=token, userInformation="doctor")
    code, problem = reply.member("resultCode"), reply.member("code")
    if code == _ALL_RIGHT:
        return fine("probe")
    if code in {VERIFIED.code, NOT_THIS_SIM.code}:
        return fault("probe-verdict", code=code)
    if _LIMITS & {code, problem}:
        return warning("probe-limit", code=code or problem)
    if problem in _UNANSWERED and not code:
        return fault("probe-unanswered", code=problem)
    if code:
        return fault("probe-refused", code=code, said=meaning_of(code))
    return _refused(examination, "POST /verify", reply)


def _presign(examination: Examination) -> Iterator[Finding]:
    """Have a well-formed preSign signed, as the SDK's current build makes it."""
    settings, own, origin = examination.settings, examination.keys.own, examination.origins[0]
    if settings is None:
        return
    msg_id, own_uuid = ("".join(secrets.choice(_ALPHABET) for _ in range(32)) for _ in range(2))
    timestamp = format_timestamp(examination.now())
    pre_sign = f"{settings.common.app_id}{msg_id}{timestamp}{own_uuid}1.2"
    reply = _post(examination, "/presign", preSign=pre_sign)
    sign, scheme = reply.member("sign"), settings.common.scheme
    if not sign:
        yield _refused(examination, f"POST /presign ({origin})", reply)
    elif own is None or sign == scheme.sign(own, pre_sign):  # RSASSA-PKCS1-v1_5: a text has one signature
        yield fine("presign", origin=origin)
    else:
        yield fault("presign-signature")
    if sign and reply.headers.get("access-control-allow-origin") != origin:
        yield fault("presign-cors", origin=origin)


def _refused(examination: Examination, who: str, reply: Fetched) -> Finding:
    said = meaning_of(reply.member("code"))
    if said.key == "no-table":
        return fault("probe-api", api=examination.api, why=reply.why)
    return fault("explained", who=who, said=said)
