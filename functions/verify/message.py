"""The messages of verifyVmMobileApi.htm: the request written exactly, the answer read tolerantly.

Guide section 3.2. Request and answer are JSON objects of `header` and `body`. The guide's samples print keys
with a trailing space; senders use none, and answers are read with or without.
"""

import base64
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from cmpassport.clock import SHANGHAI
from cmpassport.errors import CmpassportError
from cmpassport.signing import SignatureScheme
from verify.submission import Submission

_VERSION: Final = "1.0"
_RESULT_CODE: Final = re.compile(r"[0-9A-Za-z]{1,10}", re.ASCII)
"""Known ones have up to six digits. A number has 11, so that no code, which is logged, can echo one."""
_VERDICTS: Final = frozenset({"000", "001"})
_PADDING: Final = PKCS1v15()
_PADDING_BYTES: Final = 11
"""What RSAES-PKCS1-v1_5 takes of a block (RFC 8017 section 7.2.1)."""


class PlaintextTooLongError(CmpassportError):
    """A plaintext does not fit into the one block that the protocol has."""


class NotTheProtocolError(CmpassportError):
    """An answer is not what the guide describes; the text says in which way, and never quotes it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The customer's half of the conversation with the platform. Never shown in a repr.

    Attributes
    ----------
    app_id
        The configured appId.
    app_key
        The appKey that the open platform assigned; part of the encrypted phoneNum.
    platform_key
        The platform's public key, which encrypts.
    signing_key
        The customer's private key, which signs.
    scheme
        Digest and encoding of the signature.
    """

    app_id: str
    app_key: str = field(repr=False)
    platform_key: RSAPublicKey = field(repr=False)
    signing_key: RSAPrivateKey = field(repr=False)
    scheme: SignatureScheme


@dataclass(frozen=True, slots=True)
class Answer:
    """The platform's answer.

    Attributes
    ----------
    result_code
        1 to 10 letters and digits.
    result_desc
        The platform's words, or an empty text.
    task_id
        The platform's serial number of the call, or an empty text.
    """

    result_code: str
    result_desc: str
    task_id: str


def write_request(
    submission: Submission, credentials: Credentials, *, msg_id: str, instant: datetime
) -> bytes:
    """Return the request's JSON, with the number encrypted and the whole request signed.

    Parameters
    ----------
    msg_id
        Identifies the request; unique.
    instant
        When it is sent.

    Raises
    ------
    PlaintextTooLongError
        The platform's key is too small for number, appKey and timestamp.
    """
    timestamp = format_timestamp(instant)
    phone_num = encrypt(credentials.platform_key, submission.number + credentials.app_key + timestamp)
    # In the natural order of the parameters' names; phoneNum is the ciphertext as sent.
    signed = credentials.app_id + msg_id + phone_num + timestamp + submission.token + _VERSION
    body = {
        "phoneNum": phone_num,
        "token": submission.token,
        "sign": credentials.scheme.sign(credentials.signing_key, signed),
        "userInformation": submission.user_information,
    }
    if submission.expand_params is not None:
        body["expandParams"] = submission.expand_params
    header = {"version": _VERSION, "msgId": msg_id, "timestamp": timestamp, "appId": credentials.app_id}
    return _encode({"header": header, "body": body}).encode()


def format_timestamp(instant: datetime) -> str:
    """Return an aware instant as 17 digits of Shanghai time, `yyyyMMddHHmmssSSS`, milliseconds truncated."""
    local = instant.astimezone(SHANGHAI)
    return f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}"


def encrypt(key: RSAPublicKey, plaintext: str) -> str:
    """Encrypt a text in one RSAES-PKCS1-v1_5 block and write it as Base64 on one line.

    Parameters
    ----------
    key
        The platform's public key.
    plaintext
        At most the key's size in bytes less 11, as UTF-8: 117 bytes for 1024 bits, 245 for 2048.

    Raises
    ------
    PlaintextTooLongError
        The text does not fit; the error has both sizes in bytes, and never the text.
    """
    data = plaintext.encode()
    limit = key.key_size // 8 - _PADDING_BYTES
    if len(data) > limit:
        raise PlaintextTooLongError(
            f"the plaintext has {len(data)} bytes; a key of {key.key_size} bits encrypts at most {limit}"
        )
    return base64.b64encode(key.encrypt(data, _PADDING)).decode("ascii")


def read_answer(data: bytes, *, msg_id: str, app_id: str) -> Answer:
    """Read the platform's answer and check that it belongs to the request.

    A verdict must name the request's msgId and appId. Any other code may leave them out, since the platform
    may have refused before it knew them, but may not name others.

    Raises
    ------
    NotTheProtocolError
        It is not JSON of the documented form, has no resultCode, or belongs to another request.
    """
    try:
        content = _read(_decode(data))
    except (ValueError, RecursionError):
        raise NotTheProtocolError("the answer is not JSON") from None
    content = _object(content)
    header, body = _object(content.get("header")), content.get("body")
    words = body if isinstance(body, dict) else {}
    result_code = header.get("resultCode")
    if isinstance(result_code, int) and not isinstance(result_code, bool):
        result_code = str(result_code)
    if not isinstance(result_code, str) or not _RESULT_CODE.fullmatch(result_code.strip()):
        raise NotTheProtocolError("the answer has no resultCode")
    result_code = result_code.strip()
    absent = (None, "") if result_code not in _VERDICTS else ()
    if header.get("msgId") != msg_id and header.get("msgId") not in absent:
        raise NotTheProtocolError("the answer's msgId is not the request's")
    if str(header.get("appId")) != app_id and header.get("appId") not in absent:
        raise NotTheProtocolError("the answer's appId is not the configured one")
    return Answer(result_code, _text(words.get("resultDesc")), _text(words.get("taskId")))


def _decode(data: bytes) -> str:
    """Return the text of an answer: UTF-8, GBK, or one whose words are lost, which a verdict outweighs."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("utf-8-sig", errors="replace")


def _trimmed(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    trimmed = {key.strip(): value for key, value in pairs}
    if len(trimmed) != len(pairs):
        raise NotTheProtocolError("the answer has a member twice")
    return trimmed


# Made once: json.loads and json.dumps would make a decoder and an encoder for each call.
_read: Final = json.JSONDecoder(object_pairs_hook=_trimmed, strict=False).decode  # raw line breaks in words
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _object(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise NotTheProtocolError("the answer is not an object of header and body")
    return content


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) and "\ufffd" not in value else ""
