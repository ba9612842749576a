"""The customer's key is replaced under load: no restart, and no more failures than requests in flight."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from local.environment import Pool
from local.keys import CustomerKeys
from local.simulator import SignatureForm
from local.stack import VERIFY_FUNCTION, Options, Stack
from tests.faults.proxy import Step
from tests.faults.scene import PRESIGN_FUNCTION, Ledger, processes, scene
from tests.support.phone import Phone, Reply, Ticket, new_pre_sign
from tests.support.stacks import client_of, embedded, phone_of

AT_ONCE: Final = 3
BEFORE, AFTER = 15, 45


@pytest.fixture
def rotating() -> Iterator[Stack]:
    """A stack whose keys may be replaced, with an environment for each request in flight."""
    with embedded(Options(environments=AT_ONCE)) as stack:
        yield stack


def replace_secret(stack: Stack, keys: CustomerKeys) -> None:
    client_of(stack, "secretsmanager").put_secret_value(
        SecretId=stack.secret_ids["SIGNING_SECRET_ID"],
        SecretString=json.dumps({"privateKey": keys.private_key}),
    )


def replace_at_platform(stack: Stack, keys: CustomerKeys) -> None:
    assert stack.simulator is not None
    stack.simulator.customer = replace(stack.simulator.customer, public_key=keys.public_key)


def tickets(stack: Stack, count: int) -> list[tuple[Phone, Ticket]]:
    """Make that many phones with a number of their own and a ticket."""
    phones = [phone_of(stack, sim=f"13400{index:06d}") for index in range(count)]
    return [(phone, phone.ticket()) for phone in phones]


def test_a_key_is_replaced_under_load(rotating: Stack) -> None:
    waiting = tickets(rotating, BEFORE + AFTER)
    keys = CustomerKeys.fresh()

    def verify(index: int) -> Reply:
        if index == BEFORE:
            replace_secret(rotating, keys)
            replace_at_platform(rotating, keys)
        phone, ticket = waiting[index]
        return phone.verify(phone.sim, ticket)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        first = list(threads.map(verify, range(BEFORE)))
        before = processes(rotating.functions[VERIFY_FUNCTION])
        replies = list(threads.map(verify, range(BEFORE, len(waiting))))

    assert [reply.status for reply in first] == [200] * BEFORE
    failed = [reply.json for reply in replies if reply.status != 200]
    assert 1 <= len(failed) <= AT_ONCE
    assert {(each["code"], each["resultCode"]) for each in failed} == {("platform_rejected", "130018")}
    assert before <= processes(rotating.functions[VERIFY_FUNCTION])


def test_a_signature_for_the_sdk_is_the_new_keys_once_the_secret_is_old_enough(
    rotating: Stack, tmp_path: Path
) -> None:
    function = rotating.functions[PRESIGN_FUNCTION].function
    variables = {**function.variables, "SECRET_MAX_AGE_SECONDS": "1"}
    pool = Pool(replace(function, variables=variables), 1, tmp_path / "presign.log")
    rotating.functions = {**rotating.functions, PRESIGN_FUNCTION: pool}
    keys, phone = CustomerKeys.fresh(), phone_of(rotating)
    pre_sign = new_pre_sign(phone.app_id)[3]
    old = phone.presign(pre_sign).json["sign"]
    running = processes(pool)

    replace_secret(rotating, keys)
    deadline = time.monotonic() + 20
    while (sign := phone.presign(pre_sign).json["sign"]) == old:
        assert time.monotonic() < deadline

    SignatureForm().check(keys.public_key, pre_sign, sign)
    assert processes(pool) == running
    pool.stop()


def test_while_the_platform_alone_has_the_new_key_the_secret_is_fetched_once_in_ten_seconds(
    rotating: Stack, tmp_path: Path
) -> None:
    with scene(Ledger(rotating), tmp_path) as stage:
        phone = stage.phone("13400888888")
        ready = [phone.ticket() for _ in range(4)]
        assert stage.send(phone, ready[0]).reply.status == 200
        replace_at_platform(rotating, CustomerKeys.fresh())
        fetched = stage.proxy.count(Step.SIGNING_SECRET)

        sent = [stage.send(phone, ticket) for ticket in ready[1:]]

        assert [each.reply.json["resultCode"] for each in sent] == ["130018"] * 3
        assert [each.steps.count(Step.SIGNING_SECRET) for each in sent] == [0, 1, 0]
        assert stage.proxy.count(Step.SIGNING_SECRET) == fetched + 1
