"""The customer's key is replaced under load: no restart, and no more failures than requests in flight."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from local.environment import WorkerEnvironment
from local.keys import CustomerKeys
from local.simulator import SignatureForm
from local.stack import Stack
from tests.faults.proxy import Step
from tests.faults.scene import PRESIGN_FUNCTION, Ledger, Scene, processes, scene
from tests.support.in_process import InProcess
from tests.support.phone import Reply, new_pre_sign
from tests.support.stacks import client_of

AT_ONCE: Final = 3
BEFORE, AFTER = 9, 30


@pytest.fixture(autouse=True)
def _own_keys(stack: Stack) -> Iterator[None]:
    """Give the stack its key back."""
    assert stack.simulator is not None
    customer = stack.simulator.customer
    yield
    stack.simulator.customer = customer
    replace_secret(stack, stack.keys)


def replace_secret(stack: Stack, keys: CustomerKeys) -> None:
    client_of(stack, "secretsmanager").put_secret_value(
        SecretId=stack.secret_ids["SIGNING_SECRET_ID"],
        SecretString=json.dumps({"privateKey": keys.private_key}),
    )


def replace_at_platform(stage: Scene, keys: CustomerKeys) -> None:
    stage.simulator.customer = replace(stage.simulator.customer, public_key=keys.public_key)


def test_a_key_is_replaced_under_load(stack: Stack, tmp_path: Path) -> None:
    keys = CustomerKeys.fresh()
    with scene(
        Ledger(stack), tmp_path, variables={}, runtime=WorkerEnvironment, environments=AT_ONCE
    ) as stage:
        phones = [stage.phone(f"13400{index:06d}") for index in range(BEFORE + AFTER)]
        waiting = [(phone, phone.ticket()) for phone in phones]

        def verify(index: int) -> Reply:
            if index == BEFORE:
                replace_secret(stack, keys)
                replace_at_platform(stage, keys)
            phone, ticket = waiting[index]
            return phone.verify(phone.sim, ticket)

        with ThreadPoolExecutor(AT_ONCE) as threads:
            first = list(threads.map(verify, range(BEFORE)))
            before = processes(stage.pool)
            replies = list(threads.map(verify, range(BEFORE, len(waiting))))
        after = processes(stage.pool)

    assert [reply.status for reply in first] == [200] * BEFORE
    failed = [reply.json for reply in replies if reply.status != 200]
    assert 1 <= len(failed) <= AT_ONCE
    assert {(each["code"], each["resultCode"]) for each in failed} == {("platform_rejected", "130018")}
    assert before <= after


def test_a_signature_for_the_sdk_is_the_new_keys_once_the_secret_is_old_enough(
    stack: Stack, tmp_path: Path
) -> None:
    function = stack.functions[PRESIGN_FUNCTION].function
    variables = {**function.variables, "SECRET_MAX_AGE_SECONDS": "1"}
    keys, pre_sign = CustomerKeys.fresh(), new_pre_sign(stack.app_id)[3]
    presign = InProcess(replace(function, variables=variables), tmp_path / "presign.log")
    event = {
        "headers": {"origin": stack.page, "content-type": "application/json"},
        "body": json.dumps({"preSign": pre_sign}),
    }

    def sign() -> str:
        return str(json.loads(presign.invoke(event, "id")["body"])["sign"])

    old = sign()
    replace_secret(stack, keys)
    deadline = time.monotonic() + 20
    while (new := sign()) == old:
        assert time.monotonic() < deadline

    SignatureForm().check(keys.public_key, pre_sign, new)


def test_while_the_platform_alone_has_the_new_key_the_secret_is_fetched_once_in_ten_seconds(
    stack: Stack, tmp_path: Path
) -> None:
    with scene(Ledger(stack), tmp_path) as stage:
        phone = stage.phone("13400888888")
        ready = [phone.ticket() for _ in range(4)]
        assert stage.send(phone, ready[0]).reply.status == 200
        replace_at_platform(stage, CustomerKeys.fresh())

        sent = [stage.send(phone, ticket) for ticket in ready[1:]]

        assert [each.reply.json["resultCode"] for each in sent] == ["130018"] * 3
        assert [each.steps.count(Step.SIGNING_SECRET) for each in sent] == [0, 1, 0]
