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
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from cmpassport.errors import RefusedError
from cmpassport.problems import Problem
from cmpassport.secret_cache import SecretUnavailableError
from cmpassport.telemetry import metrics
from tests.support.fakes import FakeClock
from verify.budget import AttemptBudget, AttemptsExhaustedError, AttemptsInFlightError
from verify.clients import ClientBudget, ClientBudgetExhaustedError
from verify.devices import Devices
from verify.keyring import Keyring
from verify.message import PlaintextTooLongError
from verify.once import TokenInUseError, TokenReusedError, Tokens
from verify.outcome import Outcome
from verify.platform import (
    BadAnswerError,
    Limits,
    Platform,
    PlatformSilentError,
    PlatformUnreachableError,
)
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
APP_KEY: Final = "AA03E6C60D0B0D14320B9A3F0B5AAD99"
PEPPER: Final = "a pepper of at least thirty-two characters"
LIMIT: Final = 5

Log = Callable[[], list[dict[str, Any]]]


class FakePlatform(Platform):
    """A platform in memory: answers with a code, or ends otherwise; remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1/verify", Limits(1, 1, 1), lambda: 0.0)
        self.ending: str | bytes | Exception = "000"
        self.desc = "its words"
        self.task_id = "task-1"
        self.asked: list[dict[str, Any]] = []
        self.within: list[float | None] = []
        self.seconds_ = 1.0

    @property
    def seconds(self) -> float:
        return self.seconds_

    def ask(self, request: bytes, *, within: float | None = None) -> bytes:
        self.within.append(within)
        message = json.loads(request)
        self.asked.append(message)
        if isinstance(self.ending, Exception):
            raise self.ending
        if isinstance(self.ending, bytes):
            return self.ending
        names = ("msgId", "timestamp", "appId")
        header = {name: message["header"][name] for name in names} | {"resultCode": self.ending}
        return json.dumps(
            {"header": header, "body": {"taskId": self.task_id, "resultDesc": self.desc}}
        ).encode()


class House:
    """Everything that a verification goes through, real but for platform, clock and secrets."""

    def __init__(self, table: "DynamoDBClient", clock: FakeClock, secrets: dict[str, str]) -> None:
        self.table = table
        self.clock = clock
        self.secrets = secrets
        self.fetched: list[str] = []
        self.platform = FakePlatform()
        self.settings = Settings.from_environment(
            {
                "APP_ID": "000340",
                "ALLOWED_ORIGINS": "https://www.example.com",
                "SIGNING_SECRET_ID": "signing",
                "VERIFICATION_SECRET_ID": "verification",
                "PEPPER_SECRET_ID": "pepper",
                "TABLE_NAME": "attempts",
                "PLATFORM_URL": "http://127.0.0.1/verify",
            }
        )
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
    key = rsa_key(1024)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return House(
        table,
        clock,
        {
            "signing": json.dumps({"privateKey": private}),
            "verification": json.dumps({"appKey": APP_KEY, "platformPublicKey": public}),
            "pepper": PEPPER,
        },
    )


# Each ending: what the platform does, what the page gets, whether the attempt is spent (1) or unjudged (-1).

ENDINGS: Final[dict[str, tuple[str | bytes | Exception, Problem | None, int]]] = {
    "000": ("000", None, 1),
    "001": ("001", None, 1),
    "120020": ("120020", Problem.TOKEN_REJECTED, 0),
    "103605": ("103605", Problem.PLATFORM_REJECTED, 0),
    "130010": ("130010", Problem.PLATFORM_REJECTED, 0),
    "130016": ("130016", Problem.PLATFORM_REJECTED, 0),
    "130018": ("130018", Problem.PLATFORM_REJECTED, 0),
    "110004": ("110004", Problem.PLATFORM_REJECTED, 0),
    "111075": ("111075", Problem.PLATFORM_REJECTED, 0),
    "121011": ("121011", Problem.ATTEMPTS_EXHAUSTED, -1),
    "999999": ("999999", Problem.PLATFORM_ERROR, -1),
    "a code that no table has": ("105112", Problem.PLATFORM_ERROR, -1),
    "not the protocol": (b"<html>planted</html>", Problem.PLATFORM_ERROR, -1),
    "no proper HTTP": (BadAnswerError("the answer has HTTP status 502"), Problem.PLATFORM_ERROR, -1),
    "silence": (PlatformSilentError("ReadTimeoutError"), Problem.PLATFORM_TIMEOUT, -1),
    "a bug after it was sent": (KeyError("planted"), Problem.PLATFORM_ERROR, -1),
}


@pytest.mark.parametrize(("ending", "problem", "spent"), ENDINGS.values(), ids=ENDINGS)
def test_an_ending_is_an_outcome_and_settles_the_attempt(
    house: House, ending: str | bytes | Exception, problem: Problem | None, spent: int
) -> None:
    house.platform.ending = ending

    outcome = house.verify()

    assert outcome.problem is problem
    assert outcome.verified is (ending == "000")
    assert outcome.result_code == (ending if isinstance(ending, str) else "")
    assert outcome.msg_id == "message-0"
    assert outcome.attempts_left == (2 if ending == "001" else LIMIT - 1)
    assert house.spent() - house.unjudged() == spent


@pytest.mark.parametrize(("ending", "problem", "spent"), ENDINGS.values(), ids=ENDINGS)
def test_a_token_that_the_platform_may_have_seen_is_sent_once(
    house: House, ending: str | bytes | Exception, problem: Problem | None, spent: int
) -> None:
    house.platform.ending = ending
    first = house.verify()
    house.platform.ending = "000"

    assert [house.verify() for _ in range(3)] == [first] * 3

    assert first.problem is problem
    assert len(house.platform.asked) == 1
    assert house.spent() - house.unjudged() == spent


def test_another_environment_gives_the_same_outcome(house: House) -> None:
    house.platform.ending = "001"
    first = house.verify()

    house.verifier = house.build()

    assert house.verify() == first
    assert len(house.platform.asked) == 1


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


def test_a_pepper_that_is_too_short_is_refused_without_showing_it(house: House) -> None:
    house.secrets["pepper"] = "planted" + "x" * 24

    with pytest.raises(SecretUnavailableError, match="the pepper has fewer than 32 characters") as refusal:
        house.verify()

    assert "planted" not in str(refusal.value)


def test_a_key_too_small_for_the_appkey_sends_and_spends_nothing(house: House) -> None:
    verification = json.loads(house.secrets["verification"])
    house.secrets["verification"] = json.dumps(verification | {"appKey": "k" * 90})

    with pytest.raises(PlaintextTooLongError, match="118 bytes"):
        house.verify()

    assert (house.platform.asked, house.spent()) == ([], 0)
    assert house.table.scan(TableName="attempts")["Items"] == []


def test_the_limit_is_reached_by_verdicts_and_renewed_at_midnight(house: House) -> None:
    left = [house.verify(f"VM_{index}").attempts_left for index in range(LIMIT)]

    with pytest.raises(AttemptsExhaustedError) as refusal:
        house.verify("VM_ONE_MORE")

    assert left == [4, 3, 2, 1, 0]
    assert refusal.value.retry_after == 12 * 3600
    assert len(house.platform.asked) == LIMIT
    house.clock.advance(12 * 3600)
    assert house.verify("VM_ONE_MORE").verified  # the refused token was never sent


def test_made_up_tokens_use_up_nothing(house: House) -> None:
    house.platform.ending = "120020"

    for index in range(3 * LIMIT):
        assert house.verify(f"VM_MADE_UP_{index}").problem is Problem.TOKEN_REJECTED

    assert house.spent() == 0


def test_a_number_that_is_used_up_does_not_hold_up_another(house: House) -> None:
    for index in range(LIMIT):
        house.verify(f"VM_{index}")

    assert house.verify("VM_ANOTHER", OTHER_NUMBER).verified


def test_a_token_with_another_number_is_refused_without_a_call_or_an_attempt(house: House) -> None:
    house.verify()

    with pytest.raises(TokenReusedError):
        house.verify(number=OTHER_NUMBER)

    assert (len(house.platform.asked), house.spent()) == (1, 1)


def test_a_token_for_another_binding_is_refused_without_a_call_or_an_attempt(house: House) -> None:
    first = house.verify(binding="one login")

    with pytest.raises(TokenReusedError):
        house.verify(binding="another")

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


def test_a_request_that_is_being_worked_on_is_told_to_wait(house: House) -> None:
    refusals: list[RefusedError] = []

    class Asking(FakePlatform):
        def ask(self, request: bytes, *, within: float | None = None) -> bytes:
            with pytest.raises(RefusedError) as refusal:
                house.verify()
            refusals.append(refusal.value)
            return super().ask(request, within=within)

    house.platform = Asking()
    house.verifier = house.build()

    assert house.verify().verified

    assert [type(refusal) for refusal in refusals] == [TokenInUseError]
    assert refusals[0].retry_after == 1
    assert (len(house.platform.asked), house.spent()) == (1, 1)


# Clients.


def test_a_client_that_asks_too_often_is_told_to_wait(house: House) -> None:
    house.verifier = house.build(requests=2)
    house.verify("VM_1")
    house.verify("VM_2", OTHER_NUMBER)

    with pytest.raises(ClientBudgetExhaustedError) as refusal:
        house.verify("VM_3")

    assert refusal.value.retry_after == 3600
    assert house.verify("VM_3", address="203.0.113.8").verified


def test_a_subscriber_cannot_escape_into_the_rest_of_its_ipv6_network(house: House) -> None:
    house.verifier = house.build(requests=1)
    house.verify("VM_1", address="2001:db8:1:2::1")

    with pytest.raises(RefusedError):
        house.verify("VM_2", address="2001:db8:1:2:ffff::1")
    assert house.verify("VM_2", address="2001:db8:1:3::1").verified


def test_clients_are_not_counted_when_that_is_off(house: House) -> None:
    house.verify()

    items = house.table.scan(TableName="attempts")["Items"]
    assert not [item for item in items if "requests" in item]


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


def test_a_stranger_uses_up_a_share_of_a_numbers_attempts(house: House) -> None:
    house.platform.ending = "001"
    for index in range(3):
        house.verify(f"VM_{index}", address=STRANGER, information=f"of%20{index}")
    with pytest.raises(AttemptsExhaustedError):
        house.verify("VM_3", address=STRANGER, information="of%203")

    house.platform.ending = "000"

    assert house.verify().attempts_left == 4


def test_a_sim_uses_up_a_share_from_whatever_network(house: House) -> None:
    house.platform.ending = "001"
    for index in range(3):
        house.verify(f"VM_{index}", address=f"198.51.100.{index}", information="of%20one%20sim")

    with pytest.raises(AttemptsExhaustedError):
        house.verify("VM_3", address="198.51.100.3", information="of%20one%20sim")


@pytest.mark.parametrize("ending", ["999999", "103111", b"<html>", PlatformSilentError("ReadTimeoutError")])
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

    class Slow(FakePlatform):
        """A stranger's token is at the platform for two seconds, in which the owner comes."""

        def ask(self, request: bytes, *, within: float | None = None) -> bytes:
            if not self.asked:
                super().ask(request, within=within)
                began = house.clock.seconds
                with pytest.raises(AttemptsInFlightError):
                    house.verify("VM_OWNERS")
                waited.append(house.clock.seconds - began)
                self.ending = "120020"
                self.asked.pop()
            return super().ask(request, within=within)

    house.platform = Slow()
    house.verifier = house.build(limit=1)
    house.verify(address=STRANGER)

    assert 2.5 < waited[0] <= 3


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


def test_a_mismatch_gives_no_device(house: House) -> None:
    house.platform.ending = "001"

    assert house.request().device is None


def test_where_devices_are_off_there_are_none(house: House) -> None:
    house.verifier = house.build(days=0)

    assert house.request().device is None


# The budget of time.


def test_where_too_little_time_is_left_nothing_is_sent_reserved_or_held(house: House, logged: Log) -> None:
    slow = house.secrets.pop("signing")

    def fetch_slowly(secret_id: str) -> str:
        house.clock.advance(3)
        return {**house.secrets, "signing": slow}[secret_id]

    house.platform.seconds_ = 8
    house.verifier = house.build(fetch=fetch_slowly)

    with pytest.raises(OutOfTimeError):
        house.verify()

    assert (house.platform.asked, house.table.scan(TableName="attempts")["Items"]) == ([], [])
    assert logged()[-1]["msgId"] == "message-0"
    assert house.verify().verified  # the secrets are there by now


def test_the_exchange_gets_the_time_that_is_left(house: House) -> None:
    house.verify()

    assert house.platform.within == [10.0]  # 13 seconds less 3 for what follows


def test_the_msgid_is_logged_before_it_is_sent(house: House, logged: Log) -> None:
    seen: list[str] = []

    class Watching(FakePlatform):
        def ask(self, request: bytes, *, within: float | None = None) -> bytes:
            seen.extend(line["msgId"] for line in logged())
            return super().ask(request, within=within)

    house.platform = Watching()
    house.verifier = house.build()
    house.verify()

    assert seen == ["message-0"]


# What of the answer is passed on.


def test_the_platforms_words_are_passed_on(house: House) -> None:
    outcome = house.verify()

    assert (outcome.result_desc, outcome.task_id) == ("its words", "task-1")


@pytest.mark.parametrize(
    "text",
    [
        NUMBER,
        f"number {NUMBER} is it",
        TOKEN,
        f"token={TOKEN};",
        USER_INFORMATION,
        "x" * 129,
        "two\nlines",
        "\ud800",
        "\x1b[31mred",
        "\u202ereversed",
    ],
)
@pytest.mark.parametrize("code", ["000", "120020"])
def test_what_repeats_the_request_or_is_odd_is_not_passed_on_or_logged(
    house: House, logged: Log, text: str, code: str
) -> None:
    house.platform.ending = code
    house.platform.desc = house.platform.task_id = text

    outcome = house.verify()

    assert outcome.task_id == ""
    assert outcome.result_desc == {"000": "是本机号码", "120020": "token校验失败"}[code]
    assert text not in json.dumps(logged(), ensure_ascii=False)


def test_words_of_128_characters_are_passed_on(house: House) -> None:
    house.platform.desc = "号" * 128

    assert house.verify().result_desc == "号" * 128


def test_without_the_platforms_words_the_guides_are_given(house: House) -> None:
    house.platform.desc = house.platform.task_id = ""

    assert house.verify().result_desc == "是本机号码"


# Keys.


@pytest.mark.parametrize("code", ["130016", "130018"])
def test_a_mismatch_of_keys_has_both_fetched_anew_for_the_next_request(house: House, code: str) -> None:
    house.platform.ending = code
    house.verify("VM_1")
    house.fetched.clear()

    house.verify("VM_2")

    assert sorted(house.fetched) == ["signing", "verification"]


def test_keys_are_fetched_anew_every_ten_seconds_at_most(house: House) -> None:
    house.platform.ending = "130018"
    for index in range(20):
        house.verify(f"VM_{index}")
    assert house.fetched.count("signing") == 2

    house.clock.advance(10)
    house.verify("VM_A")
    house.verify("VM_B")

    assert house.fetched.count("signing") == 3


@pytest.mark.parametrize("code", ["000", "001", "120020", "999999", "110004"])
def test_other_codes_leave_the_keys_alone(house: House, code: str) -> None:
    house.platform.ending = code
    house.verify("VM_1")
    house.verify("VM_2")

    assert sorted(house.fetched) == ["pepper", "signing", "verification"]


def test_a_rotation_takes_effect_after_one_refusal(
    house: House, rsa_key: Callable[[int], RSAPrivateKey]
) -> None:
    house.verify("VM_1")
    new = rsa_key(2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    house.secrets["signing"] = json.dumps({"privateKey": new})
    house.platform.ending = "130018"
    house.verify("VM_2")
    house.verify("VM_3")

    lengths = [len(message["body"]["sign"]) for message in house.platform.asked]
    assert lengths == [172, 172, 344]


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


def test_without_a_table_the_platform_is_not_asked(house: House) -> None:
    house.break_down("PutItem")

    with pytest.raises(ConnectionError):
        house.verify()

    assert house.platform.asked == []


def test_without_a_reservation_the_platform_is_not_asked(house: House) -> None:
    house.break_down("UpdateItem", only="ADD attempts")

    with pytest.raises(ConnectionError):
        house.verify()

    assert house.platform.asked == []


# What is stored, counted and logged.


def _plain_hashes(text: str) -> set[str]:
    texts = (text, json.dumps(text))
    return {
        hashlib.new(name, text.encode()).hexdigest() for name in ("md5", "sha1", "sha256") for text in texts
    }


@pytest.fixture
def _every_ending(house: House) -> None:
    """Have had every ending once, for one number."""
    house.verifier = house.build(limit=1000, requests=1000)
    for index, (ending, _, _) in enumerate(ENDINGS.values()):
        house.platform.ending = ending
        house.platform.desc = f"{NUMBER} {TOKEN}-{index} {USER_INFORMATION}"
        house.verify(f"{TOKEN}-{index}", address=f"203.0.113.{index}")


@pytest.mark.usefixtures("_every_ending")
def test_nothing_personal_is_stored_and_no_plain_hash(house: House) -> None:
    items = house.table.scan(TableName="attempts")["Items"]

    documented = {"id", "attempts", "unjudged", "expiration", "requests", "request", "budget", "attempt"}
    keyed = r"outcome message-[0-9]+|(spent by|unjudged by|rejections of|mismatches (of|with)) [0-9a-f]{16}"
    names = {name for item in items for name in item} - documented
    assert not [name for name in names if not re.fullmatch(keyed, name)]
    stored = json.dumps(items, ensure_ascii=False)
    tokens = [f"{TOKEN}-{index}" for index in range(len(ENDINGS))]
    planted = {NUMBER, TOKEN, USER_INFORMATION, APP_KEY, PEPPER, "203.0.113.7", "planted"}
    plain = {digest for text in (NUMBER, "203.0.113.7", *tokens) for digest in _plain_hashes(text)}
    assert not [text for text in planted | plain if text in stored]


@pytest.mark.usefixtures("_every_ending")
def test_a_verdicts_record_is_its_outcome_and_nothing_more(house: House) -> None:
    items = house.table.scan(TableName="attempts")["Items"]

    members = {"problem", "result_code", "result_desc", "msg_id", "task_id", "attempts_left", "verified_at"}
    records = [
        json.loads(value["S"]) for item in items for name, value in item.items() if name.startswith("outcome")
    ]
    assert records
    assert all(set(record) == members for record in records)


@pytest.mark.parametrize(("ending", "problem", "spent"), ENDINGS.values(), ids=ENDINGS)
def test_nothing_personal_is_logged(
    house: House,
    logged: Log,
    capsys: pytest.CaptureFixture[str],
    ending: str | bytes | Exception,
    problem: Problem | None,
    spent: int,
) -> None:
    del problem, spent
    house.platform.ending = ending
    house.platform.desc = f"{NUMBER} {TOKEN} {USER_INFORMATION}"
    house.verify()

    lines = logged()
    output = json.dumps(lines, ensure_ascii=False) + "".join(capsys.readouterr())
    message = house.platform.asked[0]["body"]
    planted = {
        NUMBER,
        TOKEN,
        USER_INFORMATION,
        APP_KEY,
        PEPPER,
        "planted",
        message["sign"],
        message["phoneNum"],
    }
    assert lines
    assert not [text for text in planted if text in output]
    assert all(line["msgId"] == "message-0" for line in lines)


@pytest.mark.parametrize("code", ["000", "001", "130018", "120020", "999999"])
def test_an_answer_is_logged_for_whoever_can_mend_it(house: House, logged: Log, code: str) -> None:
    house.platform.ending = code

    house.verify()

    line = logged()[-1]
    level = {"130018": "ERROR", "999999": "ERROR"}.get(code, "INFO")
    assert (line["level"], line["resultCode"], line["taskId"]) == (level, code, "task-1")
    assert line["attempt"] == ("given back" if code in {"130018", "120020"} else "spent")
    assert len(line["number"]) == 16


# --- What is counted -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "counted"),
    [
        ("000", {"NumberVerified"}),
        ("001", {"NumberRefused"}),
        ("130018", {"OperatorCode"}),
        ("120020", {"PageCode"}),
        ("111002", {"UserCode"}),
        ("121011", {"UserCode", "PlatformLimitReached"}),
        ("999999", {"PlatformCode"}),
        ("424242", {"PlatformCode"}),
    ],
)
def test_an_answer_is_counted_under_who_can_mend_it(house: House, code: str, counted: set[str]) -> None:
    house.platform.ending = code

    house.verify()

    assert set(metrics.metric_set) == {"PlatformLatency", *counted}


def test_a_refusal_by_the_own_budget_is_not_counted_as_the_platforms(house: House) -> None:
    for index in range(LIMIT):
        house.verify(f"VM_{index}")
    metrics.clear_metrics()

    with pytest.raises(RefusedError):
        house.verify("VM_ONE_TOO_MANY")

    assert set(metrics.metric_set) == {"BudgetRefused"}
