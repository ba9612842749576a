"""A verification from token to verdict: for each ending the outcome, the attempt and the token."""

import hashlib
import json
from collections.abc import Callable
from contextlib import nullcontext, suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from cmpassport.problems import Problem
from cmpassport.secret_cache import SecretUnavailableError
from cmpassport.telemetry import metrics
from tests.support.fakes import FakeClock
from tests.support.functions import APP_KEY, PEPPER, VERIFY_ENVIRONMENT, secrets_of, signing_secret
from verify.budget import AttemptBudget, AttemptsExhaustedError, AttemptsInFlightError
from verify.clients import ClientBudget, ClientBudgetExhaustedError
from verify.devices import Devices
from verify.keyring import Keyring
from verify.once import TokenInUseError, TokenReusedError, Tokens
from verify.outcome import Outcome
from verify.platform import BadAnswerError, Limits, Platform, PlatformSilentError, PlatformUnreachableError
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

    def build(self, *, limit: int = LIMIT, requests: int = 0, mismatches: int = 0) -> Verifier:
        return Verifier(
            keyring=Keyring(self.settings, self._fetch, self.clock.monotonic),
            attempts=AttemptBudget(self.table, "attempts", limit),
            clients=ClientBudget(self.table, "attempts", requests=requests, mismatches=mismatches),
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
        device: str | None = None,
    ) -> Verification:
        submission = Submission(number, token, USER_INFORMATION, device=device)
        return self.verifier.verify(submission, address, self.clock.monotonic(), binding)

    def spent(self) -> int:
        """Count the attempts that are spent, less those without a verdict."""
        items = self.table.scan(TableName="attempts")["Items"]
        counts = {"attempts": 1, "unjudged": -1}
        return sum(
            sign * len(item[name]["SS"]) for name, sign in counts.items() for item in items if name in item
        )

    def break_down(self, operation: str, only: str = "") -> None:
        """Have one of DynamoDB's operations fail from now on."""

        def fail(params: dict[str, Any], **_: Any) -> None:
            if only.encode() in params["body"]:
                raise ConnectionError("planted")

        self.table.meta.events.register(f"before-call.dynamodb.{operation}", fail)


@pytest.fixture
def house(table: "DynamoDBClient", clock: FakeClock, rsa_key: Callable[[int], RSAPrivateKey]) -> House:
    return House(table, clock, secrets_of(rsa_key(1024)))


# Each ending: what the platform does, what the page gets, whether the attempt is spent (1) or unjudged (-1),
# and what is logged and counted for whoever can mend it.

ENDINGS: Final[dict[str, tuple[Any, Problem | None, int, str, str]]] = {
    "a match": ("000", None, 1, "INFO", "NumberVerified"),
    "a mismatch": ("001", None, 1, "INFO", "NumberRefused"),
    "a token that is none": ("120020", Problem.TOKEN_REJECTED, 0, "INFO", "PageCode"),
    "no mobile data": ("111002", Problem.PLATFORM_REJECTED, 0, "INFO", "UserCode"),
    "a mismatch of keys": ("130018", Problem.PLATFORM_REJECTED, 0, "ERROR", "OperatorCode"),
    "a number used up there": (
        *("121011", Problem.ATTEMPTS_EXHAUSTED, -1),
        *("INFO", "UserCode PlatformLimitReached"),
    ),
    "an error of theirs": ("999999", Problem.PLATFORM_ERROR, -1, "ERROR", "PlatformCode"),
    "a code that no table has": ("424242", Problem.PLATFORM_ERROR, -1, "ERROR", "PlatformCode"),
    "not the protocol": (b"<html>planted</html>", Problem.PLATFORM_ERROR, -1, "ERROR", "BadAnswer"),
    "no proper HTTP": (BadAnswerError("a reason"), Problem.PLATFORM_ERROR, -1, "ERROR", "BadAnswer"),
    "silence": (PlatformSilentError("a reason"), Problem.PLATFORM_TIMEOUT, -1, "ERROR", "NoAnswer"),
    "a bug after it was sent": (KeyError("planted"), Problem.PLATFORM_ERROR, -1, "ERROR", "BadAnswer"),
}


@pytest.mark.parametrize(("ending", "problem", "spent", "level", "counted"), ENDINGS.values(), ids=ENDINGS)
def test_an_ending_settles_the_attempt_is_kept_and_logs_nothing_personal(
    house: House,
    logged: Log,
    capsys: pytest.CaptureFixture[str],
    ending: Any,
    problem: Problem | None,
    spent: int,
    level: str,
    counted: str,
) -> None:
    house.platform.ending = ending
    house.platform.desc = f"{NUMBER} {TOKEN} {USER_INFORMATION}"
    house.platform.meanwhile = lambda: house.clock.advance(2)

    outcome = house.verify()

    assert (outcome.problem, outcome.verified, outcome.msg_id) == (problem, ending == "000", "message-0")
    assert outcome.verified_at == int(house.clock.now().timestamp())
    assert outcome.attempts_left == (2 if ending == "001" else LIMIT - 1)
    assert house.spent() == spent
    assert metrics.metric_set.keys() == {"PlatformLatency", *counted.split()}
    assert metrics.metric_set["PlatformLatency"]["Value"] == [2000.0]
    lines = logged()
    assert {line["msgId"] for line in lines} == {"message-0"}
    assert lines[-1]["level"] == level
    if isinstance(ending, str):
        became = {1: "spent", 0: "given back", -1: "unjudged"}[spent]
        told = {"attempt": became, "resultCode": ending, "taskId": "task-1"}
        assert {**lines[-1], **told} == lines[-1]
        assert len(lines[-1]["number"]) == 16
        assert outcome.result_code == ending
    else:
        assert outcome.result_code == ""
    output = json.dumps(lines, ensure_ascii=False) + "".join(capsys.readouterr())
    sent = house.platform.asked[0]["body"]
    planted = {NUMBER, TOKEN, USER_INFORMATION, APP_KEY, PEPPER, "planted", sent["sign"], sent["phoneNum"]}
    assert not [text for text in planted if text in output]
    # The platform may have seen the token: it is not sent again, not by another environment either.
    house.platform.ending = "000"
    house.clock.advance(60)
    assert [house.verify(), house.verify()] == [outcome] * 2
    house.verifier = house.build()
    assert house.verify() == outcome
    assert len(house.platform.asked) == 1
    assert house.spent() == spent


def test_an_outcome_that_an_earlier_release_stored_is_read(house: House) -> None:
    record = house.verify().to_record()
    del record["verified_at"]

    assert Outcome.from_record(record).verified_at == 0


def test_an_unreachable_platform_gives_the_attempt_back_and_leaves_the_token(house: House) -> None:
    house.platform.ending = PlatformUnreachableError("NewConnectionError")

    with pytest.raises(PlatformUnreachableError):
        house.verify()

    assert house.spent() == 0
    house.platform.ending = "000"
    assert house.verify().verified


# What ends before the platform is asked.


@pytest.mark.parametrize("secret", ["signing", "verification", "pepper"])
def test_without_a_secret_nothing_is_sent_spent_or_held(house: House, secret: str) -> None:
    kept = house.secrets.pop(secret)

    with pytest.raises(SecretUnavailableError, match="KeyError"):
        house.verify()

    assert (house.platform.asked, house.spent()) == ([], 0)
    house.secrets[secret] = kept
    assert house.verify().verified


def test_a_numbers_limit_is_reached_by_verdicts_and_renewed_at_midnight(house: House) -> None:
    left = [house.verify(f"VM_{index}").attempts_left for index in range(LIMIT)]

    with pytest.raises(AttemptsExhaustedError) as refusal:
        house.verify("VM_ONE_MORE")

    assert left == [4, 3, 2, 1, 0]
    assert refusal.value.retry_after == 12 * 3600
    assert len(house.platform.asked) == LIMIT
    assert house.verify("VM_ANOTHER", OTHER_NUMBER).verified
    house.clock.advance(12 * 3600)
    assert house.verify("VM_ONE_MORE").verified  # the refused token was never sent


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


def test_a_request_that_is_being_worked_on_is_told_to_wait(house: House, logged: Log) -> None:
    def ask_again() -> None:
        assert logged()[-1]["msgId"] == "message-0"  # logged before it is sent
        with pytest.raises(TokenInUseError) as refusal:
            house.verify()
        assert refusal.value.retry_after == 1
        house.platform.meanwhile = lambda: None

    house.platform.meanwhile = ask_again

    assert house.verify().verified
    assert house.platform.meanwhile is not ask_again
    assert (len(house.platform.asked), house.spent()) == (1, 1)


# Strangers.


def test_mismatches_at_whatever_numbers_meet_a_bound(house: House, logged: Log) -> None:
    house.verifier = house.build(mismatches=3)
    house.platform.ending = "001"
    for index in range(3):
        house.verify(f"VM_{index}", f"1391234567{index}", address=f"2001:db8::{index}")

    with pytest.raises(ClientBudgetExhaustedError):
        house.verify("VM_3", "13912345673", address="2001:db8::ffff")

    assert len(house.platform.asked) == 3
    assert logged()[-1]["message"] == "a budget refused an attempt"
    assert house.verify("VM_3", "13912345673", address=STRANGER).result_code == "001"


@pytest.mark.parametrize("ending", ["120020", PlatformSilentError("ReadTimeoutError")])
def test_tokens_that_the_platform_does_not_judge_lock_nobody_out(house: House, ending: Any) -> None:
    house.platform.ending = ending
    for index in range(12):
        with suppress(AttemptsExhaustedError):
            house.verify(f"VM_{index}", address=STRANGER)

    house.platform.ending = "000"

    assert [house.verify(f"VM_OWNERS_{index}").attempts_left for index in range(LIMIT)] == [4, 3, 2, 1, 0]


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


def test_a_known_device_has_a_budget_of_its_own(house: House) -> None:
    device = house.request("VM_0").device
    for index in range(1, LIMIT):
        house.verify(f"VM_{index}")
    with pytest.raises(AttemptsExhaustedError):
        house.verify("VM_ANOTHER_PHONE")

    left = [house.request(f"VM_KNOWN_{index}", device=device).outcome.attempts_left for index in range(LIMIT)]

    assert left == [4, 3, 2, 1, 0]
    with pytest.raises(AttemptsExhaustedError):
        house.request("VM_KNOWN_5", device=device)


@pytest.mark.parametrize("device", [None, "", "forged", "A" * 44, "\ud800"])
def test_any_other_text_is_as_no_device(house: House, device: str | None) -> None:
    verification = house.request(device=device)

    assert verification.outcome.attempts_left == 4
    assert house.request(device=device) == verification
    assert verification.device
    assert verification.device != device


def test_after_a_mismatch_there_is_no_device(house: House) -> None:
    house.platform.ending = "001"

    assert house.request().device is None


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


# What of the answer is passed on.


@pytest.mark.parametrize(
    "text",
    [
        *(NUMBER, f"number {NUMBER} is it", f"token={TOKEN};", USER_INFORMATION),
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

    outcome = house.verify()

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


# Where the table fails in the middle.


@pytest.mark.parametrize(
    ("operation", "only", "ending", "told"),
    [
        ("UpdateItem", "REMOVE", "000", {"message": "an attempt could not be settled", "msgId": "message-0"}),
        ("UpdateItem", "ADD mismatches", "001", {"message": "a mismatch could not be counted"}),
        ("DeleteItem", "", PlatformUnreachableError(""), {"message": "a token could not be released"}),
    ],
)
def test_what_fails_after_the_answer_is_told_and_the_answer_counts(
    house: House, logged: Log, operation: str, only: str, ending: Any, told: dict[str, str]
) -> None:
    house.verifier = house.build(mismatches=10)
    house.break_down(operation, only)
    house.platform.ending = ending

    with pytest.raises(PlatformUnreachableError) if operation == "DeleteItem" else nullcontext():
        assert house.verify().result_code == ending

    line = logged()[-1]
    assert {**line, **told} == line
    assert ("AttemptNotSettled" in metrics.metric_set) is (ending != "001")


def test_nothing_personal_is_stored_and_no_plain_hash(house: House) -> None:
    house.verifier = house.build(limit=1000, requests=1000)
    for index, (ending, *_) in enumerate(ENDINGS.values()):
        house.platform.ending = ending
        house.platform.desc = f"{NUMBER} {TOKEN}-{index} {USER_INFORMATION}"
        house.verify(f"{TOKEN}-{index}", address=f"203.0.113.{index}")

    stored = json.dumps(house.table.scan(TableName="attempts")["Items"], ensure_ascii=False)

    texts = (NUMBER, "203.0.113.7", f"{TOKEN}-0")
    hashes = {hashlib.new(name, text.encode()).hexdigest() for name in ("md5", "sha256") for text in texts}
    planted = {NUMBER, TOKEN, USER_INFORMATION, APP_KEY, PEPPER, "203.0.113.", "planted"}
    assert stored.count('"outcome') == len(ENDINGS)
    assert not [text for text in planted | hashes if text in stored]
