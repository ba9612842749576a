"""No number, token, userInformation, key, preSign or signature in any output or stored item."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack import Options, Stack
from tests.support.phone import Phone, Ticket, new_pre_sign
from tests.support.planted import leaks
from tests.support.stacks import client_of, phone_of, start

SIM = "13512348765"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("leaks") / "functions.log"


@pytest.fixture(scope="module")
def watched(log: Path) -> Iterator[Stack]:
    """A stack that logs as much as it can, and waits briefly."""
    parameters = {"PlatformReadTimeout": "0.3", "PlatformDeadline": "1", "ClientHourlyLimit": "1000"}
    with start(Options(log=log, parameters=parameters)) as stack:
        yield stack


def secrets_of(stack: Stack) -> list[str]:
    """Every text in the stack's secrets, and each key's first line as a log would quote it."""
    client = client_of(stack, "secretsmanager")
    texts = [client.get_secret_value(SecretId=arn)["SecretString"] for arn in stack.secret_ids.values()]
    parts = [part for text in texts for part in (json.loads(text).values() if text[0] == "{" else [text])]
    return [part[:64] for part in parts] + parts


def every_story(phone: Phone) -> None:
    """Whatever may happen to a request, happens, with values that are searched for."""
    phone.presign(new_pre_sign(phone.app_id)[3])
    phone.presign(f"{phone.app_id} is no preSign of {phone.sim}")
    phone.verify(phone.sim, phone.ticket())
    phone.verify("13512340000", phone.ticket())
    phone.verify(phone.sim, Ticket("VM_madeup0000001", "made%2Bup%3D"))
    phone.verify(f"{phone.sim}9", Ticket("a token with spaces", "\x00control"))
    phone.post("/verify", data=f'{{"phoneNum": "{phone.sim}", '.encode())
    phone.post("/verify", {"phoneNum": phone.sim, phone.sim: "VM_madeup0000001"})
    ticket = phone.ticket()
    phone.verify(phone.sim, ticket)
    phone.verify("13512340001", ticket)
    for fault in ("html", "notJson", "wrongMsgId", "truncated", "oversized", "delay", "reset"):
        ticket = phone.ticket()
        phone.fault(fault)
        phone.verify("13512340002" if fault < "i" else "13512340003", ticket)
    for code in ("110004", "999999", "424242"):
        ticket = phone.ticket()
        phone.fault("resultCode", resultCode=code)
        phone.verify("13512340004", ticket)


def test_nothing_personal_or_secret_is_written_or_stored(watched: Stack, log: Path) -> None:
    phone = phone_of(watched, sim=SIM)

    every_story(phone)
    secrets = secrets_of(watched)
    # Unreadable secrets are one more story: their content must not be quoted either.
    client_of(watched, "secretsmanager").put_secret_value(
        SecretId=watched.secret_ids["VERIFICATION_SECRET_ID"], SecretString='{"appKey": "planted-in-a-secret'
    )
    phone.fault("resultCode", resultCode="130018")
    phone.verify("13512340005", phone.ticket())
    phone.verify("13512340005", phone.ticket())

    output = log.read_text()
    assert "the platform answered" in output
    assert "a secret could not be refreshed" in output
    assert not leaks(output, [*secrets, "planted-in-a-secret", "1351234"])
    items = json.dumps(
        client_of(watched, "dynamodb").scan(TableName=watched.table_name)["Items"], default=str
    )
    assert "attempts" in items
    assert not leaks(items, [*secrets, "1351234"])


def test_the_search_finds_what_is_planted(watched: Stack, log: Path) -> None:
    phone_of(watched, sim=SIM).presign("not a preSign")

    assert leaks(log.read_text() + SIM)
