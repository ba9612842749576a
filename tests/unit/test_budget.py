"""The budget of a number: never above the limit, never counted twice, and its owner's."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from botocore.exceptions import ReadTimeoutError

from cmpassport.aws import DynamoDBClient
from cmpassport.clock import SHANGHAI
from verify.budget import (
    FLIGHT_SECONDS,
    UNJUDGED_LIMIT,
    UNJUDGED_SHARE,
    AttemptBudget,
    AttemptsExhaustedError,
    AttemptsInFlightError,
    Caller,
    Reservation,
    day_key,
)
from verify.codes import Ending

NUMBER: Final = "a" * 64
NOON: Final = datetime(2026, 11, 23, 12, 0, tzinfo=SHANGHAI)
KEY: Final = f"{NUMBER}#20261123"
OWNER: Final = Caller("owner's network", "owner's sim")
STRANGER: Final = Caller("stranger's network", "stranger's sim")
THIRD: Final = Caller("a third network", "sim")
LIMIT: Final = 5


class Day:
    """The budget of one number on one day, and what happens to it."""

    def __init__(self, table: DynamoDBClient, limit: int) -> None:
        self.table = table
        self.budget = AttemptBudget(table, "attempts", limit)
        self.now = NOON
        self.count = 0

    def reserve(self, caller: Caller = OWNER, attempt_id: str = "", **options: bool) -> Reservation:
        self.count += 1
        return self.budget.reserve(KEY, attempt_id or f"attempt {self.count}", caller, self.now, **options)

    def attempt(self, ending: Ending, caller: Caller = OWNER, outcome: Any = None) -> Reservation:
        reservation = self.reserve(caller)
        self.budget.settle(reservation, ending, outcome, self.now)
        return reservation

    def item(self) -> dict[str, Any]:
        return self.table.get_item(TableName="attempts", Key={"id": {"S": KEY}})["Item"]


@pytest.fixture
def day(table: DynamoDBClient) -> Day:
    return Day(table, LIMIT)


# The limit.


def test_matches_up_to_the_limit_count_down(day: Day) -> None:
    left = [day.attempt(Ending.MATCH).attempts_left for _ in range(LIMIT)]

    assert left == [4, 3, 2, 1, 0]
    before = day.item()
    with pytest.raises(AttemptsExhaustedError) as refusal:
        day.reserve()
    assert day.item() == before
    assert int(before["expiration"]["N"]) == int((NOON + timedelta(days=2)).timestamp())
    assert refusal.value.retry_after == 12 * 3600
    assert NUMBER not in str(refusal.value)


def test_attempts_in_flight_count_toward_the_limit(day: Day) -> None:
    for network in range(LIMIT):
        day.reserve(Caller(f"{network} network", "sim"))

    with pytest.raises(AttemptsInFlightError) as refusal:
        day.reserve()

    assert refusal.value.retry_after == FLIGHT_SECONDS
    assert refusal.value.worth_waiting


def test_the_day_is_part_of_the_key_and_shanghais() -> None:
    before = datetime(2026, 11, 23, 15, 59, 59, 999_999, tzinfo=UTC)

    assert day_key(NUMBER, before) == f"{NUMBER}#20261123"
    assert day_key(NUMBER, before + timedelta(microseconds=1)) == f"{NUMBER}#20261124"


@pytest.mark.parametrize(
    ("ending", "attempts", "unjudged"),
    [(Ending.MATCH, 1, 0), (Ending.MISMATCH, 1, 0), (Ending.UNJUDGED, 0, 1), (Ending.GIVEN_BACK, 0, 0)],
)
def test_an_ending_counts_once_however_often_it_is_written(
    day: Day, ending: Ending, attempts: int, unjudged: int
) -> None:
    reservation = day.reserve()

    for _ in range(2):
        day.budget.settle(reservation, ending, {"result_code": "号"}, day.now)

    item = day.item()
    sizes = {name: len(item.get(name, {}).get("SS", ())) for name in ("attempts", "unjudged")}
    assert sizes == {"attempts": attempts, "unjudged": unjudged}
    assert not [name for name in item if name.startswith(("flight", "slot"))]
    assert day.budget.outcome(KEY, "attempt 1") == {"result_code": "号"}
    assert day.budget.outcome(KEY, "attempt 2") is None
    assert day.budget.outcome("another key", "attempt 1") is None


# Once, however often botocore sends it.


def test_a_reservation_that_is_sent_twice_counts_once(table: DynamoDBClient) -> None:
    day = Day(table, 1)
    first, second = day.reserve(attempt_id="same"), day.reserve(attempt_id="same")

    assert first == second
    assert day.item()["attempts"]["SS"] == ["same"]


@pytest.mark.parametrize("ending", Ending)
def test_a_reservation_that_arrives_once_more_does_not_fly_again(day: Day, ending: Ending) -> None:
    reserved, reservation = day.now, day.reserve()
    day.now += timedelta(milliseconds=1)
    day.budget.settle(reservation, ending, {}, day.now)
    for _ in range(2):
        day.attempt(Ending.GIVEN_BACK)
    settled, day.now = day.item(), reserved

    with pytest.raises(AttemptsInFlightError):
        day.reserve(attempt_id=reservation.attempt_id)

    assert day.item().items() >= settled.items()
    assert "slot owner's network" not in day.item()


def test_an_environment_whose_clock_is_behind_waits_for_what_one_ahead_gave_back(day: Day) -> None:
    day.now += timedelta(milliseconds=200)
    day.attempt(Ending.GIVEN_BACK)
    day.now -= timedelta(milliseconds=100)

    with pytest.raises(AttemptsInFlightError) as refusal:
        day.reserve()

    assert refusal.value.worth_waiting
    day.now += timedelta(milliseconds=100)
    day.reserve()


def test_a_settlement_after_its_place_has_lapsed_leaves_the_next_attempt_its_place(day: Day) -> None:
    late = day.reserve()
    day.now += timedelta(seconds=FLIGHT_SECONDS)
    day.reserve()

    day.budget.settle(late, Ending.MATCH, {}, day.now)

    with pytest.raises(AttemptsInFlightError):
        day.reserve()
    assert len(day.item()["attempts"]["SS"]) == 2


def test_flights_that_lapsed_by_the_hundred_make_place_in_as_many_calls_as_it_takes(
    table: DynamoDBClient,
) -> None:
    day = Day(table, 60)
    for index in range(60):
        day.reserve(Caller(f"network {index}", "sim"))
    day.now += timedelta(seconds=FLIGHT_SECONDS)

    with pytest.raises(AttemptsExhaustedError):
        day.reserve()

    assert [len(day.item()[name]["SS"]) for name in ("attempts", "unjudged")] == [10, 50]


def test_a_settlement_that_arrives_once_more_leaves_the_next_attempt_its_place(day: Day) -> None:
    first = day.attempt(Ending.GIVEN_BACK)
    day.reserve()

    day.budget.settle(first, Ending.GIVEN_BACK, None, day.now)

    with pytest.raises(AttemptsInFlightError):
        day.reserve()


# What one network may take.


@pytest.mark.parametrize(("rejections", "worth_waiting"), [(2, True), (3, False)])
def test_one_network_has_one_attempt_in_flight_which_is_waited_for_unless_many_come_to_nothing(
    day: Day,
    rejections: int,
    worth_waiting: bool,  # noqa: FBT001 - the table's last column
) -> None:
    for _ in range(rejections):
        day.attempt(Ending.GIVEN_BACK, STRANGER)
    day.reserve(STRANGER)

    with pytest.raises(AttemptsInFlightError) as refusal:
        day.reserve(STRANGER)

    assert refusal.value.retry_after == FLIGHT_SECONDS
    assert refusal.value.worth_waiting is worth_waiting
    for other in (OWNER, Caller(f"{STRANGER.network}, another of its lane", "sim")):
        assert day.reserve(other).attempts_left == 4


def test_whose_attempt_came_to_nothing_since_somebody_waits_lets_him_go_first(table: DynamoDBClient) -> None:
    day = Day(table, 1)
    for caller in [OWNER] * 3 + [STRANGER] * 3:
        day.attempt(Ending.GIVEN_BACK, caller)
    flight = day.reserve(STRANGER)
    for _ in range(2):
        day.now += timedelta(milliseconds=500)
        with pytest.raises(AttemptsInFlightError) as refusal:
            day.reserve(OWNER, last=False, waits="waiting" in day.item())
        assert refusal.value.worth_waiting
    with pytest.raises(AttemptsInFlightError) as refusal:
        day.reserve(OWNER)  # another request of his network, of which one waits
    assert not refusal.value.worth_waiting

    day.budget.settle(flight, Ending.UNJUDGED, None, day.now)

    with pytest.raises(AttemptsInFlightError) as refusal:
        day.reserve(STRANGER)
    assert (refusal.value.retry_after, refusal.value.worth_waiting) == (16, False)  # longer for the second
    day.budget.settle(day.reserve(THIRD), Ending.GIVEN_BACK, None, day.now)  # had none since
    with pytest.raises(AttemptsInFlightError):
        day.reserve(THIRD)
    day.budget.settle(day.reserve(OWNER), Ending.GIVEN_BACK, None, day.now)
    day.reserve(STRANGER)


def test_who_is_sent_away_has_the_place_when_he_comes_again_as_he_was_told(table: DynamoDBClient) -> None:
    day = Day(table, 1)
    flight = day.reserve(STRANGER)
    with pytest.raises(AttemptsInFlightError) as refusal:
        day.reserve(OWNER)
    day.now += timedelta(seconds=1)
    with pytest.raises(AttemptsInFlightError):
        day.reserve(THIRD, last=False)  # which takes nothing of it away
    day.budget.settle(flight, Ending.GIVEN_BACK, None, day.now)
    day.now += timedelta(seconds=(refusal.value.retry_after or 0) - 1)

    with pytest.raises(AttemptsInFlightError) as refusal:
        day.reserve(STRANGER)

    assert refusal.value.retry_after == 2

    def fail(params: dict[str, Any], **_: Any) -> None:
        if b"REMOVE waiting" in params["body"]:
            raise ReadTimeoutError(endpoint_url="")

    day.table.meta.events.register("before-call.dynamodb.UpdateItem", fail)
    day.reserve(OWNER)


@pytest.mark.parametrize(("limit", "of_network", "of_sim"), [(2, 1, 1), (5, 3, 4)])
def test_mismatches_of_one_network_or_sim_leave_some_of_the_attempts(
    table: DynamoDBClient, limit: int, of_network: int, of_sim: int
) -> None:
    day = Day(table, limit)

    left = [day.attempt(Ending.MISMATCH, STRANGER).mismatches_left for _ in range(of_network)]

    assert left == list(range(of_network - 1, -1, -1))
    with pytest.raises(AttemptsExhaustedError):
        day.reserve(Caller(STRANGER.network, "another sim"))
    for _ in range(of_sim - of_network):
        elsewhere = day.attempt(Ending.MISMATCH, Caller("another network", STRANGER.fingerprint))
        assert elsewhere.mismatches_left == of_network - 1
    with pytest.raises(AttemptsExhaustedError):
        day.reserve(Caller("a third network", STRANGER.fingerprint))
    day.attempt(Ending.MATCH, OWNER)


def test_attempts_without_a_verdict_are_bounded_per_network_and_in_all(day: Day) -> None:
    for _ in range(UNJUDGED_SHARE):
        day.attempt(Ending.UNJUDGED, STRANGER)
    with pytest.raises(AttemptsExhaustedError):
        day.reserve(STRANGER)

    for _ in range(UNJUDGED_LIMIT - UNJUDGED_SHARE):
        day.attempt(Ending.UNJUDGED, OWNER)

    with pytest.raises(AttemptsExhaustedError):
        day.reserve(THIRD)


def test_what_is_left_is_the_callers_own(day: Day) -> None:
    day.attempt(Ending.MATCH, STRANGER)
    day.attempt(Ending.MISMATCH, STRANGER)

    assert day.attempt(Ending.MATCH, OWNER).attempts_left == 4
    assert day.attempt(Ending.MATCH, STRANGER).attempts_left == 2


# Functions that died.


def test_a_flight_that_has_lapsed_makes_place_and_is_unjudged_whoever_clears_it(
    table: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = Day(table, 1)
    day.reserve(STRANGER)
    day.now += timedelta(seconds=FLIGHT_SECONDS)
    clear = day.budget._clear  # noqa: SLF001 - once by another environment, first

    def clear_twice(*args: Any) -> None:
        clear(*args)
        clear(*args)

    monkeypatch.setattr(day.budget, "_clear", clear_twice)

    assert day.reserve(OWNER).attempts_left == 0
    assert day.item()["attempts"]["SS"] == ["attempt 2"]
    assert day.item()["unjudged"]["SS"] == ["attempt 1"]


def test_a_flight_is_kept_to_its_last_millisecond(table: DynamoDBClient) -> None:
    day = Day(table, 1)
    day.reserve(STRANGER)
    day.now += timedelta(seconds=FLIGHT_SECONDS, milliseconds=-1)

    with pytest.raises(AttemptsInFlightError) as refusal:
        day.reserve(OWNER)

    assert refusal.value.retry_after == 1
