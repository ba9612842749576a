"""The HTTP contract through HTTP on the local stack: its statuses and codes, once each, and its headers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

import pytest

from local.stack import Stack
from tests.support.phone import Phone, Reply, Ticket, new_pre_sign
from tests.support.stacks import phone_of


@dataclass(frozen=True)
class Row:
    """One way to a refusal, and what the contract says of it."""

    name: str
    provoke: Callable[[Phone], Reply]
    status: int
    code: str
    action: str
    result_code: str | None = None
    retry_after: bool = False


MADE_UP: Final = Ticket("VM_madeup", "made%2Bup")


def _with_fault(name: str, **parameters: Any) -> Callable[[Phone], Reply]:
    def provoke(phone: Phone) -> Reply:
        ticket = phone.ticket()
        phone.fault(name, **parameters)
        return phone.verify(phone.sim, ticket)

    return provoke


def _token_with_another_number(phone: Phone) -> Reply:
    ticket = phone.ticket()
    assert phone.verify(phone.sim, ticket).status == 200
    return phone.verify("13912345678", ticket)


def _exhausted(phone: Phone) -> Reply:
    while (reply := phone.verify(phone.sim, phone.ticket())).status == 200:
        pass
    return reply


def _presign(text: str) -> Callable[[Phone], Reply]:
    return lambda phone: phone.presign(text.format(app_id=phone.app_id))


def _verify(**members: Any) -> Callable[[Phone], Reply]:
    body = {"phoneNum": "13999994444", "token": "VM_1", "userInformation": "u", **members}
    body = {name: value for name, value in body.items() if value is not None}
    return lambda phone: phone.post("/verify", body)


def _raw(path: str, data: bytes, **headers: str) -> Callable[[Phone], Reply]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda phone: phone.post(path, data=data, headers=sent)


FIX: Final = "fix_request"
OTHER: Final = "use_other_method"
ROWS: Final = [
    *(
        Row(f"{path} {name}", _raw(path, data, **headers), status, code, FIX)
        for path in ("/presign", "/verify")
        for name, data, headers, status, code in (
            ("not JSON", b'{"preSign": ', {}, 400, "invalid_request"),
            ("no origin", b"{}", {"Origin": ""}, 403, "origin_not_allowed"),
            ("another origin", b"{}", {"Origin": "https://elsewhere.example"}, 403, "origin_not_allowed"),
            ("too large", b" " * 16385, {}, 413, "body_too_large"),
            ("text", b"{}", {"Content_Type": "text/plain"}, 415, "unsupported_media_type"),
        )
    ),
    Row("an unknown member", _raw("/presign", b'{"preSign": "", "x": 1}'), 400, "invalid_request", FIX),
    Row("no preSign", _presign("hello"), 400, "presign_rejected", FIX),
    Row("a foreign number", _verify(phoneNum="+85298765432"), 400, "invalid_request", FIX),
    Row("an unknown member beside", _verify(sign="x"), 400, "invalid_request", FIX),
    Row("token with another number", _token_with_another_number, 409, "token_reused", "retry"),
    Row(
        "made-up token",
        lambda phone: phone.verify(phone.sim, MADE_UP),
        422,
        "token_rejected",
        "retry",
        "120020",
    ),
    Row("budget used up", _exhausted, 429, "attempts_exhausted", OTHER, retry_after=True),
    Row(
        "platform's own limit",
        _with_fault("resultCode", resultCode="121011"),
        429,
        "attempts_exhausted",
        OTHER,
        "121011",
        retry_after=True,
    ),
    Row(
        "a wrong key",
        _with_fault("resultCode", resultCode="130018"),
        502,
        "platform_rejected",
        OTHER,
        "130018",
    ),
    Row(
        "platform's error",
        _with_fault("resultCode", resultCode="999999"),
        502,
        "platform_error",
        "retry",
        "999999",
    ),
    Row("reset", _with_fault("reset", when="after"), 504, "platform_timeout", "retry"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_refusal_is_as_the_contract_says(row: Row, stack: Stack) -> None:
    # A number of its own for each row, so that no row uses up another's attempts.
    phone = phone_of(stack, sim=f"139{crc32(row.name.encode()) % 10**8:08d}")

    reply = row.provoke(phone)

    assert (reply.status, reply.json["code"], reply.json["action"]) == (row.status, row.code, row.action)
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.headers["Cache-Control"] == "no-store"
    problem = reply.json
    assert problem["status"] == row.status
    assert problem["type"] == f"urn:problem-type:number-verification:{row.code}"
    assert problem["title"]
    assert problem["detail"]
    assert problem["requestId"] == reply.headers["apigw-requestid"]
    assert problem.get("resultCode") == row.result_code
    assert ("Retry-After" in reply.headers) is row.retry_after
    if row.retry_after:
        assert 1 <= int(reply.headers["Retry-After"]) <= 86400


def test_the_page_alone_may_read_a_refusal(stack: Stack) -> None:
    own = phone_of(stack).post("/verify", {})
    another = phone_of(stack).post("/verify", {}, headers={"Origin": "https://elsewhere.example"})

    assert own.headers["access-control-allow-origin"] == stack.page
    assert "retry-after" in own.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in another.headers


def test_a_presign_is_signed_for_the_page(stack: Stack) -> None:
    phone = phone_of(stack)

    reply = phone.presign(new_pre_sign(phone.app_id)[3])

    assert (reply.status, set(reply.json)) == (200, {"sign"})
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["access-control-allow-origin"] == stack.page


def test_a_matching_number_is_verified_and_another_refused(stack: Stack) -> None:
    phone = phone_of(stack, sim="13700000001")

    match = phone.verify("+86 137-0000-0001", phone.ticket())
    mismatch = phone.verify("13700000003", phone.ticket())

    assert (match.status, mismatch.status) == (200, 200)
    verdict = match.json
    assert verdict.pop("msgId")
    assert verdict.pop("taskId")
    assert verdict.pop("receipt")
    assert len(verdict.pop("device")) == 44
    assert verdict == {
        "verified": True,
        "resultCode": "000",
        "resultDesc": "是本机号码",
        "action": "login",
        "attemptsLeft": 4,
    }
    refused = {"verified": False, "resultCode": "001", "action": "refuse"}
    assert {name: mismatch.json[name] for name in refused} == refused


def test_user_information_and_expand_params_go_on_verbatim(stack: Stack) -> None:
    phone = phone_of(stack, sim="13700000004")
    ticket = phone.ticket()

    phone.verify(phone.sim, ticket, expandParams="a%3D1%7Cb%3D2")

    (entry,) = [entry for entry in phone.journal() if ticket.token in str(entry) and entry["step"] == 14]
    assert f'"userInformation":"{ticket.user_information}"' in entry["request"]["body"]
    assert '"expandParams":"a%3D1%7Cb%3D2"' in entry["request"]["body"]
