"""A verification from token to verdict: for each ending the outcome, the attempt and the token."""

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from cmpassport.errors import RefusedError
from cmpassport.problems import Problem
from cmpassport.secret_cache import SecretUnavailableError
from cmpassport.telemetry import metrics
from tests.support.fakes import FakeClock
from tests.support.functions import APP_KEY, PEPPER, VERIFY_ENVIRONMENT, secrets_of, signing_secret
from verify.budget import AttemptBudget, AttemptsExhaustedError, AttemptsInFlightError
from verify.clients import ClientBudget, ClientBudgetExhaustedError
from verify.devices import Devices
from verify.keyring import Keyring
from verify.message import PlaintextTooLongError
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
        self.platform = FakePlatform()
        self.settings = Settings.from_environment(VERIFY_ENVIRONMENT)
        self.msg_ids = count()
        self.verifier = self.build()

    def build(
        self, *, limit: int = LIMIT, requests: int = 0, mismatches: int = 0, days: int = 90, fetch: Any = None
    ) -> Verifier:
        return Verifier(
            keyring=Keyring(self.settings, fetch or self._fetch, self.clock.monotonic),
            attempts=AttemptBudget(self.table, "attempts", limit),
            clients=ClientBudget(self.table, "attempts", requests=requests, mismatches=mismatches),
            devices=Devices(days),
            tokens=Tokens(self.table, "attempts"),
            platform=self.platform,
            clock=Clock(self.clock.now, self.clock.monotonic, self.clock.sleep),
            new_msg_id=lambda: f"message-{next(self.msg_ids)}",
        )

    def _fetch(self, secret_id: str) -> str:
        self.fetched.append(secret_id)
        return self.secrets[secret_id]

    def verify(self, token: str = TOKEN, number: str = NUMBER, **options: Any) -> Outcome:
        return self.request(token, number, **options).outcome

    def request(
        self,
        token: str = TOKEN,
        number: str = NUMBER,
        *,
        address: str = ADDRESS,
        information: str = USER_INFORMATION,
        binding: str = "",
        device: str | None = None,
    ) -> Verification:
        submission = Submission(number, token, information, device=device)
        return self.verifier.verify(submission, address, self.clock.monotonic(), binding)

    def spent(self) -> int:
        """Count the attempts that are spent."""
        return self._count("attempts")

    def unjudged(self) -> int:
        """Count the attempts that ended without a verdict."""
        return self._count("unjudged")

    def _count(self, name: str) -> int:
        items = self.table.scan(TableName="attempts")["Items"]
        return sum(len(item[name]["SS"]) for item in items if name in item)

    def break_down(self, operation: str, only: str = "") -> None:
        """Have one of DynamoDB's operations fail from now on."""

        def fail(params: dict[str, Any], **_: Any) -> None:
            if only.encode() in params["body"]:
                raise ConnectionError("planted")

        self.table.meta.events.register(f"before-call.dynamodb.{operation}", fail)


@pytest.fixture
def house(table: "DynamoDBClient", clock: FakeClock, rsa_key: Callable[[int], RSAPrivateKey]) -> House:
    return House(table, clock, secrets_of(rsa_key(1024)))


# Each ending: what the platform does, what the page gets, whether the attempt is spent (1) or unjudged (-1).

ENDINGS: Final[dict[str, tuple[Any, Problem | None, int]]] = {
    "a match": ("000", None, 1),
    "a mismatch": ("001", None, 1),
    "a token that is none": ("120020", Problem.TOKEN_REJECTED, 0),
    "a mismatch of keys": ("130018", Problem.PLATFORM_REJECTED, 0),
    "a number used up there": ("121011", Problem.ATTEMPTS_EXHAUSTED, -1),
    "an error of theirs": ("999999", Problem.PLATFORM_ERROR, -1),
    "a code that no table has": ("105112", Problem.PLATFORM_ERROR, -1),
    "not the protocol": (b"<html>planted</html>", Problem.PLATFORM_ERROR, -1),
    "no proper HTTP": (BadAnswerError("the answer has HTTP status 502"), Problem.PLATFORM_ERROR, -1),
    "silence": (PlatformSilentError("ReadTimeoutError"), Problem.PLATFORM_TIMEOUT, -1),
    "a bug after it was sent": (KeyError("planted"), Problem.PLATFORM_ERROR, -1),
}


@pytest.mark.parametrize(("ending", "problem", "spent"), ENDINGS.values(), ids=ENDINGS)
def test_an_ending_settles_the_attempt_is_kept_and_logs_nothing_personal(
    house: House, logged: Log, capsys: pytest.CaptureFixture[str], ending: Any, problem: Any, spent: int
) -> None:
    house.platform.ending = ending
    house.platform.desc = f"{NUMBER} {TOKEN} {USER_INFORMATION}"

    outcome = house.verify()

    assert (outcome.problem, outcome.verified, outcome.msg_id) == (problem, ending == "000", "message-0")
    assert outcome.result_code == (ending if isinstance(ending, str) else "")
    assert outcome.attempts_left == (2 if ending == "001" else LIMIT - 1)
    assert house.spent() - house.unjudged() == spent
    lines = logged()
    output = json.dumps(lines, ensure_ascii=False) + "".join(capsys.readouterr())
    sent = house.platform.asked[0]["body"]
    planted = {NUMBER, TOKEN, USER_INFORMATION, APP_KEY, PEPPER, "planted", sent["sign"], sent["phoneNum"]}
    assert not [text for text in planted if text in output]
    assert {line["msgId"] for line in lines} == {"message-0"}
    # The platform may have seen the token: it is not sent again, not by another environment either.
    house.platform.ending = "000"
    assert [house.verify(), house.verify()] == [outcome] * 2
    house.verifier = house.build()
    assert house.verify() == outcome
    assert len(house.platform.asked) == 1
    assert house.spent() - house.unjudged() == spent


def test_an_unreachable_platform_gives_the_attempt_back_and_leaves_the_token(house: House) -> None:
    house.platform.ending = PlatformUnreachableError("NewConnectionError")

    with pytest.raises(PlatformUnreachableError):
        house.verify()

    assert house.spent() == 0
    house.platform.ending = "000"
    assert house.verify().verified
    assert house.spent() == 1


# What ends before the platform is asked.


@pytest.mark.parametrize("secret", ["signing", "verification", "pepper"])
def test_without_a_secret_nothing_is_sent_spent_or_held(house: House, secret: str) -> None:
    kept = house.secrets.pop(secret)

    with pytest.raises(SecretUnavailableError, match="KeyError"):
        house.verify()

    assert (house.platform.asked, house.spent()) == ([], 0)
    house.secrets[secret] = kept
    assert house.verify().verified


def test_a_key_too_small_for_the_appkey_sends_and_spends_nothing(house: House) -> None:
    verification = json.loads(house.secrets["verification"])
    house.secrets["verification"] = json.dumps(verification | {"appKey": "k" * 90})

    with pytest.raises(PlaintextTooLongError, match="118 bytes"):
        house.verify()

    assert (house.platform.asked, house.spent()) == ([], 0)
    assert house.table.scan(TableName="attempts")["Items"] == []


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


def test_an_outcome_keeps_the_time_of_its_answer(house: House) -> None:
    now = int(house.clock.now().timestamp())
    first = house.verify()
    house.clock.advance(60)

    assert first.verified_at == house.verify().verified_at == now


def test_an_outcome_that_an_earlier_release_stored_is_read(house: House) -> None:
    record = house.verify().to_record()
    del record["verified_at"]

    assert Outcome.from_record(record).verified_at == 0


def test_a_request_that_is_being_worked_on_is_told_to_wait(house: House, logged: Log) -> None:
    refusals: list[TokenInUseError] = []

    def ask_again() -> None:
        assert logged()[-1]["msgId"] == "message-0"  # logged before it is sent
        with pytest.raises(TokenInUseError) as refusal:
            house.verify()
        refusals.append(refusal.value)

    house.platform.meanwhile = ask_again

    assert house.verify().verified

    assert [refusal.retry_after for refusal in refusals] == [1]
    assert (len(house.platform.asked), house.spent()) == (1, 1)


# Clients.


def test_a_network_that_asks_too_often_is_told_to_wait(house: House) -> None:
    house.verifier = house.build(requests=2)
    house.verify("VM_1", address="2001:db8:1:2::1")
    house.verify("VM_2", OTHER_NUMBER, address="2001:db8:1:2::1")

    with pytest.raises(ClientBudgetExhaustedError) as refusal:
        house.verify("VM_3", address="2001:db8:1:2:ffff::1")

    assert refusal.value.retry_after == 3600
    assert house.verify("VM_3", address="2001:db8:1:3::1").verified


def test_mismatches_at_whatever_numbers_meet_a_bound(house: House, logged: Log) -> None:
    house.verifier = house.build(mismatches=3)
    house.platform.ending = "001"
    for index in range(3):
        house.verify(f"VM_{index}", f"1391234567{index}")

    with pytest.raises(ClientBudgetExhaustedError):
        house.verify("VM_3", "13912345673")

    assert len(house.platform.asked) == 3
    assert logged()[-1]["message"] == "a budget refused an attempt"
    house.clock.advance(3600)
    assert house.verify("VM_3", "13912345673").result_code == "001"


# Strangers.


@pytest.mark.parametrize(
    ("address", "information"), [(STRANGER, "of%20{}"), ("198.51.100.{}", "of%20one%20sim")]
)
def test_a_network_or_a_sim_uses_up_a_share_of_a_numbers_attempts(
    house: House, address: str, information: str
) -> None:
    def attempt(index: int) -> Outcome:
        origin = {"address": address.format(index), "information": information.format(index)}
        return house.verify(f"VM_{index}", **origin)

    house.platform.ending = "001"
    for index in range(3):
        attempt(index)
    with pytest.raises(AttemptsExhaustedError):
        attempt(3)

    house.platform.ending = "000"

    assert house.verify().attempts_left == 4
    assert metrics.metric_set.keys() == {
        "NumberRefused",
        "NumberVerified",
        "PlatformLatency",
        "BudgetRefused",
    }


@pytest.mark.parametrize("ending", ["120020", "999999", b"<html>", PlatformSilentError("ReadTimeoutError")])
def test_tokens_that_the_platform_does_not_judge_lock_nobody_out(house: House, ending: Any) -> None:
    house.platform.ending = ending
    for index in range(20):
        with suppress(AttemptsExhaustedError):
            house.verify(f"VM_{index}", address=STRANGER)

    house.platform.ending = "000"

    assert [house.verify(f"VM_OWNERS_{index}").attempts_left for index in range(LIMIT)] == [4, 3, 2, 1, 0]


def test_while_another_networks_attempt_is_under_way_the_owner_waits(house: House) -> None:
    house.verifier = house.build(limit=1)
    waited: list[float] = []
    updates: list[None] = []

    def the_owner_comes() -> None:
        began = house.clock.seconds
        house.table.meta.events.register("before-call.dynamodb.UpdateItem", lambda **_: updates.append(None))
        with pytest.raises(AttemptsInFlightError):
            house.verify("VM_OWNERS")
        waited.append(house.clock.seconds - began)

    house.platform.meanwhile = the_owner_comes
    house.verify(address=STRANGER)

    assert 2.5 < waited[0] <= 3
    assert len(updates) <= 15  # seven tries, seven notes that somebody waits, the stranger's settling


def test_a_known_device_has_a_budget_of_its_own(house: House) -> None:
    device = house.request("VM_FIRST").device
    house.platform.ending = "001"
    for index in range(2):
        for network in range(3):
            with suppress(RefusedError):
                house.verify(
                    f"VM_{index}_{network}", address=f"198.51.100.{network}", information=f"of{network}"
                )
    house.platform.ending = "000"
    with pytest.raises(AttemptsExhaustedError):
        house.verify("VM_ANOTHER_PHONE", address="192.0.2.1", information="of%20another")

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


@pytest.mark.parametrize(("days", "ending"), [(0, "000"), (90, "001")])
def test_where_devices_are_off_and_after_a_mismatch_there_is_none(
    house: House, days: int, ending: str
) -> None:
    house.verifier = house.build(days=days)
    house.platform.ending = ending

    assert house.request().device is None


# The budget of time.


def test_where_too_little_time_is_left_nothing_is_sent_reserved_or_held(house: House, logged: Log) -> None:
    def fetch_slowly(secret_id: str) -> str:
        house.clock.advance(3)
        return house.secrets[secret_id]

    house.platform.seconds = 8
    house.verifier = house.build(fetch=fetch_slowly)

    with pytest.raises(OutOfTimeError):
        house.verify()

    assert (house.platform.asked, house.table.scan(TableName="attempts")["Items"]) == ([], [])
    assert logged()[-1]["msgId"] == "message-0"
    assert house.verify().verified  # the secrets are there by now
    assert house.platform.within == [10.0]  # 13 seconds less 3 for what follows


# What of the answer is passed on.


ODD: Final = (
    *(NUMBER, f"number {NUMBER} is it", TOKEN, f"token={TOKEN};", USER_INFORMATION),
    *("x" * 129, "two\nlines", "\ud800", "\x1b[31mred", "\u202ereversed"),
)


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize(("code", "guides"), [("000", "是本机号码"), ("120020", "token校验失败")])
def test_what_repeats_the_request_or_is_odd_is_not_passed_on_or_logged(
    house: House, logged: Log, text: str, code: str, guides: str
) -> None:
    house.platform.ending = code
    house.platform.desc = house.platform.task_id = text

    outcome = house.verify()

    assert (outcome.task_id, outcome.result_desc) == ("", guides)
    assert text not in json.dumps(logged(), ensure_ascii=False)


@pytest.mark.parametrize(
    ("desc", "passed_on"), [("its words", "its words"), ("号" * 128, "号" * 128), ("", "是本机号码")]
)
def test_the_platforms_words_are_passed_on_or_else_the_guides(
    house: House, desc: str, passed_on: str
) -> None:
    house.platform.desc = desc

    outcome = house.verify()

    assert (outcome.result_desc, outcome.task_id) == (passed_on, "task-1")


# Keys.


@pytest.mark.parametrize(
    ("code", "again"),
    [("130016", True), ("130018", True), ("000", False), ("110004", False), ("999999", False)],
)
def test_a_mismatch_of_keys_alone_has_both_fetched_anew_for_the_next_request(
    house: House,
    code: str,
    again: bool,  # noqa: FBT001 - the table's last column
) -> None:
    house.platform.ending = code
    house.verify("VM_1")
    house.fetched.clear()

    house.verify("VM_2")

    assert sorted(house.fetched) == (["signing", "verification"] if again else [])


def test_a_rotation_takes_effect_after_one_refusal(
    house: House, rsa_key: Callable[[int], RSAPrivateKey]
) -> None:
    house.verify("VM_1")
    house.secrets["signing"] = signing_secret(rsa_key(2048))
    house.platform.ending = "130018"
    house.verify("VM_2")
    house.verify("VM_3")

    assert [len(message["body"]["sign"]) for message in house.platform.asked] == [172, 172, 344]


# Where the table fails in the middle.


@pytest.mark.parametrize("code", ["000", "120020"])
def test_an_outcome_is_returned_that_cannot_be_settled(house: House, logged: Log, code: str) -> None:
    house.break_down("UpdateItem", only="REMOVE")
    house.platform.ending = code

    assert house.verify().result_code == code

    (line,) = [line for line in logged() if line["message"] == "an attempt could not be settled"]
    assert line["msgId"] == "message-0"
    assert "AttemptNotSettled" in metrics.metric_set


def test_a_token_that_cannot_be_released_is_told(house: House, logged: Log) -> None:
    house.break_down("DeleteItem")
    house.platform.ending = PlatformUnreachableError("NewConnectionError")

    with pytest.raises(PlatformUnreachableError):
        house.verify()

    assert "a token could not be released" in [line["message"] for line in logged()]
    assert "AttemptNotSettled" in metrics.metric_set


def test_a_mismatch_that_cannot_be_counted_is_a_verdict(house: House, logged: Log) -> None:
    house.verifier = house.build(mismatches=10)
    house.break_down("UpdateItem", only="ADD mismatches")
    house.platform.ending = "001"

    assert house.verify().result_code == "001"
    assert "a mismatch could not be counted" in [line["message"] for line in logged()]


@pytest.mark.parametrize(("operation", "only"), [("PutItem", ""), ("UpdateItem", "ADD attempts")])
def test_without_a_claim_or_a_reservation_the_platform_is_not_asked(
    house: House, operation: str, only: str
) -> None:
    house.break_down(operation, only)

    with pytest.raises(ConnectionError):
        house.verify()

    assert house.platform.asked == []


# What is stored, counted and logged.


def test_nothing_personal_is_stored_and_no_plain_hash(house: House) -> None:
    house.verifier = house.build(limit=1000, requests=1000)
    tokens = [f"{TOKEN}-{index}" for index in range(len(ENDINGS))]
    for index, (ending, _, _) in enumerate(ENDINGS.values()):
        house.platform.ending = ending
        house.platform.desc = f"{NUMBER} {tokens[index]} {USER_INFORMATION}"
        house.verify(tokens[index], address=f"203.0.113.{index}")

    items = house.table.scan(TableName="attempts")["Items"]

    documented = {"id", "attempts", "unjudged", "expiration", "requests", "request", "budget", "attempt"}
    keyed = r"outcome message-[0-9]+|(spent by|unjudged by|rejections of|mismatches (of|with)) [0-9a-f]{16}"
    names = {name for item in items for name in item} - documented
    assert not [name for name in names if not re.fullmatch(keyed, name)]
    members = {"problem", "result_code", "result_desc", "msg_id", "task_id", "attempts_left", "verified_at"}
    records = [item[name]["S"] for item in items for name in item if name.startswith("outcome")]
    assert len(records) == len(ENDINGS)
    assert all(set(json.loads(record)) == members for record in records)
    stored = json.dumps(items, ensure_ascii=False)
    texts = (NUMBER, json.dumps(NUMBER), "203.0.113.7", *tokens, *map(json.dumps, tokens))
    hashes = {
        hashlib.new(name, text.encode()).hexdigest() for name in ("md5", "sha1", "sha256") for text in texts
    }
    planted = {NUMBER, TOKEN, USER_INFORMATION, APP_KEY, PEPPER, "203.0.113.7", "planted"}
    assert not [text for text in planted | hashes if text in stored]


@pytest.mark.parametrize(
    ("code", "level", "attempt", "counted"),
    [
        ("000", "INFO", "spent", "NumberVerified"),
        ("001", "INFO", "spent", "NumberRefused"),
        ("130018", "ERROR", "given back", "OperatorCode"),
        ("120020", "INFO", "given back", "PageCode"),
        ("111002", "INFO", "given back", "UserCode"),
        ("121011", "INFO", "spent", "UserCode PlatformLimitReached"),
        ("999999", "ERROR", "spent", "PlatformCode"),
        ("424242", "ERROR", "spent", "PlatformCode"),
    ],
)
def test_an_answer_is_logged_and_counted_for_whoever_can_mend_it(
    house: House, logged: Log, code: str, level: str, attempt: str, counted: str
) -> None:
    house.platform.ending = code

    house.verify()

    line = logged()[-1]
    assert (line["level"], line["attempt"], line["resultCode"]) == (level, attempt, code)
    assert (line["taskId"], len(line["number"])) == ("task-1", 16)
    assert set(metrics.metric_set) == {"PlatformLatency", *counted.split()}


def test_the_platforms_latency_is_counted_in_milliseconds(house: House) -> None:
    house.platform.meanwhile = lambda: house.clock.advance(2)

    house.verify()

    assert metrics.metric_set["PlatformLatency"]["Value"] == [2000.0]
