"""What a stranger can do to a number that is not his while its owner is there: many requests at once.

Time is the test's own, so that seconds of attack are over at once. What one request after the other can do
is in `tests/unit/test_verification.py` and `tests/unit/test_budget.py`.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from cmpassport.errors import CmpassportError
from tests.security.world import World
from tests.support.functions import secrets_of
from verify.verification import REQUEST_SECONDS, OutOfTimeError, Verification

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NUMBER: Final = "13912345678"
OWNER, STRANGER = "203.0.113.7", "198.51.100.9"
MakeWorld = Callable[..., World]
Log = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def make_world(table: "DynamoDBClient", rsa_key: Callable[[int], RSAPrivateKey]) -> MakeWorld:
    return partial(World, table, secrets_of(rsa_key(1024)))


def code_of(result: Verification | CmpassportError) -> str:
    return result.outcome.result_code if isinstance(result, Verification) else type(result).__name__


def test_made_up_tokens_from_one_network_do_not_refuse_the_owner(make_world: MakeWorld) -> None:
    world, rate, owners = make_world(), 12, list[str]()

    def owner() -> None:
        owners.append(code_of(world.request(NUMBER, world.token("000"), OWNER, "the owner's")))

    for shot in range(3 * rate):
        world.time.start(shot / rate, partial(world.request, NUMBER, world.token(), STRANGER))
    for after in (1.0, 1.7, 2.4):
        world.time.start(after, owner)
    world.time.pass_by()

    assert owners == ["000"] * 3
    assert world.results.keys() == {"000", "120020", "AttemptsInFlightError"}
    # Nothing is left of it when he stops; and in his own network nobody is told that a day is used up.
    assert code_of(world.alone(NUMBER, world.token("000"), STRANGER)) == "000"


def test_what_a_stranger_sees_does_not_depend_on_how_often_the_owner_was_here(make_world: MakeWorld) -> None:
    world = make_world(mismatches=0)
    world.seconds_to_answer = (0.317, 0.317)  # no multiple of the product's pauses
    seen: set[Any] = set()

    def guess(number: str, results: list[str]) -> None:
        results.append(code_of(world.request(number, world.token(), STRANGER)))

    for used in range(5):
        number, results = f"1370000000{used}", list[str]()
        for _ in range(used):
            world.alone(number, world.token("000"), OWNER)
        for _ in range(5):
            world.time.start(0, partial(guess, number, results))
        world.time.pass_by()
        with_a_sim = world.alone(number, world.token("001"), STRANGER, "a stranger's")
        assert isinstance(with_a_sim, Verification)
        seen.add((*sorted(results), with_a_sim.outcome.attempts_left))

    assert len(seen) == 1


@pytest.mark.parametrize("seconds", [0.2, 1.0, 2.85])
def test_two_slow_services_fit_into_a_pages_patience_or_nothing_is_spent(
    make_world: MakeWorld, logged: Log, seconds: float
) -> None:
    world = make_world()
    world.secret_seconds, world.seconds_to_answer = seconds, (7.9, 30)

    result = world.alone(NUMBER, world.token("000"), OWNER)

    assert world.time.seconds <= REQUEST_SECONDS
    asked = [line for line in logged() if line["message"] == "the platform is asked"]
    assert len(asked) == sum(world.asked.values())
    if isinstance(result, OutOfTimeError):
        assert not asked
        world.secret_seconds, world.seconds_to_answer = 0, (0.3, 1)
        again = world.alone(NUMBER, world.token("000"), OWNER)
        assert isinstance(again, Verification)
        assert again.outcome.attempts_left == 4
    else:
        assert isinstance(result, Verification)
        assert result.outcome.msg_id == asked[0]["msgId"]
