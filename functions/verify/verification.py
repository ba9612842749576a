"""The verification of a number (guide steps 13 to 16): claim the token, reserve, ask, settle.

Whatever the platform may have seen of a token is the token's outcome, stored and returned again. Of what it
surely has not seen there is none: the attempt is given back and the token may be sent again.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from cmpassport.problems import Problem
from cmpassport.telemetry import Metric, count, describe, logger, record_milliseconds
from verify.budget import AttemptBudget, AttemptsExhaustedError, ClientBudget, Reservation, client_network
from verify.codes import KEY_FAULTS, NOT_THIS_SIM, VERIFIED, ReturnCode, Settlement, Who, look_up
from verify.hashing import LOGGED_HASH_DIGITS, Salt, keyed_hash
from verify.keyring import Keyring
from verify.message import Answer, read_answer, write_request
from verify.once import OneOutcome
from verify.outcome import Outcome
from verify.platform import Platform, PlatformSilentError, PlatformUnreachableError
from verify.submission import Submission

_QUOTED_CHARACTERS: Final = 128

_VERDICTS: Final = {VERIFIED.code: Metric.NUMBER_VERIFIED, NOT_THIS_SIM.code: Metric.NUMBER_REFUSED}
_CODES: Final = {
    Who.OPERATOR: Metric.OPERATOR_CODE,
    Who.PAGE: Metric.PAGE_CODE,
    Who.USER: Metric.USER_CODE,
    Who.PLATFORM: Metric.PLATFORM_CODE,
}


class Verifier:
    """Verifies numbers; one for the life of the function.

    Parameters
    ----------
    keyring
        Keys and pepper.
    attempts
        Budget per number and day.
    clients
        Budget per client address and hour.
    once
        Keeps one outcome for each token.
    platform
        The platform's endpoint.
    now
        Clock, aware.
    monotonic
        Clock in seconds, for durations.
    new_msg_id
        Makes the unique identifier of a request.
    """

    def __init__(
        self,
        *,
        keyring: Keyring,
        attempts: AttemptBudget,
        clients: ClientBudget,
        once: OneOutcome,
        platform: Platform,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        new_msg_id: Callable[[], str],
    ) -> None:
        self._keyring = keyring
        self._attempts = attempts
        self._clients = clients
        self._once = once
        self._platform = platform
        self._now = now
        self._monotonic = monotonic
        self._new_msg_id = new_msg_id

    def verify(self, submission: Submission, client_address: str, binding: str = "") -> Outcome:
        """Return the token's outcome, asking the platform if it has none yet.

        Parameters
        ----------
        submission
            What the page handed over.
        client_address
            The caller's IP address.
        binding
            What else must be the same when the token comes again, beside the number.

        Raises
        ------
        AttemptsExhaustedError, ClientBudgetExhaustedError, TokenInUseError, TokenReusedError
            Nothing was sent.
        PlatformUnreachableError
            Nothing was sent; the attempt is given back and the token may be sent again.
        """
        pepper = self._keyring.pepper()
        number_hash = keyed_hash(pepper, Salt.NUMBER, submission.number)
        request_hash = number_hash
        if binding:
            request_hash = keyed_hash(pepper, Salt.REQUEST, f"{submission.number}\0{binding}")
        if self._clients.limit:
            address_hash = keyed_hash(pepper, Salt.ADDRESS, client_network(client_address))
            self._clients.count(address_hash, self._now())
        record = self._once.run(
            token_hash=keyed_hash(pepper, Salt.TOKEN, submission.token),
            request_hash=request_hash,
            work=lambda: self._ask(submission, number_hash).to_record(),
        )
        return Outcome.from_record(record)

    def _ask(self, submission: Submission, number_hash: str) -> Outcome:
        msg_id = self._new_msg_id()
        credentials = self._keyring.credentials()
        instant = self._now()
        # Written before the attempt is reserved: nothing but the call itself can fail between the two.
        request = write_request(submission, credentials, msg_id=msg_id, instant=instant)
        try:
            reservation = self._attempts.reserve(number_hash, msg_id, instant)
        except AttemptsExhaustedError:
            count(Metric.BUDGET_REFUSED)
            raise
        started = self._monotonic()
        try:
            answer = read_answer(self._platform.ask(request), msg_id=msg_id, app_id=credentials.app_id)
        except PlatformUnreachableError as error:
            self._give_back(reservation)
            logger.error("the platform is unreachable", reason=str(error), msgId=msg_id)
            raise
        except PlatformSilentError as error:
            count(Metric.NO_ANSWER)
            return self._without_answer(Problem.PLATFORM_TIMEOUT, error, reservation)
        except Exception as error:  # noqa: BLE001 - sent and perhaps judged: even a bug here burns the token
            count(Metric.BAD_ANSWER)
            return self._without_answer(Problem.PLATFORM_ERROR, error, reservation)
        finally:
            record_milliseconds(Metric.PLATFORM_LATENCY, (self._monotonic() - started) * 1000)
        return self._settle(answer, submission, number_hash, reservation)

    def _without_answer(self, problem: Problem, error: Exception, reservation: Reservation) -> Outcome:
        """Leave the attempt spent: the platform may have judged."""
        logger.error(
            "the platform gave no answer", extra={"msgId": reservation.attempt_id, **describe(error)}
        )
        return Outcome(
            problem, "", "", reservation.attempt_id, "", reservation.attempts_left, self._seconds()
        )

    def _settle(
        self, answer: Answer, submission: Submission, number_hash: str, reservation: Reservation
    ) -> Outcome:
        code = look_up(answer.result_code)
        if code.settlement is Settlement.GIVEN_BACK:
            self._give_back(reservation)
        if code.code in KEY_FAULTS:
            self._keyring.refresh_soon()
        outcome = Outcome(
            problem=code.problem,
            result_code=code.code,
            result_desc=_quotable(answer.result_desc, submission) or code.description,
            msg_id=reservation.attempt_id,
            task_id=_quotable(answer.task_id, submission),
            attempts_left=reservation.attempts_left,
            verified_at=self._seconds(),
        )
        _report(code, outcome, number_hash)
        return outcome

    def _seconds(self) -> int:
        return int(self._now().timestamp())

    def _give_back(self, reservation: Reservation) -> None:
        try:
            self._attempts.give_back(reservation)
        except Exception as error:  # noqa: BLE001 - the answer counts; an attempt too many is the safe side
            count(Metric.ATTEMPT_NOT_GIVEN_BACK)
            logger.warning("an attempt could not be given back", extra=describe(error))


def _report(code: ReturnCode, outcome: Outcome, number_hash: str) -> None:
    count(_VERDICTS.get(code.code) or _CODES[code.who])
    if code.problem is Problem.ATTEMPTS_EXHAUSTED:
        count(Metric.PLATFORM_LIMIT_REACHED)
    log = logger.error if code.who in {Who.OPERATOR, Who.PLATFORM} else logger.info
    log(
        "the platform answered",
        extra={
            "resultCode": code.code,
            "who": code.who.value,
            "attempt": code.settlement.value,
            "attemptsLeft": outcome.attempts_left,
            "number": number_hash[:LOGGED_HASH_DIGITS],
            "msgId": outcome.msg_id,
            "taskId": outcome.task_id,
        },
    )


def _quotable(text: str, submission: Submission) -> str:
    """Return the platform's text if it is short, printable and repeats nothing of the request; else ''."""
    repeated = (submission.number, submission.token, submission.user_information)
    if len(text) > _QUOTED_CHARACTERS or not text.isprintable() or any(part in text for part in repeated):
        return ""
    return text
