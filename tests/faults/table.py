"""The table of faults: what may fail around a verification, and what then becomes of it.

`docs/faults.md` is written from it, and `tests/integration/test_fault_table.py` provokes each row on the
local stack and compares every column.
"""

from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import Any, Final

from tests.faults.aws import SECRETS, TABLE, AwsFault, Failure, Step


class Attempt(StrEnum):
    """What became of one of the number's attempts of the day."""

    SPENT = "spent"
    UNJUDGED = "unjudged"
    IN_FLIGHT = "in flight for 15 s, then unjudged"
    GIVEN_BACK = "given back"
    NOT_RESERVED = "not reserved"


class Again(StrEnum):
    """What the same request gets when it comes again, the fault being over."""

    SAME = "the same answer, no call"
    ANEW = "worked on anew"
    HELD = "409 in_progress, for five minutes"


class Moment(Enum):
    """The function, when the fault begins."""

    WARM = "has its secrets"
    COLD = "has no secrets yet"
    REFRESH = "is about to fetch its secrets again, after a 130018"
    LATE = "has no secrets yet, and next to no time but for the platform"
    LAST = "has its secrets, and is ended by Lambda before the fault is over"


@dataclass(frozen=True, slots=True)
class Cause:
    """All that is wrong in a row; by default nothing."""

    platform: dict[str, Any] | None = None  # a fault of the platform simulator
    aws: AwsFault | None = None
    address: str | None = None  # where the function looks for the platform, if not at its own address
    moment: Moment = Moment.WARM
    duplicate: Step | None = None  # what arrives once more when all is over


@dataclass(frozen=True, slots=True)
class Effect:
    """What the page, the operator and the budget see; docs/faults.md says what each column is."""

    answer: str
    attempt: Attempt
    calls: int
    again: Again
    metrics: frozenset[str]
    log: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    cause: Cause
    effect: Effect


@dataclass(frozen=True, slots=True)
class Part:
    title: str
    text: str
    rows: tuple[Row, ...]


_UNEXPECTED: Final = "ERROR an unexpected error"
_UNREACHABLE: Final = "ERROR the platform is unreachable"
_NO_ANSWER: Final = "ERROR the platform gave no answer"
_ANSWERED: Final = "the platform answered"
_STALE: Final = "WARNING a secret could not be refreshed; the last good one is used"
_NOT_SETTLED: Final = "WARNING an attempt could not be settled"
_NOT_RELEASED: Final = "WARNING a token could not be released"


def _effect(answer: str, attempt: Attempt, calls: int, again: Again, metrics: str, *log: str) -> Effect:
    return Effect(answer, attempt, calls, again, frozenset(metrics.split()), tuple(sorted(log)))


def _unreachable(reason: str, *log: str, again: Again = Again.ANEW, metrics: str = "") -> Effect:
    metrics += " PlatformLatency PlatformUnreachable"
    answer, log = "503 platform_unreachable retry", (f"{_UNREACHABLE} ({reason})", *log)
    return _effect(answer, Attempt.GIVEN_BACK, 0, again, metrics, *log)


def _silent(reason: str) -> Effect:
    answer, metrics = "504 platform_timeout retry", "PlatformLatency NoAnswer PlatformTimeout"
    return _effect(answer, Attempt.UNJUDGED, 1, Again.SAME, metrics, f"{_NO_ANSWER} ({reason})")


def _bad_answer(reason: str) -> Effect:
    answer, metrics = "502 platform_error retry", "PlatformLatency BadAnswer PlatformError"
    return _effect(answer, Attempt.UNJUDGED, 1, Again.SAME, metrics, f"{_NO_ANSWER} ({reason})")


def _verified(
    *log: str, attempt: Attempt = Attempt.SPENT, again: Again = Again.SAME, metrics: str = ""
) -> Effect:
    metrics += " PlatformLatency NumberVerified"
    return _effect("200 000 login", attempt, 1, again, metrics, *log, f"INFO {_ANSWERED} (000)")


def _internal(
    *log: str, attempt: Attempt = Attempt.NOT_RESERVED, again: Again = Again.ANEW, metrics: str = ""
) -> Effect:
    answer = "500 internal_error use_other_method"
    return _effect(answer, attempt, 0, again, f"{metrics} InternalError", *log)


def _platform(name: str, fault: str, effect: Effect, **parameters: Any) -> Row:
    return Row(name, Cause(platform={"fault": fault, **parameters}), effect)


def _code(code: str, level: str, answer: str, attempt: Attempt, metrics: str) -> Row:
    log, metrics = f"{level} {_ANSWERED} ({code})", f"PlatformLatency {metrics}"
    effect = _effect(answer.format(code), attempt, 1, Again.SAME, metrics, log)
    return _platform(f"return code {code}", "resultCode", effect, resultCode=code)


def _fault(step: Step, failure: Failure, times: int = 0, text: str = "") -> AwsFault:
    return AwsFault(frozenset({step}), failure, times, text)


def _cold(name: str, fault: AwsFault, effect: Effect) -> Row:
    return Row(f"{name} at the cold start", Cause(aws=fault, moment=Moment.COLD), effect)


_REFUSED: Final = "http://127.0.0.1:1"
_NO_NAME: Final = "http://" + "no." * 85 + "name"
"""Longer than a name may be (RFC 1035 section 2.3.4), so that no resolver is asked."""

_WAY: Final = Part(
    "The way to the platform",
    "A request that provably never left is tried once more, then refused: its attempt and its token are free"
    " again. So it is too without TLS, and with a certificate that nobody vouches for. Once anything may have"
    " left, nothing is sent a second time.",
    (
        Row("connection refused", Cause(address=_REFUSED), _unreachable("NewConnectionError")),
        Row("no such name in DNS", Cause(address=_NO_NAME), _unreachable("NameResolutionError")),
        _platform("connection reset after the verdict", "reset", _silent("ProtocolError"), when="after"),
        _platform("no answer", "delay", _silent("ReadTimeoutError"), seconds=10),
        _platform("body byte by byte", "drip", _silent("the answer did not end in time"), seconds=0.05),
    ),
)

_ANSWER: Final = Part(
    "The platform's answer",
    "What is not the protocol's answer to this very request may hide a verdict: the attempt is not given"
    " back.",
    (
        *(
            _platform(name, fault, _bad_answer(f"the answer{reason}"))
            for name, fault, reason in (
                ("connection closed in the middle of the body", "cut", " is cut off"),
                ("a body of 1 MiB", "oversized", " has more than 65536 bytes"),
                ("an HTML page with status 200", "html", " is not JSON"),
                ("no resultCode", "missingResultCode", " has no resultCode"),
                ("another request's msgId", "wrongMsgId", "'s msgId is not the request's"),
                ("another app's appId", "wrongAppId", "'s appId is not the configured one"),
            )
        ),
        _platform("HTTP status 503", "status", _bad_answer("the answer has HTTP status 503"), status=503),
    ),
)

_NO_TOKEN: Final = _code(
    "120020", "INFO", "422 token_rejected retry", Attempt.GIVEN_BACK, "PageCode TokenRejected"
)
_REJECTED: Final = ("502 platform_rejected use_other_method", Attempt.GIVEN_BACK)
_ERROR: Final = ("ERROR", "502 platform_error retry", Attempt.UNJUDGED, "PlatformCode PlatformError")
_OPERATORS: Final = ("103605", "130010", "130016", "130018", "130032", "110022", "110023", "110025")
_OPERATORS_TOO: Final = ("110027", "110004", "111075", "170001")

_CODES: Final = Part(
    "The platform's return codes",
    "000 and 001 are verdicts. The attempt is given back where the platform cannot have judged the number.",
    (
        _code("000", "INFO", "200 {} login", Attempt.SPENT, "NumberVerified"),
        _code("001", "INFO", "200 {} refuse", Attempt.SPENT, "NumberRefused"),
        _NO_TOKEN,
        _code(
            *("121011", "INFO", "429 attempts_exhausted use_other_method", Attempt.UNJUDGED),
            "UserCode PlatformLimitReached AttemptsExhausted",
        ),
        _code("500", "INFO", *_REJECTED, "PageCode PlatformRejected"),
        _code("111002", "INFO", *_REJECTED, "UserCode PlatformRejected"),
        *(
            _code(code, "ERROR", *_REJECTED, "OperatorCode PlatformRejected")
            for code in (*_OPERATORS, *_OPERATORS_TOO)
        ),
        *(_code(code, *_ERROR) for code in ("999999", "424242")),
    ),
)

_ERRORS: Final = {
    Failure.THROTTLED: "ThrottlingException",
    Failure.DOWN: "InternalServerError",
    Failure.SILENT: "ReadTimeoutError",
}
"""What boto3 raises, by what failed."""
_DOWN: Final = "(InternalServerError)"
_HAD: Final = f"{_UNEXPECTED} (a secret is unavailable: "

_WRITES: Final = (Step.CLAIM, Step.RESERVATION, Step.SETTLEMENT)
_LOST_TWICE: Final = (
    _internal(f"{_UNEXPECTED} {_DOWN}", again=Again.HELD),
    _internal(f"{_UNEXPECTED} {_DOWN}", attempt=Attempt.IN_FLIGHT),
    _verified(f"{_NOT_SETTLED} {_DOWN}", metrics="AttemptNotSettled"),
)
_HELD: Final[dict[str, Any]] = {"again": Again.HELD, "metrics": "AttemptNotSettled"}

_DYNAMODB: Final = Part(
    "DynamoDB",
    "Each call is tried twice. Without a claim or a reservation nothing is sent; after the platform's answer,"
    " the answer counts. A call that arrives once more when all is over changes nothing but an hour's count;"
    " a claim that does so after its release holds the token for five minutes.",
    (
        *(
            Row(f"{step}: the answer lost once", Cause(aws=_fault(step, Failure.LOST, 1)), _verified())
            for step in _WRITES
        ),
        *(Row(f"{step}: once more when all is over", Cause(duplicate=step), _verified()) for step in _WRITES),
        *(
            Row(
                f"return code 120020, and {step} once more",
                replace(_NO_TOKEN.cause, duplicate=step),
                _NO_TOKEN.effect,
            )
            for step in _WRITES
        ),
        Row(
            f"{Step.RESERVATION} down, and {Step.RELEASE} once more when the token is claimed again",
            Cause(aws=_fault(Step.RESERVATION, Failure.DOWN), duplicate=Step.RELEASE),
            _internal(f"{_UNEXPECTED} {_DOWN}"),
        ),
        *(
            Row(
                f"{step} {failure.value}",
                Cause(aws=_fault(step, failure)),
                _internal(f"{_UNEXPECTED} ({_ERRORS[failure]})"),
            )
            for step, failure in ((Step.CLAIM, Failure.SILENT), (Step.RESERVATION, Failure.THROTTLED))
        ),
        *(
            Row(f"{step}: the answer lost twice", Cause(aws=_fault(step, Failure.LOST)), effect)
            for step, effect in zip(_WRITES, _LOST_TWICE, strict=True)
        ),
        Row(
            "the table down from the reservation on",
            Cause(aws=AwsFault(TABLE - {Step.CLAIM}, Failure.DOWN)),
            _internal(f"{_UNEXPECTED} {_DOWN}", f"{_NOT_RELEASED} {_DOWN}", **_HELD),
        ),
        Row(
            f"{Step.SETTLEMENT} down",
            Cause(aws=_fault(Step.SETTLEMENT, Failure.DOWN)),
            _verified(f"{_NOT_SETTLED} {_DOWN}", attempt=Attempt.IN_FLIGHT, **_HELD),
        ),
        Row(
            f"connection refused, and {Step.RELEASE} down",
            Cause(aws=_fault(Step.RELEASE, Failure.DOWN), address=_REFUSED),
            _unreachable("NewConnectionError", f"{_NOT_RELEASED} {_DOWN}", **_HELD),
        ),
    ),
)

_BROKEN_KEY: Final = _fault(Step.SIGNING_SECRET, Failure.REPLACED, text='{"privateKey": "MIIC"}')

_SECRETS: Final = Part(
    "Secrets Manager and the keys",
    "Without secrets nothing is sent and no attempt is reserved, with receipts on not without theirs either."
    " Whoever has had them once goes on with the last good ones.",
    (
        *(
            _cold(f"{step} {failure.value}", _fault(step, failure), _internal(f"{_HAD}{_ERRORS[failure]})"))
            for step, failure in (
                (Step.PEPPER, Failure.SILENT),
                (Step.VERIFICATION_SECRET, Failure.DOWN),
                (Step.SIGNING_SECRET, Failure.THROTTLED),
            )
        ),
        _cold("Secrets Manager down for one call", AwsFault(SECRETS, Failure.DOWN, 1), _verified()),
        _cold(
            f"{Step.PEPPER} too short",
            _fault(Step.PEPPER, Failure.REPLACED, text="short"),
            _internal(f"{_HAD}the pepper has fewer than 32 characters)"),
        ),
        Row(
            "Secrets Manager down at the refresh",
            Cause(aws=AwsFault(SECRETS, Failure.DOWN), moment=Moment.REFRESH),
            _verified(f"{_STALE} {_DOWN}", metrics="SecretStale"),
        ),
        Row(
            "a signing secret with a broken key at the refresh",
            Cause(aws=_BROKEN_KEY, moment=Moment.REFRESH),
            _verified(f"{_STALE} (KeyFormatError)", metrics="SecretStale"),
        ),
    ),
)

_TIME: Final = Part(
    "Time",
    "A request has one budget of time, below a page's patience: what does not fit is refused before anything"
    " is reserved. Lambda ends a function whose own time is up, in the middle of whatever it does; what it"
    " has sent to the platform is in its log by then.",
    (
        Row(
            "all of AWS and the platform slow at once",
            Cause(
                {"fault": "delay", "seconds": 0.3},
                AwsFault(frozenset(Step), Failure.SLOW),
                moment=Moment.COLD,
            ),
            _verified(),
        ),
        Row(
            "Secrets Manager so slow that no time is left for the platform",
            Cause(aws=_fault(Step.VERIFICATION_SECRET, Failure.SLOW), moment=Moment.LATE),
            _effect(
                *(
                    "503 platform_unreachable retry",
                    Attempt.NOT_RESERVED,
                    0,
                    Again.ANEW,
                    "PlatformUnreachable",
                ),
                "ERROR too little time is left to ask the platform",
            ),
        ),
        Row(
            "the function's end while it waits for the platform",
            Cause({"fault": "delay", "seconds": 10}, moment=Moment.LAST),
            _effect("500 none none", Attempt.IN_FLIGHT, 1, Again.HELD, ""),
        ),
    ),
)

PARTS: Final = (_WAY, _ANSWER, _CODES, _DYNAMODB, _SECRETS, _TIME)
ROWS: Final = tuple(row for part in PARTS for row in part.rows)
