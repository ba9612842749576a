"""The Lambda handler of `POST /verify`."""

import os
import time
import uuid
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from cmpassport.start import begin
from cmpassport import aws
from cmpassport.clock import utc_now
from cmpassport.errors import RefusedError
from cmpassport.http import Endpoint, Request
from cmpassport.problems import Action, Problem, ProblemError
from cmpassport.secret_cache import fetcher
from verify.budget import AttemptBudget, AttemptsExhaustedError, AttemptsInFlightError
from verify.clients import ClientBudget, ClientBudgetExhaustedError
from verify.devices import Devices
from verify.keyring import Keyring
from verify.once import TokenInUseError, TokenReusedError, Tokens
from verify.platform import Platform, PlatformUnreachableError
from verify.settings import ReceiptSettings, Settings
from verify.submission import Submission
from verify.verification import Clock, OutOfTimeError, Verification, Verifier

if TYPE_CHECKING:  # see _make_receipts
    from verify.receipt import Receipts

_PROBLEMS: Final[Mapping[type[RefusedError], Problem]] = {
    TokenInUseError: Problem.IN_PROGRESS,
    TokenReusedError: Problem.TOKEN_REUSED,
    AttemptsExhaustedError: Problem.ATTEMPTS_EXHAUSTED,
    AttemptsInFlightError: Problem.TOO_MANY_REQUESTS,
    ClientBudgetExhaustedError: Problem.TOO_MANY_REQUESTS,
    OutOfTimeError: Problem.PLATFORM_UNREACHABLE,
    PlatformUnreachableError: Problem.PLATFORM_UNREACHABLE,
}
_PLATFORMS_DAY: Final = 24 * 60 * 60
"""Seconds. The guide says "a day" and not from when: by then the platform's limit is renewed in any case."""


@cache
def _secrets_manager() -> Callable[[str], str]:
    return fetcher(aws.client("secretsmanager"))


@cache
def _verifier() -> Verifier:
    dynamodb = aws.client("dynamodb")
    table = _settings.table_name
    return Verifier(
        keyring=_keyring,
        attempts=AttemptBudget(dynamodb, table, _settings.daily_attempt_limit),
        clients=ClientBudget(
            dynamodb,
            table,
            requests=_settings.client_hourly_limit,
            mismatches=_settings.mismatch_hourly_limit,
        ),
        devices=Devices(_settings.device_days),
        tokens=Tokens(dynamodb, table),
        platform=Platform(_settings.platform_url, _settings.limits, time.monotonic),
        clock=Clock(utc_now, time.monotonic, time.sleep),
        new_msg_id=lambda: str(uuid.uuid4()),
    )


def _make_clients() -> None:
    _secrets_manager()
    _verifier()


def _make_receipts(settings: ReceiptSettings) -> "Receipts":
    from verify.receipt import Receipts, parse_keys  # noqa: PLC0415 - 35 to 50 ms, for receipts only

    keys = _keyring.add(lambda: parse_keys(_fetch(settings.secret_id), settings.number_form, utc_now()))
    return Receipts(settings, _settings.common.app_id, keys.get, utc_now)


def _fetch(secret_id: str) -> str:
    return _secrets_manager()(secret_id)


_settings = Settings.from_environment(os.environ)
_keyring = Keyring(_settings, _fetch, time.monotonic)
_receipts = _make_receipts(_settings.receipts) if _settings.receipts else None


def verify_number(request: Request) -> Mapping[str, Any]:
    """Verify the number that a page submits; add a receipt of a positive verdict where receipts are on."""
    began = time.monotonic()
    submission = Submission.from_fields(request.fields)
    if _receipts is None:
        return _answer(_verify(submission, request, began), submission)
    login = _receipts.prepare(
        submission.number,
        domain_name=request.domain_name,
        audience=request.origin,
        nonce=submission.nonce,
    )
    verification = _verify(submission, request, began, login.binding)
    answer = _answer(verification, submission)
    receipt = _receipts.issue(verification.outcome, login)
    return answer if receipt is None else {**answer, "receipt": receipt}


def _verify(submission: Submission, request: Request, began: float, binding: str = "") -> Verification:
    try:
        return _verifier().verify(submission, request.client_address, began, binding)
    except RefusedError as error:
        raise ProblemError(_PROBLEMS[type(error)], retry_after=error.retry_after) from None


def _answer(verification: Verification, submission: Submission) -> Mapping[str, Any]:
    outcome, device = verification.outcome, verification.device
    if outcome.problem is not None:
        limit_reached = outcome.problem is Problem.ATTEMPTS_EXHAUSTED
        hint = submission.miscoding if outcome.problem is Problem.TOKEN_REJECTED else None
        raise ProblemError(
            outcome.problem,
            hint and f"{outcome.problem.detail} Here {hint}.",
            retry_after=_PLATFORMS_DAY if limit_reached else None,
            result_code=outcome.result_code or None,
        )
    answer = {
        "verified": outcome.verified,
        "resultCode": outcome.result_code,
        "resultDesc": outcome.result_desc,
        "action": (Action.LOGIN if outcome.verified else Action.REFUSE).value,
        "msgId": outcome.msg_id,
        "taskId": outcome.task_id,
        "attemptsLeft": outcome.attempts_left,
    }
    return answer if device is None else {**answer, "device": device}


handler = Endpoint(verify_number, _settings.common.allowed_origins)
begin(_make_clients, os.environ, "dynamodb", "secretsmanager")
