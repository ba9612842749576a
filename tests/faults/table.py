"""The table of faults: what may fail around a verification, and what then becomes of it.

`docs/faults.md` is written from it, and `tests/integration/test_fault_table.py` provokes each row on the
local stack and compares every column.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Any, Final

from local import ROOT
from tests.faults.proxy import SECRETS, TABLE, AwsFault, Failure, Step
from tests.support.receipt_secrets import new_key, secret

VECTORS: Final = ROOT / "tests" / "vectors"


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


class Address(Enum):
    """Where the function looks for the platform."""

    PLATFORM = "the platform's"
    REFUSED = "a port where nobody listens"
    NO_NAME = "a name that cannot be resolved"
    NO_TLS = "https, where HTTP is spoken"
    STRANGER = "https, with a certificate that nobody vouches for"


class Moment(Enum):
    """When the fault begins."""

    WARM = "the function has its secrets"
    COLD = "the function has no secrets yet"
    REFRESH = "the function is about to fetch its secrets again, after a 130018"


@dataclass(frozen=True, slots=True)
class PlatformFault:
    """A fault of the platform simulator."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)


class Rotation(Enum):
    """Which of the two sides has a new key pair when the platform checks the signature."""

    NONE = "neither"
    PLATFORM_FIRST = "the platform"


class Receipts(Enum):
    """Whether the function gives receipts."""

    OFF = "off"
    ON = "on"


class Ends(Enum):
    """Whose time is up before the fault is over."""

    NOBODY = "nobody's"
    REQUEST = "the request's, in the function's own budget"
    FUNCTION = "the function's, in Lambda's"


class Token(Enum):
    """The token that the page sends."""

    GOOD = "issued"
    MADE_UP = "made up"


@dataclass(frozen=True, slots=True)
class Cause:
    """All that is wrong in a row; by default nothing."""

    platform: PlatformFault | None = None
    aws: AwsFault | None = None
    address: Address = Address.PLATFORM
    moment: Moment = Moment.WARM
    rotation: Rotation = Rotation.NONE
    token: Token = Token.GOOD
    receipts: Receipts = Receipts.OFF
    ends: Ends = Ends.NOBODY
    late: Step | None = None
    """A call that arrives once more when the same request has come again."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What the page, the operator and the budget see.

    Attributes
    ----------
    status, code, action
        The answer; for a verdict, code is the platform's return code.
    attempt
        What became of the attempt.
    calls
        Requests that reached the platform.
    metrics
        Names of the metrics that moved.
    log
        Lines of the log as `LEVEL message (reason, error or return code)`.
    again
        What the same request gets afterwards.
    """

    status: int
    code: str
    action: str
    attempt: Attempt
    calls: int
    metrics: frozenset[str]
    log: tuple[str, ...]
    again: Again


@dataclass(frozen=True, slots=True)
class Row:
    """One fault."""

    name: str
    cause: Cause
    effect: Effect


@dataclass(frozen=True, slots=True)
class Part:
    """The faults of one part."""

    title: str
    text: str
    rows: tuple[Row, ...]


_LATENCY: Final = "PlatformLatency"
_UNEXPECTED: Final = "ERROR an unexpected error"
_ANSWERED: Final = "the platform answered"
_STALE: Final = "WARNING a secret could not be refreshed; the last good one is used"
_NOT_SETTLED: Final = "WARNING an attempt could not be settled"
_NOT_RELEASED: Final = "WARNING a token could not be released"


def _unreachable(reason: str) -> Effect:
    return Effect(
        503,
        "platform_unreachable",
        "retry",
        Attempt.GIVEN_BACK,
        0,
        frozenset({_LATENCY, "PlatformUnreachable"}),
        (f"ERROR the platform is unreachable ({reason})",),
        Again.ANEW,
    )


def _silent(reason: str) -> Effect:
    return Effect(
        504,
        "platform_timeout",
        "retry",
        Attempt.UNJUDGED,
        1,
        frozenset({_LATENCY, "NoAnswer", "PlatformTimeout"}),
        (f"ERROR the platform gave no answer ({reason})",),
        Again.SAME,
    )


def _bad_answer(reason: str) -> Effect:
    return Effect(
        502,
        "platform_error",
        "retry",
        Attempt.UNJUDGED,
        1,
        frozenset({_LATENCY, "BadAnswer", "PlatformError"}),
        (f"ERROR the platform gave no answer ({reason})",),
        Again.SAME,
    )


def _verified(
    *log: str,
    attempt: Attempt = Attempt.SPENT,
    again: Again = Again.SAME,
    metrics: tuple[str, ...] = (),
) -> Effect:
    return Effect(
        200,
        "000",
        "login",
        attempt,
        1,
        frozenset({_LATENCY, "NumberVerified", *metrics}),
        tuple(sorted((*log, f"INFO {_ANSWERED} (000)"))),
        again,
    )


def _internal(
    *log: str,
    attempt: Attempt = Attempt.NOT_RESERVED,
    again: Again = Again.ANEW,
    metrics: tuple[str, ...] = (),
) -> Effect:
    return Effect(
        500,
        "internal_error",
        "use_other_method",
        attempt,
        0,
        frozenset({"InternalError", *metrics}),
        tuple(sorted(log)),
        again,
    )


def _token_rejected() -> Effect:
    return Effect(
        422,
        "token_rejected",
        "retry",
        Attempt.GIVEN_BACK,
        1,
        frozenset({_LATENCY, "TokenRejected", "PageCode"}),
        (f"INFO {_ANSWERED} (120020)",),
        Again.SAME,
    )


def _died(attempt: Attempt, calls: int, again: Again = Again.HELD) -> Effect:
    return Effect(500, "none", "none", attempt, calls, frozenset(), (), again)


def _answered(
    code: str, level: str, status: int, problem: str, action: str, attempt: Attempt, *metrics: str
) -> Effect:
    refusal = [problem.title().replace("_", "")] if problem else []
    return Effect(
        status,
        problem or code,
        action,
        attempt,
        1,
        frozenset({_LATENCY, *refusal, *metrics}),
        (f"{level} {_ANSWERED} ({code})",),
        Again.SAME,
    )


def _platform(name: str, fault: str, effect: Effect, **parameters: Any) -> Row:
    return Row(name, Cause(platform=PlatformFault(fault, parameters)), effect)


def _code(code: str, *rest: Any) -> Row:
    return _platform(f"return code {code}", "resultCode", _answered(code, *rest), resultCode=code)


def _aws(name: str, steps: Step | frozenset[Step], failure: Failure, effect: Effect, **more: Any) -> Row:
    times, text = more.pop("times", 0), more.pop("text", "")
    which = frozenset({steps}) if isinstance(steps, Step) else steps
    return Row(name, Cause(aws=AwsFault(which, failure, times, text), **more), effect)


_WAY: Final = Part(
    "The way to the platform",
    "A request that provably never left is tried once more, then refused: its attempt and its token are free"
    " again. Once anything may have left, nothing is sent a second time.",
    (
        Row("connection refused", Cause(address=Address.REFUSED), _unreachable("NewConnectionError")),
        Row("no such name in DNS", Cause(address=Address.NO_NAME), _unreachable("NameResolutionError")),
        Row("no TLS where it is expected", Cause(address=Address.NO_TLS), _unreachable("SSLError")),
        Row("certificate of a stranger", Cause(address=Address.STRANGER), _unreachable("SSLError")),
        _platform(
            "connection reset before the request is read", "reset", _silent("ProtocolError"), when="before"
        ),
        _platform(
            "connection reset after the verdict, before the answer",
            "reset",
            _silent("ProtocolError"),
            when="after",
        ),
        _platform("no answer", "delay", _silent("ReadTimeoutError"), seconds=10),
        _platform("answer within the read timeout", "delay", _verified(), seconds=0.05),
        _platform("headers byte by byte", "dripHeaders", _silent("ReadTimeoutError"), seconds=0.05),
        _platform("body byte by byte", "drip", _silent("the answer did not end in time"), seconds=0.05),
    ),
)

_ANSWER: Final = Part(
    "The platform's answer",
    "What is not the protocol's answer to this very request may hide a verdict: the attempt is not given"
    " back.",
    (
        _platform("connection closed in the middle of the body", "cut", _bad_answer("the answer is cut off")),
        _platform("JSON cut in two", "truncated", _bad_answer("the answer is not JSON")),
        _platform("a body of 1 MiB", "oversized", _bad_answer("the answer has more than 65536 bytes")),
        _platform("no JSON", "notJson", _bad_answer("the answer is not JSON")),
        _platform("an HTML page with status 200", "html", _bad_answer("the answer is not JSON")),
        _platform(
            "an HTML page with status 502", "html", _bad_answer("the answer has HTTP status 502"), status=502
        ),
        _platform(
            "another request's msgId", "wrongMsgId", _bad_answer("the answer's msgId is not the request's")
        ),
        _platform(
            "another app's appId", "wrongAppId", _bad_answer("the answer's appId is not the configured one")
        ),
        _platform("no resultCode", "missingResultCode", _bad_answer("the answer has no resultCode")),
        *(
            _platform(
                f"HTTP status {status}",
                "status",
                _bad_answer(f"the answer has HTTP status {status}"),
                status=status,
            )
            for status in (204, 301, 302, 307, 400, 401, 403, 404, 429, 500, 502, 503, 504)
        ),
    ),
)

_REJECTED: Final = (502, "platform_rejected", "use_other_method", Attempt.GIVEN_BACK)
_OPERATORS: Final = ("ERROR", *_REJECTED, "OperatorCode")

_CODES: Final = Part(
    "The platform's return codes",
    "000 and 001 are verdicts. The attempt is given back where the platform cannot have judged the number.",
    (
        _code("000", "INFO", 200, "", "login", Attempt.SPENT, "NumberVerified"),
        _code("001", "INFO", 200, "", "refuse", Attempt.SPENT, "NumberRefused"),
        *(_code(code, *_OPERATORS) for code in ("103605", "130010", "130016", "130018", "130032")),
        _code("120020", "INFO", 422, "token_rejected", "retry", Attempt.GIVEN_BACK, "PageCode"),
        *(_code(code, *_OPERATORS) for code in ("110022", "110023", "110025", "110027", "110004", "111075")),
        _code(
            "121011",
            "INFO",
            429,
            "attempts_exhausted",
            "use_other_method",
            Attempt.UNJUDGED,
            "UserCode",
            "PlatformLimitReached",
        ),
        _code("999999", "ERROR", 502, "platform_error", "retry", Attempt.UNJUDGED, "PlatformCode"),
        _code("500", "INFO", *_REJECTED, "PageCode"),
        _code("170001", *_OPERATORS),
        _code("111002", "INFO", *_REJECTED, "UserCode"),
        *(
            _code(code, "ERROR", 502, "platform_error", "retry", Attempt.UNJUDGED, "PlatformCode")
            for code in ("000000", "110024", "110028", "121016", "130030", "105112", "424242")
        ),
        Row("a token that nobody issued", Cause(token=Token.MADE_UP), _token_rejected()),
    ),
)

_ERRORS: Final = {
    Failure.THROTTLED: "ThrottlingException",
    Failure.DOWN: "InternalServerError",
    Failure.SILENT: "ReadTimeoutError",
}
"""What boto3 raises for DynamoDB, by what failed."""
_ONCE: Final = {
    Failure.DOWN: "down for one call",
    Failure.LATE: "a little late",
    Failure.LOST: "the answer lost once",
}
_WANTED: Final = " or PKCS#1 is wanted, bare Base64 or PEM"
_HAD: Final = f"{_UNEXPECTED} (a secret is unavailable: "

_DYNAMODB: Final = Part(
    "DynamoDB",
    "Each call is tried twice. Without a claim or a reservation nothing is sent; after the platform's answer,"
    " the answer counts. A call that arrives once more, however late, changes nothing.",
    (
        *(
            _aws(f"{step}: {_ONCE[failure]}", step, failure, _verified(), times=1)
            for step in (Step.CLAIM, Step.RESERVATION, Step.SETTLEMENT)
            for failure in (Failure.DOWN, Failure.LATE, Failure.LOST)
        ),
        *(
            Row(f"{step}: once more when all is over", Cause(late=step), _verified())
            for step in (Step.CLAIM, Step.RESERVATION, Step.SETTLEMENT)
        ),
        _aws(
            f"{Step.RESERVATION} down, and {Step.RELEASE} once more when the token is claimed again",
            Step.RESERVATION,
            Failure.DOWN,
            _internal(f"{_UNEXPECTED} (InternalServerError)"),
            late=Step.RELEASE,
        ),
        *(
            _aws(f"{step} {failure.value}", step, failure, _internal(f"{_UNEXPECTED} ({error})"))
            for step in (Step.CLAIM, Step.RESERVATION)
            for failure, error in _ERRORS.items()
        ),
        _aws(
            f"{Step.CLAIM}: the answer lost twice",
            Step.CLAIM,
            Failure.LOST,
            _internal(f"{_UNEXPECTED} (InternalServerError)", again=Again.HELD),
        ),
        _aws(
            f"{Step.RESERVATION}: the answer lost twice",
            Step.RESERVATION,
            Failure.LOST,
            _internal(f"{_UNEXPECTED} (InternalServerError)", attempt=Attempt.IN_FLIGHT),
        ),
        _aws(
            "the table down from the reservation on",
            TABLE - {Step.CLAIM},
            Failure.DOWN,
            _internal(
                f"{_UNEXPECTED} (InternalServerError)",
                f"{_NOT_RELEASED} (InternalServerError)",
                again=Again.HELD,
                metrics=("AttemptNotSettled",),
            ),
        ),
        *(
            _aws(
                f"{Step.SETTLEMENT} {failure.value}",
                Step.SETTLEMENT,
                failure,
                _verified(
                    f"{_NOT_SETTLED} ({error})",
                    attempt=Attempt.IN_FLIGHT,
                    again=Again.HELD,
                    metrics=("AttemptNotSettled",),
                ),
            )
            for failure, error in _ERRORS.items()
        ),
        _aws(
            f"{Step.SETTLEMENT}: the answer lost twice",
            Step.SETTLEMENT,
            Failure.LOST,
            _verified(f"{_NOT_SETTLED} (InternalServerError)", metrics=("AttemptNotSettled",)),
        ),
        _aws(
            f"connection refused, and {Step.RELEASE} down",
            Step.RELEASE,
            Failure.DOWN,
            Effect(
                503,
                "platform_unreachable",
                "retry",
                Attempt.GIVEN_BACK,
                0,
                frozenset({_LATENCY, "PlatformUnreachable", "AttemptNotSettled"}),
                (
                    "ERROR the platform is unreachable (NewConnectionError)",
                    f"{_NOT_RELEASED} (InternalServerError)",
                ),
                Again.HELD,
            ),
            address=Address.REFUSED,
        ),
    ),
)

_TIME: Final = Part(
    "Time",
    "A request has one budget of time, below a page's patience: what does not fit is refused before anything"
    " is sent. Lambda ends a function whose own time is up, in the middle of whatever it does; what it has"
    " sent to the platform is in its log by then.",
    (
        Row(
            "all of AWS and the platform a little late",
            Cause(
                aws=AwsFault(frozenset(Step), Failure.LATE),
                platform=PlatformFault("delay", {"seconds": 0.2}),
                moment=Moment.COLD,
            ),
            _verified(),
        ),
        _aws(
            "Secrets Manager so late that no time is left for the platform",
            Step.VERIFICATION_SECRET,
            Failure.LATE,
            Effect(
                503,
                "platform_unreachable",
                "retry",
                Attempt.NOT_RESERVED,
                0,
                frozenset({"PlatformUnreachable"}),
                ("ERROR too little time is left to ask the platform",),
                Again.ANEW,
            ),
            moment=Moment.COLD,
            ends=Ends.REQUEST,
        ),
        _aws(
            f"the function's end while it waits for {Step.RESERVATION}",
            Step.RESERVATION,
            Failure.SILENT,
            _died(Attempt.NOT_RESERVED, 0),
            ends=Ends.FUNCTION,
        ),
        Row(
            "the function's end while it waits for the platform",
            Cause(platform=PlatformFault("delay", {"seconds": 10}), ends=Ends.FUNCTION),
            _died(Attempt.IN_FLIGHT, 1),
        ),
        _aws(
            f"the function's end while it waits for {Step.SETTLEMENT}",
            Step.SETTLEMENT,
            Failure.SILENT,
            Effect(
                500,
                "none",
                "none",
                Attempt.IN_FLIGHT,
                1,
                frozenset(),
                (f"INFO {_ANSWERED} (000)",),
                Again.HELD,
            ),
            ends=Ends.FUNCTION,
        ),
    ),
)

_SECRETS: Final = Part(
    "Secrets Manager and the keys",
    "Without secrets nothing is sent and no attempt is reserved. Whoever has had them once goes on with the"
    " last good ones.",
    (
        *(
            _aws(
                f"{step} {failure.value} at the cold start",
                step,
                failure,
                _internal(f"{_HAD}{error})"),
                moment=Moment.COLD,
            )
            for step, failure, error in (
                (Step.PEPPER, Failure.DOWN, "InternalServerError"),
                (Step.PEPPER, Failure.SILENT, "ReadTimeoutError"),
                (Step.VERIFICATION_SECRET, Failure.DOWN, "InternalServerError"),
                (Step.SIGNING_SECRET, Failure.THROTTLED, "ThrottlingException"),
            )
        ),
        _aws(
            "Secrets Manager down for one call at the cold start",
            SECRETS,
            Failure.DOWN,
            _verified(),
            times=1,
            moment=Moment.COLD,
        ),
        *(
            _aws(
                f"{step} {what} at the cold start",
                step,
                Failure.REPLACED,
                _internal(f"{_HAD}{reason})"),
                moment=Moment.COLD,
                text=text,
            )
            for step, what, text, reason in (
                (Step.PEPPER, "too short", "short", "the pepper has fewer than 32 characters"),
                (Step.VERIFICATION_SECRET, "no JSON", '{"appKey": "A', "the secret is not JSON"),
                (Step.VERIFICATION_SECRET, "no object", "[]", "the secret is not a JSON object"),
                (
                    Step.VERIFICATION_SECRET,
                    "without its key",
                    '{"appKey": "A"}',
                    "the secret has no platformPublicKey",
                ),
                (
                    Step.VERIFICATION_SECRET,
                    "with a broken key",
                    '{"appKey": "A", "platformPublicKey": "MIIB"}',
                    f"this is not an RSA public key: SubjectPublicKeyInfo{_WANTED}",
                ),
                (
                    Step.SIGNING_SECRET,
                    "with an empty key",
                    '{"privateKey": " "}',
                    "the secret has no privateKey",
                ),
                (
                    Step.SIGNING_SECRET,
                    "with a broken key",
                    '{"privateKey": "MIIC"}',
                    f"this is not an RSA private key: PKCS#8{_WANTED}",
                ),
            )
        ),
        *(
            _aws(
                f"Secrets Manager {failure.value} at the refresh",
                SECRETS,
                failure,
                _verified(f"{_STALE} ({error})", metrics=("SecretStale",)),
                moment=Moment.REFRESH,
            )
            for failure, error in (
                (Failure.THROTTLED, "ThrottlingException"),
                (Failure.DOWN, "InternalServerError"),
                (Failure.SILENT, "ReadTimeoutError"),
            )
        ),
        _aws(
            "a signing secret with a broken key at the refresh",
            Step.SIGNING_SECRET,
            Failure.REPLACED,
            _verified(f"{_STALE} (KeyFormatError)", metrics=("SecretStale",)),
            moment=Moment.REFRESH,
            text='{"privateKey": "MIIC"}',
        ),
        Row(
            "the key pair replaced at the platform, the old one still in the secret",
            Cause(rotation=Rotation.PLATFORM_FIRST),
            _answered("130018", *_OPERATORS),
        ),
    ),
)

_RSA_FOR_RECEIPTS: Final = json.dumps(
    {"keys": [{"privateKey": (VECTORS / "rsa-2048.pem").read_text(), "signFrom": "2026-01-01T00:00:00Z"}]}
)

_RECEIPTS: Final = Part(
    "The keys of receipts",
    "With receipts on, nothing is asked that would be billed while there could be no receipt for it. Whoever"
    " has had the keys once goes on with the last good ones.",
    (
        _aws(
            f"{Step.RECEIPT_SECRET} {Failure.DOWN.value} at the cold start",
            Step.RECEIPT_SECRET,
            Failure.DOWN,
            _internal(f"{_HAD}InternalServerError)"),
            moment=Moment.COLD,
            receipts=Receipts.ON,
        ),
        *(
            _aws(
                f"{Step.RECEIPT_SECRET} {what} at the cold start",
                Step.RECEIPT_SECRET,
                Failure.REPLACED,
                _internal(f"{_HAD}{reason})"),
                moment=Moment.COLD,
                receipts=Receipts.ON,
                text=text,
            )
            for what, text, reason in (
                ("no JSON", '{"keys": [', "the secret is not JSON"),
                ("without keys", '{"keys": []}', "the secret has no keys: a list of 1 to 5"),
                ("with an RSA key", _RSA_FOR_RECEIPTS, "the private key is not on the curve P-256"),
                (
                    "whose key signs from tomorrow on",
                    secret((new_key(), datetime(2999, 1, 1, tzinfo=UTC))),
                    "no key of the secret signs yet; give one a signFrom that has passed",
                ),
            )
        ),
    ),
)

PARTS: Final = (_WAY, _ANSWER, _CODES, _DYNAMODB, _TIME, _SECRETS, _RECEIPTS)
ROWS: Final = tuple(row for part in PARTS for row in part.rows)
