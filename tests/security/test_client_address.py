"""The client's address is the one that API Gateway saw, whatever the client says of itself."""

from collections.abc import Iterator

import pytest

from local.stack import Options, Stack
from tests.support.phone import Ticket
from tests.support.stacks import embedded, phone_of

MADE_UP = Ticket("VM_madeup", "made%2Bup")


@pytest.fixture(scope="module")
def limited() -> Iterator[Stack]:
    """A stack that takes two verifications an hour from an address."""
    options = Options(parameters={"ClientHourlyLimit": "2"}, warm=frozenset({"VerifyFunction"}))
    with embedded(options) as stack:
        yield stack


def test_a_spoofed_address_gets_no_budget_of_its_own(limited: Stack) -> None:
    phone = phone_of(limited)
    body = {"phoneNum": "13644445555", "token": MADE_UP.token, "userInformation": MADE_UP.user_information}

    replies = [
        phone.post("/verify", body, headers={name: f"198.51.100.{number}"})
        for number, name in enumerate(("X-Forwarded-For", "X-Real-Ip", "Forwarded", "True-Client-Ip", "Via"))
    ]

    assert [reply.status for reply in replies] == [422, 422, 429, 429, 429]
    assert replies[-1].json["code"] == "too_many_requests"
