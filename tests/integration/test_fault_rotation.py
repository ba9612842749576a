"""The customer's key is replaced under load: no restart, and no more failures than requests in flight."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from local.environment import WorkerEnvironment
from local.keys import CustomerKeys
from local.stack import Stack
from tests.faults.scene import Ledger, Scene, processes, scene
from tests.support.phone import Reply
from tests.support.stacks import client_of

AT_ONCE: Final = 3
BEFORE, AFTER = 9, 30


@pytest.fixture(autouse=True)
def _own_keys(stack: Stack) -> Iterator[None]:
    """Restore the stack's key."""
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
