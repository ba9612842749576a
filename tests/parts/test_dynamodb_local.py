"""Budgets under concurrency, in AWS's own DynamoDB: exact counts, from 64 threads at once."""

import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final, TypeVar

import boto3
import pytest
from botocore.config import Config

from cmpassport.aws import DynamoDBClient
from cmpassport.clock import SHANGHAI
from cmpassport.errors import RefusedError
from tests.support.functions import create_table
from tests.support.parts import dynamodb_local, required
from verify.budget import AttemptBudget, AttemptsInFlightError, Caller
from verify.clients import ClientBudget, ClientBudgetExhaustedError
from verify.codes import Ending

THREADS: Final = 64
TABLE: Final = "attempts"
NOON: Final = datetime(2026, 11, 23, 12, 0, tzinfo=SHANGHAI)
T = TypeVar("T")


@pytest.fixture(scope="module")
def client() -> Iterator[DynamoDBClient]:
    """A client of DynamoDB Local with an attempts table."""
    session = boto3.Session("local", "local", region_name="cn-north-1")
    config = Config(max_pool_connections=THREADS)
    with required(), dynamodb_local() as address:
        client = session.client("dynamodb", endpoint_url=address, config=config)
        create_table(client)
        yield client


@pytest.fixture
def key() -> str:
    """A key that no other test has."""
    return secrets.token_hex(32)


def at_once(task: Callable[[int], T]) -> list[T]:
    """Run a task in all threads; they begin together."""
    gate = threading.Barrier(THREADS)

    def run(index: int) -> T:
        gate.wait()
        return task(index)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def attempts(client: DynamoDBClient, key: str) -> set[str]:
    item = client.get_item(TableName=TABLE, Key={"id": {"S": key}}).get("Item", {})
    return set(item.get("attempts", {"SS": []})["SS"])


def caller(index: int) -> Caller:
    return Caller(f"{index:03x} network", f"sim {index}")


@pytest.mark.parametrize(
    ("limit", "networks", "granted"), [(1, THREADS, 1), (5, THREADS, 5), (63, THREADS, 63), (5, 1, 1)]
)
def test_of_reservations_at_once_exactly_the_limit_is_granted(
    client: DynamoDBClient, key: str, limit: int, networks: int, granted: int
) -> None:
    budget = AttemptBudget(client, TABLE, limit)

    def reserve(index: int) -> str | None:
        try:
            return budget.reserve(key, f"attempt {index}", caller(index % networks), NOON).attempt_id
        except AttemptsInFlightError:
            return None

    held = set(at_once(reserve)) - {None}

    assert len(held) == granted
    assert attempts(client, key) == held


def test_while_attempts_come_and_go_never_more_than_the_limit_are_held(
    client: DynamoDBClient, key: str
) -> None:
    held, most, lock = set[str](), list[int](), threading.Lock()
    budget = AttemptBudget(client, TABLE, 5)

    def come_and_go(index: int) -> int:
        granted = 0
        for turn in range(5):
            try:
                reservation = budget.reserve(key, f"attempt {index} {turn}", caller(index), NOON)
            except RefusedError:
                continue
            granted += 1
            with lock:
                held.add(reservation.attempt_id)
                most.append(len(held))
            held.remove(reservation.attempt_id)
            budget.settle(reservation, Ending.GIVEN_BACK, None, NOON)
            budget.settle(reservation, Ending.GIVEN_BACK, None, NOON)  # repeated, as when a response was lost
        return granted

    granted = sum(at_once(come_and_go))

    assert granted >= 5
    assert max(most) <= 5
    assert attempts(client, key) == set()


def test_of_a_networks_requests_at_once_exactly_the_limit_is_counted(
    client: DynamoDBClient, key: str
) -> None:
    def count(_: int) -> bool:
        try:
            ClientBudget(client, TABLE, requests=20, mismatches=0).count_request(key, NOON)
        except ClientBudgetExhaustedError:
            return False
        return True

    assert sum(at_once(count)) == 20
