"""The messages of verifyVmMobileApi.htm: requests to the byte, answers in every state of disrepair."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from cmpassport.signing import SignatureAlgorithm, SignatureEncoding, SignatureScheme
from tests.support.functions import APP_ID, APP_KEY
from verify.message import (
    Answer,
    Credentials,
    NotTheProtocolError,
    PlaintextTooLongError,
    encrypt,
    read_answer,
    write_request,
)
from verify.submission import Submission

MSG_ID: Final = "3f0e9a52-8a1b-4e0f-9c37-0d5b8a7c6e21"
INSTANT: Final = datetime(2026, 11, 23, 16, 0, 0, 7999, UTC)
TIMESTAMP: Final = "20261124000000007"
TOKEN: Final = "VM_0123456789ABCDEF"
USER_INFORMATION: Final = 'a%2Bb%3D%3D%25+c%20号码/\\"'
SUBMISSION: Final = Submission("13912345678", TOKEN, USER_INFORMATION, "\u2028a%2Bb")
Keys = Callable[[int], RSAPrivateKey]


@pytest.fixture
def credentials(rsa_key: Keys) -> Credentials:
    """Return a customer's key of 1024 bits and a platform's of 2048."""
    return Credentials(APP_ID, APP_KEY, rsa_key(2048).public_key(), rsa_key(1024), SignatureScheme())


def _body(request: bytes) -> dict[str, str]:
    body: dict[str, str] = json.loads(request)["body"]
    return body


# The request.


def test_a_request_is_exactly_what_the_guide_says(credentials: Credentials) -> None:
    request = write_request(SUBMISSION, credentials, msg_id=MSG_ID, instant=INSTANT)

    body = _body(request)
    assert request.decode() == (
        '{"header":{"version":"1.0","msgId":"3f0e9a52-8a1b-4e0f-9c37-0d5b8a7c6e21",'
        '"timestamp":"20261124000000007","appId":"000340"},'
        f'"body":{{"phoneNum":"{body["phoneNum"]}","token":"VM_0123456789ABCDEF","sign":"{body["sign"]}",'
        '"userInformation":"a%2Bb%3D%3D%25+c%20号码/\\\\\\"","expandParams":"\u2028a%2Bb"}}'
    )


@pytest.mark.parametrize(
    "scheme",
    [SignatureScheme(), SignatureScheme(SignatureAlgorithm.SHA256_WITH_RSA, SignatureEncoding.HEX_UPPER)],
)
def test_phonenum_and_signature_are_for_the_platform_in_the_customers_scheme(
    rsa_key: Keys, scheme: SignatureScheme
) -> None:
    credentials = Credentials(APP_ID, APP_KEY, rsa_key(1024).public_key(), rsa_key(2048), scheme)

    submission = replace(SUBMISSION, expand_params=None)
    body = _body(write_request(submission, credentials, msg_id=MSG_ID, instant=INSTANT))

    assert "expandParams" not in body
    plaintext = rsa_key(1024).decrypt(base64.b64decode(body["phoneNum"], validate=True), PKCS1v15())
    assert plaintext.decode() == "13912345678" + APP_KEY + TIMESTAMP
    values = {"appId": APP_ID, "msgId": MSG_ID, "phoneNum": body["phoneNum"], "timestamp": TIMESTAMP}
    values |= {"token": TOKEN, "version": "1.0"}
    signed = "".join(values[name] for name in sorted(values))
    assert body["sign"] == scheme.sign(rsa_key(2048), signed)  # tests/unit/test_jdk_vectors.py has a JDK's


@pytest.mark.parametrize(("bits", "limit", "fill"), [(1024, 117, "z"), (2048, 245, "号")])
def test_a_plaintext_is_one_block_or_refused_with_both_sizes_and_without_the_text(
    rsa_key: Keys, bits: int, limit: int, fill: str
) -> None:
    key = rsa_key(bits)
    fits = fill + "z" * (limit - len(fill.encode()))

    first, second = encrypt(key.public_key(), fits), encrypt(key.public_key(), fits)

    assert first != second  # RSAES-PKCS1-v1_5 pads at random
    assert len(base64.b64decode(first, validate=True)) == bits // 8
    assert key.decrypt(base64.b64decode(first), PKCS1v15()).decode() == fits
    with pytest.raises(PlaintextTooLongError) as refusal:
        encrypt(key.public_key(), fits + "z")
    words = f"the plaintext has {limit + 1} bytes; a key of {bits} bits encrypts at most {limit}"
    assert words in str(refusal.value)
    assert not {*fits} & {*str(refusal.value)}


def test_nothing_personal_and_no_key_is_shown(credentials: Credentials) -> None:
    submission = Submission("13912345678", TOKEN, USER_INFORMATION, "planted")

    shown = repr(submission) + repr(credentials)

    assert not [text for text in ("13912345678", TOKEN, "%2B", "planted", APP_KEY) if text in shown]


# The answer.


def answer_of(
    header: dict[str, Any] | None = None, body: Any = None, *, without: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Make a platform's answer, proper but for what is said."""
    proper = {"msgId": MSG_ID, "timestamp": TIMESTAMP, "appId": APP_ID, "resultCode": "000"}
    merged = {name: value for name, value in {**proper, **(header or {})}.items() if name not in without}
    return {"header": merged, "body": {"taskId": "t1", "resultDesc": "是本机号码"} if body is None else body}


def read(content: Any) -> Answer:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return read_answer(data, msg_id=MSG_ID, app_id=APP_ID)


def _worded(words: str, encoding: str) -> bytes:
    text = json.dumps(answer_of(body={"taskId": "t1", "resultDesc": "WORDS"}))
    return text.replace("WORDS", words).encode(encoding)


GUIDES_SAMPLE: Final = {
    "header ": {"msgId ": MSG_ID, "timestamp ": TIMESTAMP, "appId ": APP_ID, "resultCode ": "001"},
    "body ": {"taskId ": "t1", "resultDesc ": " 非本机号码 "},
}
MORE: Final = answer_of({"extra": [1]}, {"taskId": "t1", "resultDesc": "d", "expandParams": "x", "new": {}})
NO_TEXTS: Final[tuple[Any, ...]] = ({}, [], "a text", {"taskId": None, "resultDesc": 17}, {"taskId": ["x"]})
ANSWERS: Final[dict[str, tuple[Any, Answer]]] = {
    **{
        f"code {code!r}": (answer_of({"resultCode": code}), Answer(read_as, "是本机号码", "t1"))
        for code, read_as in (
            *(("000", "000"), ("001", "001"), ("120020", "120020"), (" 001 ", "001")),
            *((999999, "999999"), (0, "0"), (1, "1")),
        )
    },
    "spaces after the keys, as the guide prints them": (GUIDES_SAMPLE, Answer("001", "非本机号码", "t1")),
    "unknown members": (MORE | {"more": 1}, Answer("000", "d", "t1")),
    "a byte order mark": (b"\xef\xbb\xbf" + json.dumps(MORE).encode(), Answer("000", "d", "t1")),
    "no body": ({"header": answer_of()["header"]}, Answer("000", "", "")),
    **{f"body {body!r}": (answer_of(body=body), Answer("000", "", "")) for body in NO_TEXTS},
    # Words do not cost the verdict.
    "GBK": (_worded("是本机号码", "gbk"), Answer("000", "是本机号码", "t1")),
    "a backslash inside of GBK": (_worded("誠实", "gbk"), Answer("000", "誠实", "t1")),
    "a raw tab": (_worded("a raw\ttab", "utf-8"), Answer("000", "a raw\ttab", "t1")),
    "a replacement character": (_worded("\ufffd", "utf-8"), Answer("000", "", "t1")),
    "Latin 1": (_worded("ÿ", "latin-1"), Answer("000", "", "t1")),
}


@pytest.mark.parametrize(("content", "answer"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_read_in_every_state_of_disrepair(content: Any, answer: Answer) -> None:
    assert read(content) == answer


# Whose answer it is.


@pytest.mark.parametrize("name", ["msgId", "appId"])
@pytest.mark.parametrize("code", ["120020", "000", "001", " 000 "])
def test_a_refusal_may_leave_out_whose_it_is_and_a_verdict_not(name: str, code: str) -> None:
    for without, more in (((name,), {}), ((), {name: None}), ((), {name: ""})):
        content = answer_of({"resultCode": code, **more}, without=without)
        if code.strip() in {"000", "001"}:
            with pytest.raises(NotTheProtocolError, match=f"the answer's {name} is not"):
                read(content)
        else:
            assert read(content).result_code == code


@pytest.mark.parametrize("name", ["msgId", "appId"])
@pytest.mark.parametrize("code", ["000", "120020"])
@pytest.mark.parametrize("other", ["planted", MSG_ID.upper(), 340, 0, False, []])
def test_an_answer_to_another_request_is_refused(name: str, code: str, other: Any) -> None:
    with pytest.raises(NotTheProtocolError, match=f"the answer's {name} is not") as refusal:
        read(answer_of({"resultCode": code, name: other}))

    assert "planted" not in str(refusal.value)


# What is no answer.

NO_ANSWER: Final[dict[str, Any]] = {
    "nothing": b"",
    "HTML": b"<html><body>planted 502 Bad Gateway</body></html>",
    "cut off": json.dumps(answer_of()).encode()[:-10],
    "two answers": json.dumps(answer_of()).encode() * 2,
    "deep nesting": b"[" * 60_000,
    "an integer of 60000 digits": b'{"header": {"resultCode": ' + b"9" * 60_000 + b"}}",
    "a list": [answer_of()],
    "no header": {"body": {}},
    "a header that is null": {"header": None},
    "a header twice after trimming": {**answer_of(), "header ": answer_of()["header"]},
    "a code twice after trimming": answer_of({"resultCode ": "001"}),
    "a text twice after trimming": answer_of(body={"taskId": "t1", "taskId ": "t2"}),
    "no code": answer_of(without=("resultCode",)),
    "a code in the body": answer_of(without=("resultCode",), body={"resultCode": "000"}),
}
NO_CODES: Final[list[Any]] = [
    *(None, "", " ", True, False, 0.0, 1.5, [], ["000"], {"000": "000"}, -1, 10**17),
    *("000\n001", "0 0", "-1", "０００", "00０", "planted!", "x" * 17, "13912345678", "\ud800", "000\x00"),
    *("00:", "00@", "00[", "00`", "00{", "00/"),
]


@pytest.mark.parametrize("content", NO_ANSWER.values(), ids=NO_ANSWER)
def test_what_is_no_answer_is_not_the_protocol(content: Any) -> None:
    with pytest.raises(NotTheProtocolError) as refusal:
        read(content)

    assert "planted" not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


@pytest.mark.parametrize("code", NO_CODES, ids=repr)
def test_a_code_of_another_form_is_none(code: Any) -> None:
    with pytest.raises(NotTheProtocolError, match=r"^the answer has no resultCode$"):
        read(answer_of({"resultCode": code}))


@pytest.mark.parametrize("first", ["000", "001"])
def test_a_code_that_is_there_twice_is_no_verdict(first: str) -> None:
    text = json.dumps(answer_of()).replace(
        '"resultCode": "000"', f'"resultCode": "{first}", "resultCode": "000"'
    )
    assert first in text

    with pytest.raises(NotTheProtocolError, match="twice"):
        read(text.encode())
