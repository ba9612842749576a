"""No number, token, userInformation, key, preSign or signature in any output or stored item."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack import Stack
from tests.faults.scene import BRIEF, Scene, scene
from tests.support.phone import Phone, Ticket, new_pre_sign
from tests.support.planted import leaks
from tests.support.stacks import client_of

SIM = "13512348765"


@pytest.fixture
def stage(stack: Stack, tmp_path: Path) -> Iterator[Scene]:
    """A function that counts addresses too, and waits briefly."""
    variables = {**BRIEF, "CLIENT_HOURLY_LIMIT": "1000"}
    with scene(stack, tmp_path, variables=variables) as stage:
        yield stage


def secrets_of(stack: Stack) -> list[str]:
    """Every text in the stack's secrets, and each key's first line as a log would quote it."""
    client = client_of(stack, "secretsmanager")
    texts = [client.get_secret_value(SecretId=arn)["SecretString"] for arn in stack.secret_ids.values()]
    parts = [part for text in texts for part in re.findall(r"[^\s\"]{32,}", text)]
    assert len(parts) > len(texts)
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
    for fault in ("html", "wrongMsgId", "truncated", "oversized", "delay", "reset"):
        ticket = phone.ticket()
        phone.fault(fault)
        phone.verify("13512340002" if fault < "i" else "13512340003", ticket)
    for code in ("110004", "999999", "424242"):
        ticket = phone.ticket()
        phone.fault("resultCode", resultCode=code)
        phone.verify("13512340004", ticket)


def test_nothing_personal_or_secret_is_written_or_stored(
    stage: Scene, function_log: Path, tmp_path: Path
) -> None:
    stack, phone = stage.stack, stage.phone(SIM)
    client, secret = client_of(stack, "secretsmanager"), stack.secret_ids["VERIFICATION_SECRET_ID"]

    every_story(phone)
    secrets = secrets_of(stack)
    # Unreadable secrets are one more story: their content must not be quoted either.
    good = client.get_secret_value(SecretId=secret)["SecretString"]
    client.put_secret_value(SecretId=secret, SecretString='{"appKey": "planted-in-a-secret')
    phone.fault("resultCode", resultCode="130018")
    phone.verify("13512340005", phone.ticket())
    phone.verify("13512340005", phone.ticket())
    client.put_secret_value(SecretId=secret, SecretString=good)

    output = (tmp_path / "verify.log").read_text() + function_log.read_text()
    assert "the platform answered" in output
    assert "a secret could not be refreshed" in output
    assert not leaks(output, [*secrets, "planted-in-a-secret", "1351234"])
    items = json.dumps(client_of(stack, "dynamodb").scan(TableName=stack.table_name)["Items"], default=str)
    assert "attempts" in items
    hashes = [hashlib.new(name, SIM.encode()).hexdigest() for name in ("md5", "sha1", "sha256")]
    assert not leaks(items, [*secrets, "1351234", stage.phone(SIM).network, *hashes])
    assert leaks(output + SIM), "the search finds nothing"
