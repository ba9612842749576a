"""The Lambda handler of `POST /verify`."""

import gc

gc.disable()  # until this module ends: what it imports is no garbage, and looking takes a tenth of a start

import os
import re
import time
import uuid
from collections.abc import Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from urllib3.util import parse_url

from cmpassport import aws
from cmpassport.clock import seconds_to_midnight, utc_now
from cmpassport.http import Endpoint, Request, check_members, invalid_request
from cmpassport.problems import Action, FieldError, Problem, ProblemError
from cmpassport.secrets_manager import SecretReader
from cmpassport.snapshot import begin
from cmpassport.telemetry import Metric, count, describe, logger
from verify.budget import AttemptBudget, ClientBudget
from verify.keyring import Keyring
from verify.message import Submission
from verify.number import normalise
from verify.once import OneOutcome
from verify.platform import Platform, connection_pool
from verify.settings import Settings
from verify.verification import Outcome, Verifier

if TYPE_CHECKING:
    from verify.receipt import Receipts

_TOKEN: Final = re.compile(r"[!-~]{1,1024}", re.ASCII)
_NONCE: Final = re.compile(r"[!-~]{1,256}", re.ASCII)
_MAX_TEXT_CHARACTERS: Final = 8192

_DETAILS: Final = {
    Problem.TOKEN_REJECTED: "Get a new token from the SDK; pass userInformation on verbatim.",
    Problem.ATTEMPTS_EXHAUSTED: "This number's attempts of today are used up. Use another way to log in.",
    Problem.PLATFORM_REJECTED: "The operator of this service has to mend this. Use another way to log in.",
    Problem.PLATFORM_ERROR: "The platform gave no verdict. Get a new token and try again.",
    Problem.PLATFORM_TIMEOUT: "The platform did not answer in time. Get a new token and try again.",
}


def _outcome_not_stored(error: Exception) -> None:
    count(Metric.OUTCOME_NOT_STORED)
    logger.warning("an outcome could not be stored", extra=describe(error))


_settings = Settings.from_environment(os.environ)
_secrets = SecretReader(os.environ)
_keyring = Keyring(_settings, _secrets.fetch)


@cache
def _verifier() -> Verifier:
    settings = _settings
    dynamodb = aws.client("dynamodb")
    _secrets.prepare()
    address = parse_url(settings.platform_url)
    return Verifier(
        keyring=_keyring,
        attempts=AttemptBudget(dynamodb, settings.table_name, settings.daily_attempt_limit),
        clients=ClientBudget(dynamodb, settings.table_name, settings.client_hourly_limit),
        once=OneOutcome(dynamodb, settings.table_name, _outcome_not_stored),
        platform=Platform(
            partial(connection_pool, settings.platform_url),
            address.request_uri,
            settings.limits,
            time.monotonic,
        ),
        now=utc_now,
        monotonic=time.monotonic,
        new_msg_id=lambda: str(uuid.uuid4()),
    )


def _make_receipts() -> "Receipts | None":
    if _settings.receipts is None:
        return None
    from verify.receipt import Receipts  # noqa: PLC0415 - brings a library, for receipts only

    return Receipts(_settings.receipts, _settings.common.app_id, _keyring.receipts, utc_now)


_receipts = _make_receipts()
begin(_verifier, os.environ, "dynamodb", "secretsmanager")


def verify_number(request: Request) -> Mapping[str, Any]:
    """Verify the number that a page submits; give a receipt of a positive verdict where receipts are on."""
    submission = _read_submission(request.fields)
    if _receipts is None:
        return _answer(_verifier().verify(submission, request.client_address))
    login = _receipts.prepare(
        submission.number,
        domain_name=request.domain_name,
        audience=request.origin,
        nonce=request.fields.get("nonce"),
    )
    outcome = _verifier().verify(submission, request.client_address, login.purpose)
    answer = _answer(outcome)
    receipt = _receipts.issue(outcome, login)
    return answer if receipt is None else {**answer, "receipt": receipt}


def _answer(outcome: Outcome) -> Mapping[str, Any]:
    if outcome.problem is not None:
        raise _refusal(outcome.problem, outcome)
    return {
        "verified": outcome.verified,
        "resultCode": outcome.result_code,
        "resultDesc": outcome.result_desc,
        "action": (Action.LOGIN if outcome.verified else Action.REFUSE).value,
        "msgId": outcome.msg_id,
        "taskId": outcome.task_id,
        "attemptsLeft": outcome.attempts_left,
    }


def _read_submission(fields: Mapping[str, Any]) -> Submission:
    check_members(fields, ("phoneNum", "token", "userInformation"), ("expandParams", "nonce"))
    number = normalise(fields["phoneNum"])
    errors = []
    if number is None:
        errors.append(FieldError("phoneNum", "is no mainland mobile number: 11 digits, starting 13 to 19"))
    if not _TOKEN.fullmatch(fields["token"]):
        errors.append(FieldError("token", "is no token: 1 to 1024 printable ASCII characters without spaces"))
    for name in ("userInformation", "expandParams"):
        value = fields.get(name)
        if value is not None and not (value.isprintable() and len(value) <= _MAX_TEXT_CHARACTERS):
            errors.append(FieldError(name, f"must be printable, at most {_MAX_TEXT_CHARACTERS} characters"))
    if fields["userInformation"] == "":
        errors.append(FieldError("userInformation", "is empty; pass on what the SDK gave"))
    if not _NONCE.fullmatch(fields.get("nonce", "-")):
        errors.append(FieldError("nonce", "must be 1 to 256 printable ASCII characters without spaces"))
    if errors or number is None:
        raise invalid_request(*errors)
    return Submission(number, fields["token"], fields["userInformation"], fields.get("expandParams"))


def _refusal(problem: Problem, outcome: Outcome) -> ProblemError:
    exhausted = problem is Problem.ATTEMPTS_EXHAUSTED
    return ProblemError(
        problem,
        _DETAILS[problem],
        retry_after=seconds_to_midnight(utc_now()) if exhausted else None,
        result_code=outcome.result_code or None,
    )


handler = Endpoint(verify_number, _settings.common.allowed_origins)

gc.freeze()  # all of this stays: no later collection looks at it
gc.enable()
