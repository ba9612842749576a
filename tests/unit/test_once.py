"""One token, one outcome: stored, given again, and given even where storing fails."""

import hashlib
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from verify.once import OneOutcome, TokenInUseError, TokenReusedError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TOKEN = "c" * 64
NUMBER = "d" * 64
OUTCOME = {"problem": None, "result_code": "000", "attempts_left": 4}


class Work:
    """Work that counts how often it was done."""

    def __init__(self, ending: Mapping[str, Any] | BaseException = OUTCOME) -> None:
        self.ending = ending
        self.done = 0

    def __call__(self) -> Mapping[str, Any]:
        self.done += 1
        if isinstance(self.ending, BaseException):
            raise self.ending
        return self.ending


class Store:
    """The outcomes in a table, with what they told when one could not be stored."""

    def __init__(self, client: "DynamoDBClient") -> None:
        self.client = client
        self.told: list[Exception] = []
        self.once = OneOutcome(client, "attempts", self.told.append)

    def run(
        self, work: Callable[[], Mapping[str, Any]], token: str = TOKEN, request: str = NUMBER
    ) -> Mapping[str, Any]:
        return self.once.run(token_hash=token, request_hash=request, work=work)

    def break_down(self, operation: str) -> None:
        """Have one of DynamoDB's operations fail from now on."""

        def fail(**_: Any) -> None:
            raise ConnectionError("planted")

        self.client.meta.events.register(f"before-call.dynamodb.{operation}", fail)

    def items(self) -> list[dict[str, Any]]:
        return self.client.scan(TableName="attempts")["Items"]


@pytest.fixture
def store(table: "DynamoDBClient") -> Store:
    return Store(table)


def test_an_outcome_is_given_again_without_the_work(store: Store) -> None:
    work = Work()

    assert [store.run(work) for _ in range(3)] == [OUTCOME] * 3
    assert work.done == 1


def test_an_outcome_is_given_again_by_another_environment(store: Store, table: "DynamoDBClient") -> None:
    store.run(Work())
    other = Work()

    assert Store(table).run(other) == OUTCOME
    assert other.done == 0


def test_each_token_has_an_outcome_of_its_own(store: Store) -> None:
    store.run(Work())
    other = Work({"result_code": "001"})

    assert store.run(other, token="e" * 64) == {"result_code": "001"}


def test_work_that_fails_stores_nothing_and_may_be_done_again(store: Store) -> None:
    error = LookupError("the work's own")
    with pytest.raises(LookupError) as raised:
        store.run(Work(error))
    assert raised.value is error
    assert store.items() == []

    assert store.run(Work()) == OUTCOME


def test_after_work_that_failed_the_token_may_come_with_another_number(store: Store) -> None:
    with pytest.raises(LookupError):
        store.run(Work(LookupError()))

    assert store.run(Work(), request="e" * 64) == OUTCOME


def test_a_token_with_another_number_is_refused(store: Store) -> None:
    store.run(Work())
    other = Work()

    with pytest.raises(TokenReusedError):
        store.run(other, request="e" * 64)

    assert other.done == 0
    assert store.run(other) == OUTCOME


def test_a_token_that_is_being_worked_on_is_in_use_and_no_other_numbers(store: Store) -> None:
    other = Work()

    def work() -> Mapping[str, Any]:
        with pytest.raises(TokenInUseError):
            store.run(other)
        with pytest.raises(TokenReusedError):
            store.run(other, request="e" * 64)
        return OUTCOME

    assert store.run(work) == OUTCOME
    assert other.done == 0
    assert store.run(other) == OUTCOME


def test_a_crash_holds_the_token_past_its_minute(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt):
        store.run(Work(KeyboardInterrupt()))  # as a function dies: nothing is cleaned up

    with pytest.raises(TokenInUseError):
        store.run(Work())

    (item,) = store.items()
    held = int(item["in_progress_expiration"]["N"]) / 1000 - time.time()
    assert 60 < held <= 120


def test_when_the_hold_is_over_the_token_may_be_worked_on_again(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt):
        store.run(Work(KeyboardInterrupt()))
    (item,) = store.items()
    store.client.put_item(TableName="attempts", Item={**item, "in_progress_expiration": {"N": "1000"}})

    assert store.run(Work()) == OUTCOME


def test_a_claim_whose_answer_was_lost_is_taken_for_no_other(store: Store) -> None:
    def lose(attempts: int, **_: Any) -> float | None:
        return 0.0 if attempts == 1 else None  # the same request is sent again at once

    store.client.meta.events.register("needs-retry.dynamodb.PutItem", lose)  # type: ignore[arg-type]
    work = Work()

    assert store.run(work) == OUTCOME
    assert work.done == 1


def test_a_claim_that_arrives_late_does_not_take_the_place_of_the_outcome(store: Store) -> None:
    sent: list[dict[str, Any]] = []
    store.client.meta.events.register(
        "before-parameter-build.dynamodb.PutItem",
        lambda params, **_: sent.append(deepcopy(params)),
    )
    store.run(Work())

    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        boto3.client("dynamodb").put_item(**sent[0])  # the very request, once more

    assert store.run(Work({"result_code": "120020"})) == OUTCOME


def test_a_claim_is_not_anothers(store: Store, table: "DynamoDBClient") -> None:
    with pytest.raises(KeyboardInterrupt):
        store.run(Work(KeyboardInterrupt()))

    with pytest.raises(TokenInUseError):
        Store(table).run(Work())


def test_an_outcome_is_kept_for_five_minutes(store: Store) -> None:
    store.run(Work())

    (item,) = store.items()
    assert 290 < int(item["expiration"]["N"]) - time.time() <= 300


def test_an_outcome_past_its_time_is_not_given_though_the_item_is_still_there(store: Store) -> None:
    store.run(Work())
    (item,) = store.items()
    store.client.put_item(TableName="attempts", Item={**item, "expiration": {"N": "1000"}})
    work = Work({"result_code": "120020"})

    assert store.run(work) == {"result_code": "120020"}
    assert work.done == 1


def test_an_outcome_that_cannot_be_stored_is_given_and_told(store: Store) -> None:
    store.break_down("UpdateItem")

    assert store.run(Work()) == OUTCOME
    assert [type(error) for error in store.told] == [ConnectionError]


def test_an_outcome_that_could_not_be_stored_leaves_the_token_held(
    store: Store, table: "DynamoDBClient"
) -> None:
    store.break_down("UpdateItem")
    store.run(Work())
    work = Work()

    with pytest.raises(TokenInUseError):
        store.run(work)

    assert work.done == 0
    assert [item["status"] for item in table.scan(TableName="attempts")["Items"]] == [{"S": "INPROGRESS"}]


def test_the_works_own_error_counts_where_the_record_cannot_be_deleted(store: Store) -> None:
    store.break_down("DeleteItem")
    error = LookupError("the work's own")

    with pytest.raises(LookupError) as raised:
        store.run(Work(error))

    assert raised.value is error
    assert raised.value.__suppress_context__
    assert [type(told) for told in store.told] == [ConnectionError]


def test_without_a_table_no_work_is_done(store: Store) -> None:
    store.break_down("PutItem")
    work = Work()

    with pytest.raises(ConnectionError):
        store.run(work)

    assert work.done == 0
    assert store.told == []


def test_what_is_stored_is_known(store: Store) -> None:
    seen: list[dict[str, Any]] = []

    def work() -> Mapping[str, Any]:
        seen.extend(store.items())
        return OUTCOME

    store.run(work)

    (before,), (after,) = seen, store.items()
    claim = {"id", "claimant", "expiration", "in_progress_expiration", "status", "validation"}
    assert set(before) == claim
    assert set(after) == claim | {"data"}
    assert after["id"]["S"].startswith("token#")


def test_hashes_that_are_stored_are_hashes_of_keyed_hashes(store: Store) -> None:
    store.run(Work())

    (item,) = store.items()
    # Powertools hashes what it is handed, as JSON: what it was handed must have been the keyed hash.
    assert item["id"]["S"] == "token#" + hashlib.md5(f'"{TOKEN}"'.encode()).hexdigest()  # noqa: S324 - Powertools'
    assert item["validation"]["S"] == hashlib.md5(f'"{NUMBER}"'.encode()).hexdigest()  # noqa: S324 - Powertools'
