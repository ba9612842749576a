"""The verification of a number (guide steps 13 to 16): claim the token, reserve, ask, settle.

What becomes of a token that the platform may have seen is its outcome, kept and returned again. A token that
it cannot have seen has none: the attempt is given back and the token may be sent again.

The whole has one budget of time, below a page's patience. Each AWS call and the exchange have bounds of
their own, and the exchange gets what is left: where that is too little, nothing is sent, and the page may
try again at once.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final
from urllib.parse import unquote, unquote_plus

from cmpassport.errors import RefusedError
from cmpassport.problems import Problem
from cmpassport.telemetry import CARRIES_METRICS, Metric, count, describe, logger, record_milliseconds
from verify.budget import (
    AttemptBudget,
    AttemptsExhaustedError,
    AttemptsInFlightError,
    Caller,
    Reservation,
    day_key,
)
from verify.clients import ClientBudget, ClientBudgetExhaustedError, client_network
from verify.codes import KEY_FAULTS, Ending, ReturnCode, Who, look_up
from verify.devices import Devices
from verify.hashing import LOGGED_HASH_DIGITS, Salt, keyed_hash
from verify.keyring import Keyring
from verify.message import Answer, read_answer, write_request
from verify.once import Claim, TokenInUseError, Tokens
from verify.outcome import Outcome
from verify.platform import Platform, PlatformSilentError, PlatformUnreachableError
from verify.submission import Submission

REQUEST_SECONDS: Final = 13.0
"""For the whole request; a page gives up after 15 seconds."""
SETTLE_SECONDS: Final = 3.0
"""Of these for what follows the platform's answer."""
SECRET_SECONDS: Final = 1.0
"""What must be left for the exchange when a secret is fetched; else the page would not see the answer."""
PATIENCE_SECONDS: Final = 3.0
"""How long an attempt waits for others that are under way, before it is refused."""
_PAUSE_SECONDS: Final = 0.15
"""Before it asks for a place again; twice that each time, up to the longest."""
_LONGEST_PAUSE_SECONDS: Final = 0.6
_CALLER_DIGITS: Final = 16
"""Hexadecimal digits of the keyed hashes that tell callers apart."""

_QUOTED: Final = 128
_TASK_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)
_TELLING: Final = 6
"""Characters from which on a repeated text says something of the request."""

_VERDICTS: Final = {Ending.MATCH: Metric.NUMBER_VERIFIED, Ending.MISMATCH: Metric.NUMBER_REFUSED}
_CODES: Final = {
    Who.OPERATOR: Metric.OPERATOR_CODE,
    Who.PAGE: Metric.PAGE_CODE,
    Who.USER: Metric.USER_CODE,
    Who.PLATFORM: Metric.PLATFORM_CODE,
}


@dataclass(frozen=True, slots=True)
class Clock:
    """The time, and how to let it pass.

    Attributes
    ----------
    now
        Returns the present instant, aware.
    monotonic
        Returns seconds, for durations.
    sleep
        Waits for so many seconds.
    """

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]


class OutOfTimeError(RefusedError):
    """There is too little time left to ask the platform; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a request gets.

    Attributes
    ----------
    outcome
        The token's outcome.
    device
        After a match, what the page may keep and send along next time; None where devices are off.
    """

    outcome: Outcome
    device: str | None


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One attempt on its way."""

    submission: Submission
    number_hash: str
    claim: Claim
    caller: Caller
    network_hash: str
    is_known: bool
    ends_at: float

    @property
    def msg_id(self) -> str:
        """The identifier of attempt and request."""
        return self.claim.attempt_id


class Verifier:
    """Verifies numbers; one for the life of the function.

    Parameters
    ----------
    keyring
        Keys and pepper.
    attempts
        Budget per number, or known device, and day.
    clients
        Budgets per client network and hour.
    devices
        Known devices.
    tokens
        Claims of tokens.
    platform
        The platform's endpoint.
    clock
        The clock.
    new_msg_id
        Makes the unique identifier of a request.
    """

    def __init__(
        self,
        *,
        keyring: Keyring,
        attempts: AttemptBudget,
        clients: ClientBudget,
        devices: Devices,
        tokens: Tokens,
        platform: Platform,
        clock: Clock,
        new_msg_id: Callable[[], str],
    ) -> None:
        self._keyring = keyring
        self._attempts = attempts
        self._clients = clients
        self._devices = devices
        self._tokens = tokens
        self._platform = platform
        self._now = clock.now
        self._monotonic = clock.monotonic
        self._sleep = clock.sleep
        self._new_msg_id = new_msg_id

    def verify(
        self, submission: Submission, client_address: str, began: float, binding: str = ""
    ) -> Verification:
        """Return the token's outcome, asking the platform if it has none yet.

        Parameters
        ----------
        submission
            What the page handed over.
        client_address
            The caller's IP address.
        began
            When the request began, by the monotonic clock.
        binding
            What else must be the same when the token comes again, beside the submission.

        Raises
        ------
        AttemptsExhaustedError, AttemptsInFlightError, ClientBudgetExhaustedError
            A budget refused the attempt; nothing was sent.
        TokenInUseError, TokenReusedError
            The token is another request's, or this one's, which has no outcome yet; nothing was sent.
        OutOfTimeError, PlatformUnreachableError
            Nothing was sent, and the token may be sent again.
        """
        pepper, now = self._keyring.pepper(), self._now()
        number_hash = keyed_hash(pepper, Salt.NUMBER, submission.number)
        network = keyed_hash(pepper, Salt.ADDRESS, client_network(client_address))
        device = self._devices.recognise(pepper, number_hash, submission.device, now)
        request = (submission.number, submission.user_information, submission.expand_params or "", binding)
        attempt = _Attempt(
            submission,
            number_hash,
            Claim(
                keyed_hash(pepper, Salt.TOKEN, submission.token),
                keyed_hash(pepper, Salt.REQUEST, "\0".join(request)),
                day_key(f"{number_hash}#{device}" if device else number_hash, now),
                self._new_msg_id(),
            ),
            Caller(
                network[:_CALLER_DIGITS],
                keyed_hash(pepper, Salt.SIM, submission.user_information)[:_CALLER_DIGITS],
            ),
            network_hash=network,
            is_known=device is not None,
            ends_at=began + REQUEST_SECONDS,
        )
        self._client_may(self._clients.count_request, network, attempt, now)
        outcome = self._once(attempt)
        if not outcome.verified:
            return Verification(outcome, None)
        seed = keyed_hash(pepper, Salt.DEVICE, submission.token)
        verified_at = datetime.fromtimestamp(outcome.verified_at, UTC)
        return Verification(outcome, self._devices.issue(pepper, number_hash, seed, device, verified_at))

    def _once(self, attempt: _Attempt) -> Outcome:
        """Return the outcome of the token's one attempt: this one, or an earlier one's."""
        claim = attempt.claim
        held = self._tokens.claim(claim, self._now())
        if held.attempt_id != claim.attempt_id:
            record = held.outcome or self._attempts.outcome(held.day_key, held.attempt_id)
            if record is None:
                raise TokenInUseError
            return Outcome.from_record(record)
        try:
            request, reservation = self._prepare(attempt)
        except Exception:
            self._release(attempt)
            raise
        try:
            return self._ask(request, attempt, reservation)
        except PlatformUnreachableError:
            self._release(attempt)
            raise

    def _prepare(self, attempt: _Attempt) -> tuple[bytes, Reservation]:
        """Return the request and the attempt that is reserved for it; if this fails, nothing was sent."""
        credentials = self._keyring.credentials(partial(self._check_time, attempt, SECRET_SECONDS))
        instant = self._now()
        if not attempt.is_known:
            self._client_may(self._clients.check_mismatches, attempt.network_hash, attempt, instant)
        # Written before the attempt is reserved: nothing but the call itself can fail between the two.
        request = write_request(attempt.submission, credentials, msg_id=attempt.msg_id, instant=instant)
        self._check_time(attempt, self._platform.seconds)
        reservation = self._reserve(attempt)
        try:
            self._check_time(attempt, self._platform.seconds - PATIENCE_SECONDS)
        except OutOfTimeError:
            self._settle(attempt, reservation, Ending.GIVEN_BACK, None)
            raise
        return request, reservation

    def _ask(self, request: bytes, attempt: _Attempt, reservation: Reservation) -> Outcome:
        """Ask the platform; whatever may have been sent has an outcome."""
        logger.info(
            "the platform is asked", number=attempt.number_hash[:LOGGED_HASH_DIGITS], msgId=attempt.msg_id
        )
        started = self._monotonic()
        try:
            data = self._platform.ask(request, within=self._left(attempt))
            answer = read_answer(data, msg_id=attempt.msg_id, app_id=self._keyring.app_id)
        except PlatformUnreachableError as error:
            self._settle(attempt, reservation, Ending.GIVEN_BACK, None)
            logger.error("the platform is unreachable", reason=str(error), msgId=attempt.msg_id)
            raise
        except PlatformSilentError as error:
            count(Metric.NO_ANSWER)
            return self._without_answer(Problem.PLATFORM_TIMEOUT, error, attempt, reservation)
        except Exception as error:  # noqa: BLE001 - sent and perhaps judged: even a bug here burns the token
            count(Metric.BAD_ANSWER)
            return self._without_answer(Problem.PLATFORM_ERROR, error, attempt, reservation)
        finally:
            record_milliseconds(Metric.PLATFORM_LATENCY, (self._monotonic() - started) * 1000)
        return self._judge(answer, attempt, reservation)

    def _left(self, attempt: _Attempt) -> float:
        """Return the seconds that are left for the exchange with the platform."""
        return attempt.ends_at - SETTLE_SECONDS - self._monotonic()

    def _check_time(self, attempt: _Attempt, seconds: float) -> None:
        """Check that so many seconds are left for the exchange with the platform."""
        if self._left(attempt) < seconds:
            logger.error("too little time is left to ask the platform", msgId=attempt.msg_id)
            raise OutOfTimeError("too little time is left to ask the platform")

    def _check_page_waits(self, attempt: _Attempt) -> None:
        """Check that the answer, which the page waits for, may be kept waiting for one call more."""
        if self._monotonic() >= attempt.ends_at:
            raise OutOfTimeError("the page has to be answered")

    def _client_may(
        self, ask: Callable[[str, datetime], None], network: str, attempt: _Attempt, now: datetime
    ) -> None:
        """Ask a budget of the client's network; a refusal has its line in the log."""
        try:
            ask(network, now)
        except ClientBudgetExhaustedError as error:
            _refused(error, attempt)
            raise

    def _reserve(self, attempt: _Attempt) -> Reservation:
        """Reserve an attempt; wait a little for others that are under way."""
        patient_until = min(self._monotonic() + PATIENCE_SECONDS, attempt.ends_at - SETTLE_SECONDS)
        key, pause, waits = attempt.claim.day_key, _PAUSE_SECONDS, False
        while True:
            last = self._monotonic() + pause > patient_until
            try:
                return self._attempts.reserve(
                    key, attempt.msg_id, attempt.caller, self._now(), waits=waits, last=last
                )
            except AttemptsInFlightError as error:
                if last or not error.worth_waiting:
                    _refused(error, attempt)
                    raise
            except AttemptsExhaustedError as error:
                _refused(error, attempt)
                raise
            self._sleep(pause)
            waits = True
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _without_answer(
        self, problem: Problem, error: Exception, attempt: _Attempt, reservation: Reservation
    ) -> Outcome:
        """Return the outcome of an attempt that the platform may have judged."""
        msg_id = attempt.msg_id
        logger.error("the platform gave no answer", extra={"msgId": msg_id, **describe(error)})
        outcome = Outcome(problem, "", "", msg_id, "", reservation.attempts_left + 1, self._seconds())
        self._settle(attempt, reservation, Ending.UNJUDGED, outcome)
        return outcome

    def _judge(self, answer: Answer, attempt: _Attempt, reservation: Reservation) -> Outcome:
        code = look_up(answer.result_code)
        if code.code in KEY_FAULTS:
            self._keyring.refresh_soon()
        left = reservation.attempts_left + (code.ending not in _VERDICTS)
        task_id = answer.task_id if _TASK_ID.fullmatch(answer.task_id) else ""
        outcome = Outcome(
            problem=code.problem,
            result_code=code.code,
            result_desc=_quotable(answer.result_desc, attempt.submission) or code.description,
            msg_id=attempt.msg_id,
            task_id=_quotable(task_id, attempt.submission),
            attempts_left=min(left, reservation.mismatches_left) if code.ending is Ending.MISMATCH else left,
            verified_at=self._seconds(),
        )
        _report(code, outcome, attempt)  # first: from here on it is found by its msgId
        self._settle(attempt, reservation, code.ending, outcome)
        if code.ending is Ending.MISMATCH:
            self._count_mismatch(attempt)
        return outcome

    def _seconds(self) -> int:
        return int(self._now().timestamp())

    def _settle(
        self, attempt: _Attempt, reservation: Reservation, ending: Ending, outcome: Outcome | None
    ) -> None:
        try:
            now = self._now()
            record = None if outcome is None else outcome.to_record()
            if ending is Ending.GIVEN_BACK:
                self._attempts.settle(reservation, ending, None, now)
                if record is not None:
                    self._check_page_waits(attempt)
                    self._tokens.keep(attempt.claim, record)
            else:
                self._attempts.settle(reservation, ending, record, now)
        except Exception as error:  # noqa: BLE001 - the answer counts; the flight lapses by itself
            count(Metric.ATTEMPT_NOT_SETTLED)
            logger.warning(
                "an attempt could not be settled", extra={"msgId": attempt.msg_id, **describe(error)}
            )

    def _count_mismatch(self, attempt: _Attempt) -> None:
        try:
            self._check_page_waits(attempt)
            self._clients.count_mismatch(attempt.network_hash, self._now())
        except Exception as error:  # noqa: BLE001 - the verdict counts
            logger.warning("a mismatch could not be counted", extra=describe(error))

    def _release(self, attempt: _Attempt) -> None:
        try:
            self._check_page_waits(attempt)
            self._tokens.release(attempt.claim)
        except Exception as error:  # noqa: BLE001 - the error that led here counts; the claim lapses by itself
            count(Metric.ATTEMPT_NOT_SETTLED)
            logger.warning("a token could not be released", extra=describe(error))


def _refused(error: RefusedError, attempt: _Attempt) -> None:
    count(Metric.BUDGET_REFUSED)
    logger.warning(
        "a budget refused an attempt",
        reason=str(error),
        number=attempt.number_hash[:LOGGED_HASH_DIGITS],
        network=attempt.caller.network,
    )


def _report(code: ReturnCode, outcome: Outcome, attempt: _Attempt) -> None:
    count(_VERDICTS.get(code.ending) or _CODES[code.who])
    if code.problem is Problem.ATTEMPTS_EXHAUSTED:
        count(Metric.PLATFORM_LIMIT_REACHED)
    hint = attempt.submission.miscoding
    log = logger.error if code.who in {Who.OPERATOR, Who.PLATFORM} else logger.info
    log(
        "the platform answered",
        extra={
            "resultCode": code.code,
            "who": code.who.value,
            "attempt": "spent" if code.ending in _VERDICTS else code.ending.value,
            "attemptsLeft": outcome.attempts_left,
            "number": attempt.number_hash[:LOGGED_HASH_DIGITS],
            "msgId": outcome.msg_id,
            "taskId": outcome.task_id,
            **({"hint": hint} if code.problem is Problem.TOKEN_REJECTED and hint else {}),
            CARRIES_METRICS: code.problem is None,  # a refusal's are counted with the answer
        },
    )


def _quotable(text: str, submission: Submission) -> str:
    """Return the platform's text if it is short, printable and repeats nothing of the request; else ''."""
    if len(text) > _QUOTED or not text.isprintable():
        return ""
    if len(text) < _TELLING:
        return text
    numerals = [each for each in text if each.isnumeric()]
    digits = filter(str.isascii, numerals), (f"{unicodedata.numeric(each):g}" for each in numerals)
    parts = (submission.token, submission.user_information, submission.expand_params or "")
    forms = {*parts, *map(unquote, parts), *(unquote_plus(part) for part in parts if "+" in part)}
    shown = {text, unquote(text)}
    repeats = any(form in each for form in forms if len(form) >= _TELLING for each in shown)
    return "" if repeats or any(submission.number in "".join(each) for each in digits) else text
