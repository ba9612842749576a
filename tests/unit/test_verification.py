"""A verification from token to verdict: for each ending the outcome, the attempt and the token."""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from cmpassport.aws import DynamoDBClient
from cmpassport.problems import Problem
from cmpassport.telemetry import flush_metrics
from tests.security.world import SILENCE, World
from tests.support.functions import APP_KEY, PEPPER, secrets_of
from verify.budget import AttemptsInFlightError
from verify.once import TokenReusedError
from verify.outcome import Outcome
from verify.platform import Limits
from verify.verification import OutOfTimeError, Verification

NUMBER: Final = "13912345678"
TOKEN: Final = "VM_PLANTEDTOKEN01"
USER_INFORMATION: Final = "planted%2Binformation%3D%3D"
ADDRESS: Final = "203.0.113.7"
STRANGER: Final = "198.51.100.9"

Log = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def world(table: DynamoDBClient, rsa_key: Callable[[int], RSAPrivateKey]) -> World:
    """A world whose platform finds a match, after two seconds."""
    world = World(table, secrets_of(rsa_key(1024)))
    world.code, world.task_id, world.seconds_to_answer = "000", "task-1", (2, 2)
    return world


def verify(world: World, token: str = TOKEN, **options: Any) -> Verification:
    """Have the number verified, which no error ends."""
    result = world.alone(NUMBER, token, ADDRESS, USER_INFORMATION, **options)
    assert isinstance(result, Verification)
    return result


def spent(table: DynamoDBClient) -> int:
    """Count the attempts that are spent, less those without a verdict."""
    counts = {"attempts": 1, "unjudged": -1}
    return sum(
        sign * len(item[name]["SS"])
        for item in table.scan(TableName="attempts")["Items"]
        for name, sign in counts.items()
        if name in item
    )


# Each ending on a path of its own: what the platform does, what the page gets, whether the attempt is spent
# (1) or unjudged (-1), and what is counted. Every code, and what is logged of it, is in the table of faults.

ENDINGS: Final[dict[str, tuple[Any, Problem | None, int, str]]] = {
    "a match": ("000", None, 1, "NumberVerified"),
    "a mismatch": ("001", None, 1, "NumberRefused"),
    "a token that is none": ("120020", Problem.TOKEN_REJECTED, 0, "PageCode"),
    "a number used up there": ("121011", Problem.ATTEMPTS_EXHAUSTED, -1, "UserCode PlatformLimitReached"),
    "a code that no table has": ("424242", Problem.PLATFORM_ERROR, -1, "PlatformCode"),
    "not the protocol": (b"<html>planted</html>", Problem.PLATFORM_ERROR, -1, "BadAnswer"),
    "silence": (SILENCE, Problem.PLATFORM_TIMEOUT, -1, "NoAnswer"),
    "a bug after it was sent": (KeyError("planted"), Problem.PLATFORM_ERROR, -1, "BadAnswer"),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_an_ending_settles_the_attempt_is_kept_and_logs_nothing_personal(
    world: World, table: DynamoDBClient, logged: Log, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    world.code, problem, settled, counted = ENDINGS[name]
    code = world.code if isinstance(world.code, str) and world.code.isdigit() else ""
    world.description = f"{NUMBER} {TOKEN} {USER_INFORMATION}"
    logged_before = list[Any]()
    world.time.start(1, lambda: logged_before.extend(logged()))

    verification = verify(world)

    outcome = verification.outcome
    assert (outcome.problem, outcome.verified, outcome.msg_id) == (problem, code == "000", "message-0")
    assert outcome.result_code == code
    assert outcome.verified_at == int(world.time.now().timestamp())
    assert outcome.attempts_left == {"000": 4, "001": 2}.get(code, 5)
    assert (verification.device is not None) is outcome.verified
    assert spent(table) == settled
    lines = logged()
    assert ("_aws" in lines[-1]) is (problem is None)
    flush_metrics()
    written = [*lines, *map(json.loads, capsys.readouterr().out.splitlines())]
    (metrics,) = (line for line in written if "_aws" in line)
    (directive,) = metrics["_aws"]["CloudWatchMetrics"]
    assert {metric["Name"] for metric in directive["Metrics"]} == {"PlatformLatency", *counted.split()}
    assert metrics["PlatformLatency"] == [2000.0]
    assert [line["msgId"] for line in lines] == ["message-0"] * 2
    assert lines[:1] == logged_before
    assert len(lines[0]["number"]) == 16
    if code:
        became = {1: "spent", 0: "given back", -1: "unjudged"}[settled]
        told = {"attempt": became, "resultCode": code, "taskId": "task-1"}
        assert {**lines[-1], **told, "number": lines[0]["number"]} == lines[-1]
    output = json.dumps(written, ensure_ascii=False) + "".join(capsys.readouterr())
    sent = world.messages[0]["body"]
    planted = {NUMBER, TOKEN, USER_INFORMATION, APP_KEY, PEPPER, "planted", sent["sign"], sent["phoneNum"]}
    assert not [text for text in planted if text in output]
    # The platform may have seen the token: another environment does not send it again either.
    world.code, world.time.seconds = "000", 60
    world.restart()
    assert verify(world) == verification
    assert len(world.messages) == 1
    assert spent(table) == settled


# What ends before the platform is asked.


def test_a_token_for_something_else_is_refused_without_a_call_or_an_attempt(
    world: World, table: DynamoDBClient
) -> None:
    """Here for another login; tests/security/test_attacks.py has another number and another SIM."""
    first = verify(world, binding="one login")

    another = world.alone(NUMBER, TOKEN, ADDRESS, USER_INFORMATION, binding="another")

    assert isinstance(another, TokenReusedError)
    assert verify(world, binding="one login") == first
    assert (len(world.messages), spent(table)) == (1, 1)


def test_while_another_networks_attempt_is_under_way_the_owner_waits(
    world: World, table: DynamoDBClient
) -> None:
    world.restart(limit=1)
    world.seconds_to_answer = (5, 5)
    updates, ends = list[None](), list[Any]()

    def the_owner_comes() -> None:
        table.meta.events.register("before-call.dynamodb.UpdateItem", lambda **_: updates.append(None))
        ends.extend((world.request(NUMBER, "VM_OWNERS", ADDRESS), world.time.seconds))

    world.time.start(1, the_owner_comes)
    world.alone(NUMBER, TOKEN, STRANGER)

    error, seconds = ends
    assert isinstance(error, AttemptsInFlightError)
    assert 1 + 2.5 < seconds <= 1 + 3
    assert len(updates) <= 15  # seven tries, seven notes that somebody waits, the stranger's settling


def test_where_too_little_time_is_left_nothing_is_sent_reserved_or_held(
    world: World, table: DynamoDBClient, logged: Log
) -> None:
    world.secret_seconds = 3

    assert isinstance(world.alone(NUMBER, TOKEN, ADDRESS, USER_INFORMATION), OutOfTimeError)

    assert (world.messages, table.scan(TableName="attempts")["Items"]) == ([], [])
    assert logged()[-1]["msgId"] == "message-0"
    assert verify(world).outcome.verified  # the secrets are there by now
    assert world.within == [10.0]  # 13 seconds less 3 for what follows


@pytest.mark.parametrize(("seconds", "asked"), [(4.9, 2), (5.1, 1)])
def test_a_place_that_comes_too_late_is_given_back(
    world: World, table: DynamoDBClient, seconds: float, asked: int
) -> None:
    verify(world, "VM_FIRST")  # the secrets are there
    late = [seconds]
    table.meta.events.register(
        "before-call.dynamodb.UpdateItem", lambda **_: world.time.sleep(late.pop()) if late else None
    )

    world.alone(NUMBER, TOKEN, ADDRESS, USER_INFORMATION)

    assert (len(world.messages), spent(table)) == (asked, asked)
    assert verify(world).outcome.verified


# What of the answer is passed on.


@pytest.mark.parametrize(
    "text",
    [
        *(NUMBER, "is 139-1234 5678", "１３９１２３４５６７８", "١٣٩١٢٣٤٥٦٧٨"),
        *("¹³⁹ ①②③ ④五六 ７８", f"token={TOKEN};", USER_INFORMATION, "a planted+information=="),
        *("139一12345678", "x" * 129, "two\nlines", "\ud800", "\x1b[31mred", "\u202ereversed"),
    ],
)
def test_what_repeats_the_request_or_is_odd_is_not_passed_on_or_logged(
    world: World, logged: Log, text: str
) -> None:
    world.description = world.task_id = text

    outcome = verify(world).outcome

    assert (outcome.task_id, outcome.result_desc) == ("", "是本机号码")  # the guide's words
    assert text not in json.dumps(logged(), ensure_ascii=False)


def test_the_platforms_words_are_passed_on(world: World) -> None:
    world.description = "号" * 128

    outcome = verify(world, "task").outcome  # too short to tell something of the request

    assert (outcome.result_desc, outcome.task_id) == ("号" * 128, "task-1")


@pytest.mark.parametrize(("code", "again"), [("130016", True), ("130018", True), ("110004", False)])
def test_a_mismatch_of_keys_alone_has_both_fetched_anew_for_the_next_request(
    world: World,
    rsa_key: Callable[[int], RSAPrivateKey],
    code: str,
    again: bool,  # noqa: FBT001 - the table's last column
) -> None:
    verify(world, "VM_1")
    world.secrets.update(secrets_of(rsa_key(2048)))
    world.code = code

    verify(world, "VM_2")
    verify(world, "VM_3")

    for made_with in ("sign", "phoneNum"):
        sizes = [len(message["body"][made_with]) for message in world.messages]
        assert sizes == [172, 172, 344 if again else 172]


# Where the table fails in the middle, and what earlier releases left in it.


@pytest.mark.parametrize(("code", "undone"), [("001", "a mismatch could"), ("120020", "an attempt could")])
def test_a_page_that_has_waited_long_is_answered_first(
    world: World, table: DynamoDBClient, logged: Log, code: str, undone: str
) -> None:
    verify(world, "VM_FIRST")
    world.code, world.seconds_to_answer, world.limits = code, (9.9, 9.9), Limits(2, 5, 10)
    table.meta.events.register(
        "before-call.dynamodb.UpdateItem", lambda **_: world.time.sleep(3.5 if world.time.seconds > 9 else 0)
    )
    began = world.time.seconds

    assert verify(world).outcome.result_code == code

    assert world.time.seconds - began < 14
    assert undone in logged()[-1]["message"]


def test_an_outcome_that_an_earlier_release_stored_is_read(world: World) -> None:
    record = verify(world).outcome.to_record()
    del record["verified_at"]

    assert Outcome.from_record(record).verified_at == 0
