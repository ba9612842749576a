"""Budgets and outcomes under concurrency, in AWS's own DynamoDB: exact counts, from 32 threads at once."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from cmpassport.clock import SHANGHAI
from verify.budget import AttemptBudget, AttemptsExhaustedError, ClientBudget, Reservation
from verify.once import OneOutcome, TokenInUseError, TokenReusedError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

THREADS: Final = 32
TABLE: Final = "attempts"
NOON: Final = datetime(2026, 11, 23, 12, 0, tzinfo=SHANGHAI)
NUMBER: Final = "a" * 64
OUTCOME: Final = {"result_code": "000"}

T = TypeVar("T")


@pytest.fixture(scope="module")
def connected(dynamodb: str) -> "DynamoDBClient":
    session = boto3.Session("local", "local", region_name="cn-north-1")
    config = Config(max_pool_connections=THREADS)
    return session.client("dynamodb", endpoint_url=dynamodb, config=config)


@pytest.fixture
def client(connected: "DynamoDBClient") -> "DynamoDBClient":
    """A client of a DynamoDB whose attempts table is empty."""
    if TABLE in connected.list_tables()["TableNames"]:
        connected.delete_table(TableName=TABLE)
    connected.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return connected


def at_once(task: Callable[[int], T]) -> list[T]:
    """Run a task in all threads; they begin together."""
    gate = threading.Barrier(THREADS)

    def run(index: int) -> T:
        gate.wait()
        return task(index)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def attempts(client: "DynamoDBClient") -> set[str]:
    item = client.get_item(TableName=TABLE, Key={"id": {"S": f"{NUMBER}#20261123"}}).get("Item", {})
    return set(item.get("attempts", {"SS": []})["SS"])


@pytest.mark.parametrize("limit", [1, 5, 31])
def test_of_reservations_at_once_exactly_the_limit_is_granted(client: "DynamoDBClient", limit: int) -> None:
    def reserve(index: int) -> Reservation | None:
        try:
            return AttemptBudget(client, TABLE, limit).reserve(NUMBER, f"attempt {index}", NOON)
        except AttemptsExhaustedError:
            return None

    granted = [reservation for reservation in at_once(reserve) if reservation]

    assert sorted(reservation.attempts_left for reservation in granted) == list(range(limit))
    assert attempts(client) == {reservation.attempt_id for reservation in granted}


def test_one_reservation_repeated_at_once_is_one_attempt(client: "DynamoDBClient") -> None:
    budget = AttemptBudget(client, TABLE, 1)

    reservations = at_once(lambda _: budget.reserve(NUMBER, "the one", NOON))

    assert {reservation.attempts_left for reservation in reservations} == {0}
    assert attempts(client) == {"the one"}


def test_while_attempts_come_and_go_never_more_than_the_limit_are_held(client: "DynamoDBClient") -> None:
    held, most, lock = set[str](), [0], threading.Lock()
    budget = AttemptBudget(client, TABLE, 5)

    def come_and_go(index: int) -> int:
        granted = 0
        for turn in range(10):
            try:
                reservation = budget.reserve(NUMBER, f"attempt {index} {turn}", NOON)
            except AttemptsExhaustedError:
                continue
            granted += 1
            with lock:
                held.add(reservation.attempt_id)
                most[0] = max(most[0], len(held))
            with lock:
                held.remove(reservation.attempt_id)
            budget.give_back(reservation)
            budget.give_back(reservation)  # repeated, as when a response was lost
        return granted

    granted = sum(at_once(come_and_go))

    assert granted >= 5
    assert 1 <= most[0] <= 5
    assert attempts(client) == set()
    assert budget.reserve(NUMBER, "afterwards", NOON).attempts_left == 4


def test_of_an_addresss_requests_at_once_exactly_the_limit_is_counted(client: "DynamoDBClient") -> None:
    def count(_: int) -> bool:
        try:
            ClientBudget(client, TABLE, 20).count("b" * 64, NOON)
        except AttemptsExhaustedError:
            return False
        return True

    assert sum(at_once(count)) == 20
    item = client.get_item(TableName=TABLE, Key={"id": {"S": f"{'b' * 64}#2026112312"}})["Item"]
    assert item["requests"] == {"N": "20"}


class Work:
    """Work that counts how often it was done, and ends when it may."""

    def __init__(self) -> None:
        self.done = 0
        self.may_end = threading.Event()
        self._lock = threading.Lock()

    def __call__(self) -> Mapping[str, Any]:
        with self._lock:
            self.done += 1
        assert self.may_end.wait(60)
        return OUTCOME


def outcome(client: "DynamoDBClient", work: Callable[[], Mapping[str, Any]], request: str = "d" * 64) -> Any:
    """Claim the token as one environment does; the outcome, or the type of the refusal."""
    told: list[Exception] = []
    once = OneOutcome(client, TABLE, told.append)
    try:
        return once.run(token_hash="c" * 64, request_hash=request, work=work)
    except (TokenInUseError, TokenReusedError) as error:
        return type(error)
    finally:
        assert not told


def test_of_claims_at_once_one_does_the_work_and_the_others_are_told_to_wait(
    client: "DynamoDBClient",
) -> None:
    work, left, lock = Work(), [THREADS], threading.Lock()

    def claim(_: int) -> Any:
        result = outcome(client, work)
        with lock:
            left[0] -= 1
            if left[0] == 1:
                work.may_end.set()  # the last is the one that works
        return result

    results = at_once(claim)

    assert work.done == 1
    assert results.count(OUTCOME) == 1
    assert results.count(TokenInUseError) == THREADS - 1
    assert outcome(client, work) == OUTCOME
    assert work.done == 1


def test_claims_at_once_of_a_known_outcome_all_get_it(client: "DynamoDBClient") -> None:
    work = Work()
    work.may_end.set()
    outcome(client, work)

    assert at_once(lambda _: outcome(client, work)) == [OUTCOME] * THREADS
    assert work.done == 1


def test_of_claims_with_different_requests_at_once_one_wins_the_token(client: "DynamoDBClient") -> None:
    work = Work()
    work.may_end.set()

    results = at_once(lambda index: outcome(client, work, f"{index:064d}"))
    again = at_once(lambda index: outcome(client, work, f"{index:064d}"))

    assert work.done == 1
    assert results.count(OUTCOME) == 1
    assert again.count(OUTCOME) == 1
    assert again.count(TokenReusedError) == THREADS - 1
    assert again.index(OUTCOME) == results.index(OUTCOME)


def test_a_failed_condition_brings_no_item_here_unlike_on_aws(client: "DynamoDBClient") -> None:
    """Powertools then reads the item with a call of its own: what the tests above have gone through."""
    client.put_item(TableName=TABLE, Item={"id": {"S": "x"}})

    with pytest.raises(ClientError) as refusal:
        client.put_item(
            TableName=TABLE,
            Item={"id": {"S": "x"}},
            ConditionExpression="attribute_not_exists(id)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )

    assert refusal.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert "Item" not in refusal.value.response
