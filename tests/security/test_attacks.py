"""What a stranger can do to a number that is not his: without a SIM, with one of his own, or in between.

Time is the test's own, so that a minute of attacks is over in seconds; at full length, by hand:
`TRIES=67 python -m pytest tests/security/test_attacks.py` (three of the owner's requests for each).
What else strangers may try is tested where it is warded off: bytes without end in
`tests/unit/test_platform.py`, late duplicates of calls in `tests/integration/test_fault_table.py`,
answers that repeat the request in `tests/unit/test_verification.py`.
"""

import json
import os
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from cmpassport.aws import DynamoDBClient
from cmpassport.errors import CmpassportError
from cmpassport.members import InvalidMembersError
from tests.security.world import SILENCE, World
from tests.support.functions import secrets_of
from verify.budget import AttemptsExhaustedError
from verify.clients import ClientBudgetExhaustedError
from verify.once import TokenReusedError
from verify.submission import Submission
from verify.verification import REQUEST_SECONDS, OutOfTimeError, Verification

TRIES: Final = int(os.environ.get("TRIES", "1"))
RATES: Final = (12, 40, 84) if TRIES > 1 else (12,)
"""Requests per second."""
NUMBER: Final = "13912345678"
OWNER, STRANGER = "203.0.113.7", "198.51.100.9"
MakeWorld = Callable[..., World]
Log = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def make_world(table: DynamoDBClient, rsa_key: Callable[[int], RSAPrivateKey]) -> MakeWorld:
    return partial(World, table, secrets_of(rsa_key(1024)))


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()


def code_of(result: Verification | CmpassportError) -> str:
    return result.outcome.result_code if isinstance(result, Verification) else type(result).__name__


def number_of(index: int) -> str:
    return f"137{index:08d}"


# Who has no SIM.


@pytest.mark.parametrize(
    "earlier", [(), ("000", "", "000")], ids=["new", "here before, once with a bad token"]
)
@pytest.mark.parametrize("rate", RATES)
def test_made_up_tokens_from_one_network_at_any_rate_do_not_refuse_the_owner(
    world: World, rate: int, earlier: tuple[str, ...]
) -> None:
    owners: list[Verification | CmpassportError] = []

    def owner(number: str) -> None:
        owners.append(world.request(number, world.token("000"), OWNER, "the owner's"))

    for index in range(TRIES):
        number = number_of(index)
        for verdict in earlier:
            world.alone(number, world.token(verdict), OWNER)
        for _ in range(index and 3):  # all but the first number are under attack for a while already
            world.alone(number, world.token(), STRANGER)
        for shot in range(3 * rate):
            world.time.start(shot / rate, partial(world.request, number, world.token(), STRANGER))
        for after in (1.0, 1.7, 2.4):
            world.time.start(after, partial(owner, number))
        world.time.pass_by()

    assert [code_of(result) for result in owners] == ["000"] * 3 * TRIES
    used_up = {"AttemptsExhaustedError"} if earlier else set()  # by the owner himself
    assert world.results.keys() - used_up == {"000", "120020", "AttemptsInFlightError"}
    # Nothing is left of it when he stops; and in his own network nobody is told that a day is used up.
    later = [world.alone(number_of(index), world.token("000"), STRANGER) for index in range(TRIES)]
    assert {code_of(result) for result in later} == (used_up or {"000"})


def test_what_a_stranger_sees_does_not_depend_on_how_often_the_owner_was_here(make_world: MakeWorld) -> None:
    world = make_world(mismatches=0)
    seen: dict[int, set[Any]] = defaultdict(set)

    def guess(number: str, results: list[str]) -> None:
        results.append(code_of(world.request(number, world.token(), STRANGER)))

    for used, index in product(range(5), range(TRIES)):
        number, results = number_of(100 * used + index), list[str]()
        world.seconds_to_answer = (0.317 + 0.7 * index / TRIES,) * 2  # no multiple of the product's pauses
        for _ in range(used):
            world.alone(number, world.token("000"), OWNER)
        for _ in range(5):
            world.time.start(0, partial(guess, number, results))
        world.time.pass_by()
        with_a_sim = world.alone(number, world.token("001"), STRANGER, "a stranger's")
        assert isinstance(with_a_sim, Verification)
        seen[index].add((*sorted(results), with_a_sim.outcome.attempts_left))

    assert not [each for each in seen.values() if len(each) > 1]


def test_made_up_tokens_leave_nothing_with_the_number_however_many(
    world: World, table: DynamoDBClient
) -> None:
    def size() -> int:
        return max(len(json.dumps(item)) for item in table.scan(TableName="attempts")["Items"])

    world.description = "the words of a platform that likes to explain what it means, up to what is kept " * 2
    sizes = []
    for _ in range(4):
        for _ in range(5):
            world.alone(NUMBER, world.token(), STRANGER)
        sizes.append(size())

    assert sizes[-1] < sizes[0] + 10  # the digits of a count


def test_ever_new_networks_of_one_line_are_one_network(world: World) -> None:
    owners: list[str] = []

    def owner() -> None:
        owners.append(code_of(world.request(NUMBER, world.token("000"), OWNER, "the owner's")))

    for shot in range(36):
        world.time.start(
            shot / 12, partial(world.request, NUMBER, world.token(), f"2001:db8:7:{shot:x}::{shot}")
        )
    for after in (1.0, 1.7, 2.4):
        world.time.start(after, owner)
    world.time.pass_by()

    assert owners == ["000"] * 3


@pytest.mark.parametrize("code", ["999999", "103111", "105002", SILENCE])
def test_answers_that_may_hide_a_verdict_do_not_lock_the_owner_out(world: World, code: str) -> None:
    world.code = code
    for _ in range(12):
        world.alone(NUMBER, world.token(), STRANGER)

    assert code_of(world.alone(NUMBER, world.token("000"), OWNER)) == "000"


# Who has one.


def test_strangers_mismatches_leave_the_owner_his_attempts(world: World) -> None:
    for _ in range(7):
        world.alone(NUMBER, world.token("001"), STRANGER, "a stranger's")

    assert world.results == {"001": 3, "AttemptsExhaustedError": 4}
    for information in ("a stranger's", "the owner's"):
        assert code_of(world.alone(NUMBER, world.token("000"), OWNER, information)) == "000"


def test_a_known_device_is_not_touched_by_a_crowd_of_strangers(world: World) -> None:
    first = world.alone(NUMBER, world.token("000"), OWNER)
    assert isinstance(first, Verification)
    for index in range(10):
        world.alone(NUMBER, world.token("001"), f"198.51.100.{index}", f"stranger {index}")

    known = world.alone(NUMBER, world.token("000"), OWNER, device=first.device)

    assert code_of(world.alone(NUMBER, world.token("000"), OWNER)) == AttemptsExhaustedError.__name__
    assert code_of(known) == "000"
    for forged in (first.device and first.device[:-4] + "AAAA", "", "no device"):
        refused = world.alone(NUMBER, world.token("000"), OWNER, device=forged)
        assert code_of(refused) == AttemptsExhaustedError.__name__
    elsewhere = world.alone(number_of(1), world.token("000"), OWNER, device=first.device)
    assert isinstance(elsewhere, Verification)
    assert elsewhere.device != first.device


def test_a_known_device_is_not_touched_by_a_stranger_in_its_own_network(make_world: MakeWorld) -> None:
    world = make_world(mismatches=5)
    first = world.alone(NUMBER, world.token("000"), OWNER)
    assert isinstance(first, Verification)
    for index in range(12):
        world.alone(number_of(index), world.token("001"), OWNER, "a stranger's")
        world.alone(NUMBER, world.token("001"), OWNER, "a stranger's")

    refused = world.alone(NUMBER, world.token("000"), OWNER)
    known = world.alone(NUMBER, world.token("000"), OWNER, device=first.device)

    assert code_of(refused) == ClientBudgetExhaustedError.__name__
    assert code_of(known) == "000"


def test_one_sim_on_many_numbers_meets_a_bound_and_is_logged(make_world: MakeWorld, logged: Log) -> None:
    world = make_world(mismatches=20)

    for index in range(60):
        world.alone(number_of(index), world.token("001"), f"2001:db8:7:{index:x}::1", "a stranger's")

    assert world.results == {"001": 20, "ClientBudgetExhaustedError": 40}
    assert [line["level"] for line in logged()].count("WARNING") == 40
    assert code_of(world.alone(NUMBER, world.token("001"), OWNER)) == "001"


# What comes slowly, late or with other data.


@pytest.mark.parametrize("seconds", [0.2, 1.0, 2.85, 5.9])
def test_two_slow_services_fit_into_a_pages_patience_or_nothing_is_spent(
    world: World, logged: Log, seconds: float
) -> None:
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


@pytest.mark.parametrize(
    "other",
    [{"information": "another fingerprint"}, {"number": "13912345679"}, {"expand_params": "a%3D1"}],
    ids=["fingerprint", "number", "parameters"],
)
def test_a_verdict_is_not_repeated_to_somebody_with_other_data(world: World, other: dict[str, str]) -> None:
    token = world.token("000")
    request = {"number": NUMBER, "information": "the owner's"}
    world.alone(token=token, network=OWNER, **request)

    assert isinstance(world.alone(token=token, network=OWNER, **{**request, **other}), TokenReusedError)
    assert code_of(world.alone(token=token, network=STRANGER, **request)) == "000"
    assert world.asked[token] == 1


# What would go on to the platform under our signature.


@pytest.mark.parametrize(
    "text", ["${jndi:ldap://x/a}", "<script>alert(1)</script>", "' OR '1'='1", "a\r\nb", "号码", "a b", '"a"']
)
@pytest.mark.parametrize("member", ["token", "userInformation", "expandParams"])
def test_texts_of_attackers_are_not_passed_on(member: str, text: str) -> None:
    fields = {"phoneNum": NUMBER, "token": "VM_1", "userInformation": "a%2Bb", member: text}

    with pytest.raises(InvalidMembersError):
        Submission.from_fields(fields)
