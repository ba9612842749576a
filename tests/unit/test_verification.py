"""A verification from token to verdict: for each ending the outcome, the attempt and the token."""

import json
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from cmpassport.problems import Problem
from cmpassport.telemetry import metrics
from tests.support.fakes import FakeClock
from tests.support.functions import APP_KEY, PEPPER, VERIFY_ENVIRONMENT, secrets_of, signing_secret
from verify.budget import AttemptBudget, AttemptsInFlightError
from verify.clients import ClientBudget
from verify.devices import Devices
from verify.keyring import Keyring
from verify.once import TokenReusedError, Tokens
from verify.outcome import Outcome
from verify.platform import Limits, Platform, PlatformSilentError
from verify.settings import Settings
from verify.submission import Submission
from verify.verification import Clock, OutOfTimeError, Verification, Verifier

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NUMBER: Final = "13912345678"
OTHER_NUMBER: Final = "13912345679"
TOKEN: Final = "VM_PLANTEDTOKEN01"
USER_INFORMATION: Final = "planted%2Binformation%3D%3D"
ADDRESS: Final = "203.0.113.7"
STRANGER: Final = "198.51.100.9"
LIMIT: Final = 5

Log = Callable[[], list[dict[str, Any]]]


class FakePlatform(Platform):
    """A platform in memory: answers with a code, or ends otherwise; remembers what it was asked."""

    seconds = 1.0

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1/verify", Limits(1, 1, 1), lambda: 0.0)
        self.ending: str | bytes | Exception = "000"
        self.desc = "its words"
        self.task_id = "task-1"
        self.asked: list[dict[str, Any]] = []
        self.within: list[float | None] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def ask(self, request: bytes, *, within: float | None = None) -> bytes:
        self.within.append(within)
        message = json.loads(request)
        self.asked.append(message)
        self.meanwhile()
        if isinstance(self.ending, Exception):
            raise self.ending
        if isinstance(self.ending, bytes):
            return self.ending
        header = {name: message["header"][name] for name in ("msgId", "timestamp", "appId")}
        answer = {"taskId": self.task_id, "resultDesc": self.desc}
        return json.dumps({"header": header | {"resultCode": self.ending}, "body": answer}).encode()


class House:
    """Everything that a verification goes through, real but for platform, clock and secrets."""

    def __init__(self, table: "DynamoDBClient", clock: FakeClock, secrets: dict[str, str]) -> None:
        self.table = table
        self.clock = clock
        self.secrets = secrets
        self.fetched: list[str] = []
        self.fetch_seconds = 0.0
        self.platform = FakePlatform()
        self.settings = Settings.from_environment(VERIFY_ENVIRONMENT)
        self.msg_ids = count()
        self.verifier = self.build()

    def build(self, *, limit: int = LIMIT, mismatches: int = 0) -> Verifier:
        return Verifier(
            keyring=Keyring(self.settings, self._fetch, self.clock.monotonic),
            attempts=AttemptBudget(self.table, "attempts", limit),
            clients=ClientBudget(self.table, "attempts", requests=0, mismatches=mismatches),
            devices=Devices(90),
            tokens=Tokens(self.table, "attempts"),
            platform=self.platform,
            clock=Clock(self.clock.now, self.clock.monotonic, self.clock.sleep),
            new_msg_id=lambda: f"message-{next(self.msg_ids)}",
        )

    def _fetch(self, secret_id: str) -> str:
        self.fetched.append(secret_id)
        self.clock.advance(self.fetch_seconds)
        return self.secrets[secret_id]

    def verify(self, token: str = TOKEN, number: str = NUMBER, **options: Any) -> Outcome:
        return self.request(token, number, **options).outcome

    def request(
        self,
        token: str = TOKEN,
        number: str = NUMBER,
        *,
        address: str = ADDRESS,
        binding: str = "",
    ) -> Verification:
        submission = Submission(number, token, USER_INFORMATION)
        return self.verifier.verify(submission, address, self.clock.monotonic(), binding)

    def spent(self) -> int:
        """Count the attempts that are spent, less those without a verdict."""
        items = self.table.scan(TableName="attempts")["Items"]
        counts = {"attempts": 1, "unjudged": -1}
        return sum(
            sign * len(item[name]["SS"]) for name, sign in counts.items() for item in items if name in item
        )


@pytest.fixture
def house(table: "DynamoDBClient", clock: FakeClock, rsa_key: Callable[[int], RSAPrivateKey]) -> House:
    return House(table, clock, secrets_of(rsa_key(1024)))


# Each ending on a path of its own: what the platform does, what the page gets, whether the attempt is spent
# (1) or unjudged (-1), and what is counted. Every code, and what is logged of it, is in the table of faults.

ENDINGS: Final[dict[str, tuple[Any, Problem | None, int, str]]] = {
    "a match": ("000", None, 1, "NumberVerified"),
    "a mismatch": ("001", None, 1, "NumberRefused"),
    "a token that is none": ("120020", Problem.TOKEN_REJECTED, 0, "PageCode"),
    "a number used up there": ("121011", Problem.ATTEMPTS_EXHAUSTED, -1, "UserCode PlatformLimitReached"),
    "a code that no table has": ("424242", Problem.PLATFORM_ERROR, -1, "PlatformCode"),
    "not the protocol": (b"<html>planted</html>", Problem.PLATFORM_ERROR, -1, "BadAnswer"),
    "silence": (PlatformSilentError("a reason"), Problem.PLATFORM_TIMEOUT, -1, "NoAnswer"),
    "a bug after it was sent": (KeyError("planted"), Problem.PLATFORM_ERROR, -1, "BadAnswer"),
}


@pytest.mark.parametrize(("ending", "problem", "spent", "counted"), ENDINGS.values(), ids=ENDINGS)
def test_an_ending_settles_the_attempt_is_kept_and_logs_nothing_personal(
    house: House,
    logged: Log,
    capsys: pytest.CaptureFixture[str],
    ending: Any,
    problem: Problem | None,
    spent: int,
    counted: str,
) -> None:
    logged_before = list[Any]()

    def meanwhile() -> None:
        logged_before.extend(logged())
        house.clock.advance(2)

    house.platform.ending = ending
    house.platform.desc = f"{NUMBER} {TOKEN} {USER_INFORMATION}"
    house.platform.meanwhile = meanwhile

    verification = house.request()

    outcome = verification.outcome
    assert (outcome.problem, outcome.verified, outcome.msg_id) == (problem, ending == "000", "message-0")
    assert outcome.result_code == (ending if isinstance(ending, str) else "")
    assert outcome.verified_at == int(house.clock.now().timestamp())
    assert outcome.attempts_left == (2 if ending == "001" else LIMIT - 1)
    assert (verification.device is not None) is outcome.verified
    assert house.spent() == spent
    assert metrics.metric_set.keys() == {"PlatformLatency", *counted.split()}
    assert metrics.metric_set["PlatformLatency"]["Value"] == [2000.0]
    lines = logged()
    assert [line["msgId"] for line in lines] == ["message-0"] * 2
    assert lines[:1] == logged_before
    assert len(lines[0]["number"]) == 16
    if isinstance(ending, str):
        became = {1: "spent", 0: "given back", -1: "unjudged"}[spent]
        told = {"attempt": became, "resultCode": ending, "taskId": "task-1"}
        assert {**lines[-1], **told, "number": lines[0]["number"]} == lines[-1]
    output = json.dumps(lines, ensure_ascii=False) + "".join(capsys.readouterr())
    sent = house.platform.asked[0]["body"]
    planted = {NUMBER, TOKEN, USER_INFORMATION, APP_KEY, PEPPER, "planted", sent["sign"], sent["phoneNum"]}
    assert not [text for text in planted if text in output]
    # The platform may have seen the token: another environment does not send it again either.
    house.platform.ending = "000"
    house.clock.advance(60)
    house.verifier = house.build()
    assert house.request() == verification
    assert len(house.platform.asked) == 1
    assert house.spent() == spent


# What ends before the platform is asked.


@pytest.mark.parametrize(
    "change", [{"number": OTHER_NUMBER}, {"binding": "another"}], ids=["number", "login"]
)
def test_a_token_for_something_else_is_refused_without_a_call_or_an_attempt(
    house: House, change: dict[str, str]
) -> None:
    first = house.verify(binding="one login")

    with pytest.raises(TokenReusedError):
        house.verify(**{"binding": "one login", **change})

    assert house.verify(binding="one login") == first
    assert (len(house.platform.asked), house.spent()) == (1, 1)


def test_while_another_networks_attempt_is_under_way_the_owner_waits(house: House) -> None:
    house.verifier = house.build(limit=1)
    began, updates = house.clock.seconds, list[None]()

    def the_owner_comes() -> None:
        house.table.meta.events.register("before-call.dynamodb.UpdateItem", lambda **_: updates.append(None))
        with pytest.raises(AttemptsInFlightError):
            house.verify("VM_OWNERS")

    house.platform.meanwhile = the_owner_comes
    house.verify(address=STRANGER)

    assert 2.5 < house.clock.seconds - began <= 3
    assert len(updates) <= 15  # seven tries, seven notes that somebody waits, the stranger's settling


# The budget of time.


def test_where_too_little_time_is_left_nothing_is_sent_reserved_or_held(house: House, logged: Log) -> None:
    house.platform.seconds = 8
    house.fetch_seconds = 3

    with pytest.raises(OutOfTimeError):
        house.verify()

    assert (house.platform.asked, house.table.scan(TableName="attempts")["Items"]) == ([], [])
    assert logged()[-1]["msgId"] == "message-0"
    assert house.verify().verified  # the secrets are there by now
    assert house.platform.within == [10.0]  # 13 seconds less 3 for what follows


@pytest.mark.parametrize(("seconds", "asked"), [(4.9, 2), (5.1, 1)])
def test_a_place_that_comes_too_late_is_given_back(house: House, seconds: float, asked: int) -> None:
    house.platform.seconds = 8
    house.verify("VM_FIRST")  # the secrets are there
    late = [seconds]
    house.table.meta.events.register(
        "before-call.dynamodb.UpdateItem", lambda **_: house.clock.advance(late.pop() if late else 0)
    )

    with suppress(OutOfTimeError):
        house.verify()

    assert (len(house.platform.asked), house.spent()) == (asked, asked)
    assert house.verify().verified


# What of the answer is passed on.


@pytest.mark.parametrize(
    "text",
    [
        *(NUMBER, "is 139-1234 5678", f"token={TOKEN};", USER_INFORMATION),
        *("x" * 129, "two\nlines", "\ud800", "\x1b[31mred", "\u202ereversed"),
    ],
)
def test_what_repeats_the_request_or_is_odd_is_not_passed_on_or_logged(
    house: House, logged: Log, text: str
) -> None:
    house.platform.desc = house.platform.task_id = text

    outcome = house.verify()

    assert (outcome.task_id, outcome.result_desc) == ("", "是本机号码")  # the guide's words
    assert text not in json.dumps(logged(), ensure_ascii=False)


def test_the_platforms_words_are_passed_on(house: House) -> None:
    house.platform.desc = "号" * 128

    outcome = house.verify("task")  # too short to tell something of the request

    assert (outcome.result_desc, outcome.task_id) == ("号" * 128, "task-1")


# Keys.


@pytest.mark.parametrize(("code", "again"), [("130016", True), ("130018", True), ("110004", False)])
def test_a_mismatch_of_keys_alone_has_both_fetched_anew_for_the_next_request(
    house: House,
    rsa_key: Callable[[int], RSAPrivateKey],
    code: str,
    again: bool,  # noqa: FBT001 - the table's last column
) -> None:
    house.verify("VM_1")
    house.fetched.clear()
    house.secrets["signing"] = signing_secret(rsa_key(2048))
    house.platform.ending = code

    house.verify("VM_2")
    house.verify("VM_3")

    assert sorted(house.fetched) == (["signing", "verification"] if again else [])
    sizes = [len(message["body"]["sign"]) for message in house.platform.asked]
    assert sizes == [172, 172, 344 if again else 172]


# Where the table fails in the middle, and what earlier releases left in it.


def test_a_mismatch_that_cannot_be_counted_counts_as_a_verdict(house: House, logged: Log) -> None:
    def fail(params: dict[str, Any], **_: Any) -> None:
        if b"ADD mismatches" in params["body"]:
            raise ConnectionError("planted")

    house.verifier = house.build(mismatches=10)
    house.table.meta.events.register("before-call.dynamodb.UpdateItem", fail)
    house.platform.ending = "001"

    assert house.verify().result_code == "001"
    assert logged()[-1]["message"] == "a mismatch could not be counted"


def test_an_outcome_that_an_earlier_release_stored_is_read(house: House) -> None:
    record = house.verify().to_record()
    del record["verified_at"]

    assert Outcome.from_record(record).verified_at == 0
