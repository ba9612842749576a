"""The HTTP contract through HTTP on the local stack: its statuses and codes, once each, and its headers."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from zlib import crc32

import pytest

from local.stack import Stack
from tests.support.phone import Phone, Reply
from tests.support.stacks import phone_of

# What the contract says of each code.
CONTRACT: Final = {
    "invalid_request": (400, "fix_request"),
    "presign_rejected": (400, "fix_request"),
    "origin_not_allowed": (403, "fix_request"),
    "token_reused": (409, "retry"),
    "body_too_large": (413, "fix_request"),
    "unsupported_media_type": (415, "fix_request"),
    "token_rejected": (422, "retry"),
    "attempts_exhausted": (429, "use_other_method"),
}
Provoke = Callable[[Phone], Reply]


def _token_with_another_number(phone: Phone) -> Reply:
    ticket = phone.ticket()
    assert phone.verify(phone.sim, ticket).status == 200
    return phone.verify("13912345678", ticket)


def _used_up_there(phone: Phone) -> Reply:
    ticket = phone.ticket()
    phone.fault("resultCode", resultCode="121011")
    return phone.verify(phone.sim, ticket)


def _exhausted(phone: Phone) -> Reply:
    while (reply := phone.verify(phone.sim, phone.ticket())).status == 200:
        pass
    return reply


def _verify(**members: Any) -> Provoke:
    body = {"phoneNum": "13999994444", "token": "VM_madeup", "userInformation": "made%2Bup", **members}
    return lambda phone: phone.post("/verify", body)


def _raw(path: str, data: bytes, headers: Mapping[str, str] | None = None) -> Provoke:
    return lambda phone: phone.post(path, data=data, headers=headers)


# How each is provoked, and the platform's code that is handed on.
ROWS: Final[dict[str, tuple[Provoke, str, str | None]]] = {
    **{
        f"{path} {name}": (_raw(path, data, headers), code, None)
        for path in ("/presign", "/verify")
        for name, data, headers, code in (
            ("not JSON", b'{"preSign": ', {}, "invalid_request"),
            ("no origin", b"{}", {"Origin": ""}, "origin_not_allowed"),
            ("another origin", b"{}", {"Origin": "https://elsewhere.example"}, "origin_not_allowed"),
            ("too large", b" " * 16385, {}, "body_too_large"),
            ("text", b"{}", {"Content-Type": "text/plain"}, "unsupported_media_type"),
        )
    },
    "an unknown member": (_raw("/presign", b'{"preSign": "", "x": 1}'), "invalid_request", None),
    "no preSign": (lambda phone: phone.presign("hello"), "presign_rejected", None),
    "a foreign number": (_verify(phoneNum="+85298765432"), "invalid_request", None),
    "an unknown member beside": (_verify(sign="x"), "invalid_request", None),
    "token with another number": (_token_with_another_number, "token_reused", None),
    "made-up token": (_verify(), "token_rejected", "120020"),
    "budget used up": (_exhausted, "attempts_exhausted", None),
    "platform's own limit": (_used_up_there, "attempts_exhausted", "121011"),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_refusal_is_as_the_contract_says(name: str, stack: Stack) -> None:
    # A number of its own for each, so that none uses up another's attempts.
    phone = phone_of(stack, sim=f"139{crc32(name.encode()) % 10**8:08d}")
    provoke, code, result_code = ROWS[name]
    status, action = CONTRACT[code]

    reply = provoke(phone)

    problem = reply.json
    assert (reply.status, problem["code"], problem["action"]) == (status, code, action)  # else as described
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.headers["Cache-Control"] == "no-store"
    assert problem["requestId"] == reply.headers["apigw-requestid"]
    assert problem.get("resultCode") == result_code
    if code == "attempts_exhausted":
        assert 1 <= int(reply.headers["Retry-After"]) <= 86400
    else:
        assert "Retry-After" not in reply.headers


def test_the_page_alone_may_read_a_refusal(stack: Stack) -> None:
    own = phone_of(stack).post("/verify", {})
    another = phone_of(stack).post("/verify", {}, headers={"Origin": "https://elsewhere.example"})

    assert own.headers["access-control-allow-origin"] == stack.page
    assert "retry-after" in own.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in another.headers


def test_a_presign_is_signed_and_a_matching_number_verified_and_another_refused(stack: Stack) -> None:
    phone = phone_of(stack, sim="13700000001")

    match = phone.verify("+86 137-0000-0001", phone.ticket())
    mismatch = phone.verify("13700000003", phone.ticket())

    assert (match.status, mismatch.status) == (200, 200)
    verdict = match.json
    assert verdict.pop("msgId")
    assert verdict.pop("taskId")
    assert verdict.pop("receipt")
    assert len(verdict.pop("device")) == 44
    verified = {"verified": True, "resultCode": "000", "resultDesc": "是本机号码", "action": "login"}
    assert verdict == {**verified, "attemptsLeft": 4}
    refused = {"verified": False, "resultCode": "001", "action": "refuse"}
    assert {name: mismatch.json[name] for name in refused} == refused
