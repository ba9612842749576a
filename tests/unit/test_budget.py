"""Budgets in DynamoDB: never more than the limit, never counted twice, over at Shanghai's midnight."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from cmpassport.clock import SHANGHAI
from verify.budget import (
    AttemptBudget,
    AttemptsExhaustedError,
    ClientBudget,
    ClientBudgetExhaustedError,
    Reservation,
    client_network,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NUMBER = "a" * 64
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=SHANGHAI)


@pytest.fixture
def budget(table: "DynamoDBClient") -> AttemptBudget:
    return AttemptBudget(table, "attempts", 3)


def items(table: "DynamoDBClient") -> dict[str, dict[str, Any]]:
    return {item["id"]["S"]: item for item in table.scan(TableName="attempts")["Items"]}


# Attempts.


def test_attempts_up_to_the_limit_are_reserved_and_count_down(budget: AttemptBudget) -> None:
    reservations = [budget.reserve(NUMBER, f"attempt {count}", NOON) for count in range(3)]

    assert [reservation.attempts_left for reservation in reservations] == [2, 1, 0]
    for count in range(3, 6):
        with pytest.raises(AttemptsExhaustedError):
            budget.reserve(NUMBER, f"attempt {count}", NOON)


def test_a_refused_attempt_is_not_counted(table: "DynamoDBClient", budget: AttemptBudget) -> None:
    for count in range(3):
        budget.reserve(NUMBER, f"attempt {count}", NOON)
    before = items(table)

    with pytest.raises(AttemptsExhaustedError):
        budget.reserve(NUMBER, "one more", NOON)

    assert items(table) == before


def test_an_exhausted_budget_says_when_it_is_renewed(budget: AttemptBudget) -> None:
    for count in range(3):
        budget.reserve(NUMBER, f"attempt {count}", NOON)

    with pytest.raises(AttemptsExhaustedError) as refusal:
        budget.reserve(NUMBER, "one more", NOON + timedelta(hours=11, minutes=59, seconds=57.5))

    assert refusal.value.retry_after == 3
    assert NUMBER not in str(refusal.value)


def test_each_number_has_attempts_of_its_own(budget: AttemptBudget) -> None:
    for count in range(3):
        budget.reserve(NUMBER, f"attempt {count}", NOON)

    assert budget.reserve("b" * 64, "attempt 0", NOON).attempts_left == 2


def test_a_limit_of_one_is_one(table: "DynamoDBClient") -> None:
    budget = AttemptBudget(table, "attempts", 1)

    assert budget.reserve(NUMBER, "attempt 0", NOON).attempts_left == 0
    with pytest.raises(AttemptsExhaustedError):
        budget.reserve(NUMBER, "attempt 1", NOON)


def test_a_limit_that_was_lowered_holds_at_once(table: "DynamoDBClient", budget: AttemptBudget) -> None:
    for count in range(3):
        budget.reserve(NUMBER, f"attempt {count}", NOON)

    with pytest.raises(AttemptsExhaustedError):
        AttemptBudget(table, "attempts", 2).reserve(NUMBER, "one more", NOON)
    assert AttemptBudget(table, "attempts", 4).reserve(NUMBER, "one more", NOON).attempts_left == 0


def test_reserving_the_same_attempt_again_counts_once(budget: AttemptBudget) -> None:
    first = budget.reserve(NUMBER, "attempt 0", NOON)

    assert budget.reserve(NUMBER, "attempt 0", NOON) == first
    assert budget.reserve(NUMBER, "attempt 1", NOON).attempts_left == 1


def test_the_last_attempt_may_be_reserved_again_when_its_response_was_lost(budget: AttemptBudget) -> None:
    for count in range(3):
        budget.reserve(NUMBER, f"attempt {count}", NOON)

    assert budget.reserve(NUMBER, "attempt 2", NOON).attempts_left == 0


def test_an_attempt_given_back_may_be_reserved_anew(budget: AttemptBudget) -> None:
    reservations = [budget.reserve(NUMBER, f"attempt {count}", NOON) for count in range(3)]

    budget.give_back(reservations[1])

    assert budget.reserve(NUMBER, "attempt 3", NOON).attempts_left == 0
    with pytest.raises(AttemptsExhaustedError):
        budget.reserve(NUMBER, "attempt 4", NOON)


def test_an_attempt_is_given_back_once_however_often_it_is_done(budget: AttemptBudget) -> None:
    first = budget.reserve(NUMBER, "attempt 0", NOON)
    budget.reserve(NUMBER, "attempt 1", NOON)

    for _ in range(3):
        budget.give_back(first)

    assert budget.reserve(NUMBER, "attempt 2", NOON).attempts_left == 1


def test_the_only_attempt_may_be_given_back(budget: AttemptBudget) -> None:
    budget.give_back(budget.reserve(NUMBER, "attempt 0", NOON))

    assert budget.reserve(NUMBER, "attempt 1", NOON).attempts_left == 2


def test_an_attempt_that_was_never_reserved_gives_nothing_back(budget: AttemptBudget) -> None:
    reservation = budget.reserve(NUMBER, "attempt 0", NOON)

    budget.give_back(Reservation(reservation.key, "another", 0))

    assert budget.reserve(NUMBER, "attempt 1", NOON).attempts_left == 1


def test_an_attempt_is_given_back_to_the_day_it_was_taken_from(budget: AttemptBudget) -> None:
    late = datetime(2026, 11, 23, 23, 59, 59, tzinfo=SHANGHAI)
    reservation = budget.reserve(NUMBER, "attempt 0", late)
    budget.reserve(NUMBER, "attempt 1", late + timedelta(seconds=2))

    budget.give_back(reservation)

    assert budget.reserve(NUMBER, "attempt 2", late).attempts_left == 2
    assert budget.reserve(NUMBER, "attempt 3", late + timedelta(seconds=2)).attempts_left == 1


@pytest.mark.parametrize("zone", [SHANGHAI, UTC])
def test_the_day_begins_at_midnight_in_shanghai(budget: AttemptBudget, zone: Any) -> None:
    midnight = datetime(2026, 11, 24, tzinfo=SHANGHAI).astimezone(zone)
    for count in range(3):
        budget.reserve(NUMBER, f"attempt {count}", midnight - timedelta(milliseconds=1))
    with pytest.raises(AttemptsExhaustedError):
        budget.reserve(NUMBER, "one more", midnight - timedelta(milliseconds=1))

    assert budget.reserve(NUMBER, "a new day's", midnight).attempts_left == 2


def test_what_is_stored_is_hash_day_attempts_and_time_to_live(
    table: "DynamoDBClient", budget: AttemptBudget
) -> None:
    budget.reserve(NUMBER, "attempt 0", NOON)
    budget.reserve(NUMBER, "attempt 1", NOON + timedelta(minutes=1))

    (item,) = items(table).values()
    assert item == {
        "id": {"S": f"{NUMBER}#20261123"},
        "attempts": {"SS": ["attempt 0", "attempt 1"]},
        "expiration": {"N": str(int((NOON + timedelta(days=2, minutes=1)).timestamp()))},
    }


def test_an_item_outlives_its_day_in_every_zone(table: "DynamoDBClient", budget: AttemptBudget) -> None:
    begin = datetime(2026, 11, 23, tzinfo=SHANGHAI)
    budget.reserve(NUMBER, "attempt 0", begin)

    (item,) = items(table).values()
    assert int(item["expiration"]["N"]) >= (begin + timedelta(days=1)).timestamp()


def test_another_error_of_dynamodb_is_not_taken_for_an_exhausted_budget(table: "DynamoDBClient") -> None:
    budget = AttemptBudget(table, "no-such-table", 3)

    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        budget.reserve(NUMBER, "attempt 0", NOON)


# Clients.


def test_a_clients_requests_are_counted_up_to_the_limit(table: "DynamoDBClient") -> None:
    budget = ClientBudget(table, "attempts", 2)
    budget.count(NUMBER, NOON)
    budget.count(NUMBER, NOON + timedelta(minutes=30))

    with pytest.raises(ClientBudgetExhaustedError) as refusal:
        budget.count(NUMBER, NOON + timedelta(minutes=30))

    assert refusal.value.retry_after == 1800


@pytest.mark.parametrize(
    ("seconds", "retry_after"), [(0, 3600), (0.5, 3600), (1, 3599), (3599, 1), (3599.9, 1)]
)
def test_a_client_waits_to_the_end_of_the_hour(
    table: "DynamoDBClient", seconds: float, retry_after: int
) -> None:
    budget = ClientBudget(table, "attempts", 1)
    budget.count(NUMBER, NOON)

    with pytest.raises(ClientBudgetExhaustedError) as refusal:
        budget.count(NUMBER, NOON + timedelta(seconds=seconds))

    assert refusal.value.retry_after == retry_after


def test_the_next_hour_begins_anew(table: "DynamoDBClient") -> None:
    budget = ClientBudget(table, "attempts", 1)
    budget.count(NUMBER, NOON - timedelta(milliseconds=1))

    budget.count(NUMBER, NOON)

    assert set(items(table)) == {f"{NUMBER}#2026112311", f"{NUMBER}#2026112312"}


def test_each_client_has_requests_of_its_own(table: "DynamoDBClient") -> None:
    budget = ClientBudget(table, "attempts", 1)

    budget.count(NUMBER, NOON)
    budget.count("b" * 64, NOON)


def test_a_clients_item_is_hash_hour_count_and_time_to_live(table: "DynamoDBClient") -> None:
    ClientBudget(table, "attempts", 2).count(NUMBER, NOON)

    (item,) = items(table).values()
    assert item == {
        "id": {"S": f"{NUMBER}#2026112312"},
        "requests": {"N": "1"},
        "expiration": {"N": str(int((NOON + timedelta(days=2)).timestamp()))},
    }


def test_a_clients_error_of_dynamodb_is_passed_on(table: "DynamoDBClient") -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        ClientBudget(table, "no-such-table", 1).count(NUMBER, NOON)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("", ""),
        ("no:address", "no:address"),
    ],
)
def test_an_ipv6_subscriber_is_one_client(address: str, network: str) -> None:
    assert client_network(address) == network
