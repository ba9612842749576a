"""What every request must satisfy whatever it asks, and what every answer carries."""

import base64
import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Final

import pytest
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from cmpassport.errors import CmpassportError
from cmpassport.http import MAX_BODY_BYTES, Endpoint, Request
from cmpassport.members import FieldError, check_members
from cmpassport.problems import Problem, ProblemError
from cmpassport.telemetry import CARRIES_METRICS, Metric, logger, record_milliseconds
from tests.support.functions import ORIGIN, event

ORIGINS: Final = frozenset({ORIGIN, "http://127.0.0.1:8080"})
OF_EVERY_ANSWER: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
Log = Callable[[], list[dict[str, Any]]]
CONTEXT: Final = SimpleNamespace(aws_request_id="lambda's identifier")
"""What Lambda hands to a handler beside the event."""


def answer(
    request: Mapping[str, Any], operation: Callable[[Request], Mapping[str, Any]] = lambda _: {}
) -> Any:
    return Endpoint(operation, ORIGINS)(request, CONTEXT)


def refusal(request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return a refusal's status and document, after checking what all of them have."""
    response = answer(request, _must_not_run)
    document = json.loads(response["body"])
    assert response["headers"]["Content-Type"] == "application/problem+json"
    assert "Retry-After" not in response["headers"]
    every = {"type", "title", "status", "detail", "code", "action", "requestId"}
    assert document.keys() - {"errors"} == every
    assert "planted" not in response["body"]
    return response["statusCode"], document


def _must_not_run(_: Request) -> Mapping[str, Any]:
    raise AssertionError("the operation must not run")


def test_an_operation_gets_the_bodys_members_and_its_result_is_the_answer() -> None:
    seen: list[Request] = []

    def operation(request: Request) -> Mapping[str, Any]:
        seen.append(request)
        return {"desc": "是本机号码"}

    response = answer(event('{"name": "value"}'), operation)

    assert [request.fields for request in seen] == [{"name": "value"}]
    assert seen[0].client_address == "203.0.113.7"
    assert repr(seen[0]) == "Request(request_id='the request')"
    headers = OF_EVERY_ANSWER | {"Content-Type": "application/json"}
    assert response == {"statusCode": 200, "headers": headers, "body": '{"desc":"是本机号码"}'}


JSON_IN_UTF8: Final = (
    *("application/json", "application/json;charset=utf-8", "application/json; charset=UTF-8"),
    *('application/json; charset="utf-8"', "Application/JSON", " application/json "),
)


@pytest.mark.parametrize("origin", sorted(ORIGINS))
@pytest.mark.parametrize("content_type", JSON_IN_UTF8)
def test_json_in_utf8_is_accepted_from_each_allowed_origin(content_type: str, origin: str) -> None:
    assert answer(event(origin=origin, content_type=content_type))["statusCode"] == 200


# Requests that are refused.


def in_base64(data: bytes | str) -> dict[str, Any]:
    text = data if isinstance(data, str) else base64.b64encode(data).decode()
    return event(text) | {"isBase64Encoded": True}


OTHER_ORIGINS: Final = (
    *(None, "", "null", "*", "https://www.example.org", "http://www.example.com", "https://www.example.com/"),
    *("https://www.example.com:443", "https://WWW.EXAMPLE.COM", "https://www.example.com.evil.example"),
    *("https://evil.example/https://www.example.com", "https://www.example.com,https://www.example.com"),
    "https://www.example.com https://evil.example",
)
OTHER_TYPES: Final = (
    *(None, "text/plain", "application/jsonp", "application/problem+json", "text/plain, application/json"),
    *("application/json; charset=gbk", "application/json; charset=utf-8; charset=gbk"),
)
NOT_JSON: Final = {
    "no body": event(None),
    "words": event("planted"),
    "cut off": event('{"name": "planted'),
    "text after it": event('{"name": "planted"} x'),
    "a byte order mark": event('\ufeff{"name": "planted"}'),
    "NaN": event('{"name": NaN}'),
    "Infinity": event('{"name": -Infinity}'),
    "a member twice, deeper": event('{"name": {"a": 1, "a": "planted"}}'),
    "a member twice, spelled in two ways": event('{"name": "planted", "n\\u0061me": "value"}'),
    "deep nesting": event("[" * 16000),
    "an integer of 16000 digits": event('{"name": ' + "9" * 16000 + "}"),
    "a control character": event('{"name": "planted\x01"}'),
    "half a surrogate pair, raw": event('{"name": "\ud800"}'),
    "Base64 with a space": in_base64("e3 0="),
    "no ASCII": in_base64("签名"),
    "GBK": in_base64('{"name": "号"}'.encode("gbk")),
    "UTF-16": in_base64('{"name": "x"}'.encode("utf-16")),
}
NO_JSON: Final = "the body is not JSON (RFC 8259, UTF-8, no repeated members)"
REFUSED: Final[dict[str, tuple[dict[str, Any], int, str, str | None]]] = {
    # An origin that may not call is refused before anything else is looked at.
    **{
        f"origin {origin}": (event("x", origin=origin, content_type=None), 403, "origin_not_allowed", None)
        for origin in OTHER_ORIGINS
    },
    **{
        f"type {each}": (event("words", content_type=each), 415, "unsupported_media_type", None)
        for each in OTHER_TYPES
    },
    **{name: (body, 400, "invalid_request", NO_JSON) for name, body in NOT_JSON.items()},
    **{
        body: (event(body), 400, "invalid_request", "the body must be a JSON object")
        for body in ("[]", '"planted"', "null")
    },
}


@pytest.mark.parametrize(("request_", "status", "code", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_request_of_an_allowed_page_is_refused(
    request_: dict[str, Any], status: int, code: str, reason: str | None
) -> None:
    found, document = refusal(request_)

    assert (found, document["code"], document["action"]) == (status, code, "fix_request")
    assert document.get("errors") == (reason and [{"field": "", "reason": reason}])


@pytest.mark.parametrize("written", [event, lambda body: in_base64(body.encode())], ids=["text", "Base64"])
def test_a_body_of_16_kib_is_accepted_and_one_byte_more_is_not(written: Callable[[str], Any]) -> None:
    largest = '{"name":"' + "x" * (16384 - 14) + '号"}'
    assert len(largest.encode()) == MAX_BODY_BYTES == 16384
    assert answer(written(largest), lambda request: request.fields)["body"] == largest

    status, document = refusal(written(largest + " "))

    assert (status, document["code"], document["action"]) == (413, "body_too_large", "fix_request")


# Members.

_NO_TEXTS: Final[tuple[Any, ...]] = (None, 17, ["planted"], {})
_KNOWN: Final = ("", "only these members are known: phoneNum, token, expandParams")


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({}, []),
        ({"expandParams": ""}, []),
        *(({"token": value}, [("token", "must be a text")]) for value in _NO_TEXTS),
        *(({name: "planted"}, [_KNOWN]) for name in ("planted", "phoneNum ", "", "__proto__")),
        (
            {"phoneNum": 1, "expandParams": None, "planted": 1, "planted2": 2},
            [*((name, "must be a text") for name in ("phoneNum", "expandParams")), _KNOWN],
        ),
    ],
)
def test_the_members_are_the_known_ones_and_texts_and_all_that_is_wrong_is_said_at_once(
    changes: dict[str, Any], errors: list[tuple[str, str]]
) -> None:
    body = {"phoneNum": "", **changes}

    assert _check({"token": "", **body}) == errors
    if "token" not in body:
        assert _check(body) == [("token", "is missing"), *errors]


def _check(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    def operation(request: Request) -> Mapping[str, Any]:
        check_members(request.fields, ("phoneNum", "token"), ("expandParams",))
        return {}

    response = answer(event(json.dumps(body)), operation)
    assert "planted" not in response["body"]
    return [tuple(error.values()) for error in json.loads(response["body"]).get("errors", [])]


def test_a_refusal_is_a_problem_document(capsys: pytest.CaptureFixture[str]) -> None:
    def operation(_: Request) -> Mapping[str, Any]:
        raise ProblemError(
            Problem.ATTEMPTS_EXHAUSTED,
            "A detail.",
            retry_after=17,
            result_code="121011",
            errors=[FieldError("phoneNum", "a reason")],
        )

    response = answer(event(), operation)

    assert response["statusCode"] == 429
    problem = {"Content-Type": "application/problem+json", "Retry-After": "17"}
    assert response["headers"] == OF_EVERY_ANSWER | problem
    assert json.loads(response["body"]) == {
        "type": "urn:problem-type:number-verification:attempts_exhausted",
        "title": "This number's attempts of today are used up",
        "status": 429,
        "detail": "A detail.",
        "code": "attempts_exhausted",
        "action": "use_other_method",
        "requestId": "the request",
        "resultCode": "121011",
        "errors": [{"field": "phoneNum", "reason": "a reason"}],
    }
    assert json.loads(capsys.readouterr().out).keys() >= {"ColdStart", "AttemptsExhausted"}


# What nobody expected.


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("planted"), None),
        (UnicodeDecodeError("utf-8", b"planted", 0, 1, "planted"), None),
        (CmpassportError("the pepper is short"), "the pepper is short"),
    ],
)
def test_an_unexpected_error_is_an_internal_error_and_its_text_goes_nowhere(
    error: Exception, reason: str | None, logged: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    def operation(_: Request) -> Mapping[str, Any]:
        raise error from KeyError("planted in the cause")

    response = answer(event(), operation)

    document = json.loads(response["body"])
    assert response["statusCode"] == 500
    assert (document["code"], document["action"]) == ("internal_error", "use_other_method")
    (line,) = logged()
    assert (line["level"], line["error"], line.get("reason")) == ("ERROR", type(error).__name__, reason)
    assert line["requestId"] == "the request"
    assert any("operation" in frame for frame in line["frames"])
    captured = capsys.readouterr()
    assert "planted" not in json.dumps([response, line]) + captured.out + captured.err


HEADERS: Final = {"origin": ORIGIN, "content-type": "application/json"}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({}, 403),
        ({"headers": None, "requestContext": None, "body": None}, 403),
        ({"headers": HEADERS, "requestContext": None, "body": "{}"}, 200),
        ({"headers": HEADERS, "requestContext": {"http": None}}, 400),
    ],
)
def test_an_event_with_parts_missing_gets_an_answer(request_: Mapping[str, Any], status: int) -> None:
    response = answer(request_)

    assert response["statusCode"] == status
    if status != 200:
        assert json.loads(response["body"])["requestId"] == "lambda's identifier"


def test_what_cannot_be_written_is_an_internal_error() -> None:
    assert answer(event(), lambda _: {"sign": object()})["statusCode"] == 500


def test_a_line_of_the_log_is_the_one_that_powertools_writes(
    logged: Log, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
    logger.append_keys(requestId="request-1")
    logger.warning("没有答复", extra={"frames": ["a.py:1 f"], "hint": None}, left=0)
    logger.info("%d arguments", 1)
    logger.error("an exception", exc_info=ValueError("its text"))

    # Lambda takes a line with a timestamp of any other form for INFO.
    powertools = LambdaPowertoolsFormatter(use_rfc3339=True, **logger.get_current_keys())
    assert logged() == [json.loads(powertools.format(record)) for record in caplog.records]


@pytest.mark.parametrize("extra", [{CARRIES_METRICS: True}, {}])
def test_metrics_are_in_a_line_of_the_log_or_in_one_of_their_own(
    logged: Log, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, extra: dict[str, bool]
) -> None:
    writer = AmazonCloudWatchEMFProvider(namespace="Space", service="verify", default_dimensions={})
    monkeypatch.setattr("cmpassport.telemetry._metrics", writer)

    def work(_: Request) -> Mapping[str, Any]:
        for milliseconds in (12.34567, 1):
            record_milliseconds(Metric.PLATFORM_LATENCY, milliseconds)
        logger.info("the platform answered", extra=extra)
        logger.info("and nothing more", extra=extra)
        return {}

    assert answer(event(), work)["statusCode"] == 200
    lines = logged() + [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    (line,) = (each for each in lines if "_aws" in each)
    assert line.get("message") == ("the platform answered" if extra else None)
    assert CARRIES_METRICS not in line
    assert (line["service"], line["ColdStart"], line["PlatformLatency"]) == ("verify", [1.0], [12.346, 1.0])
    units = {"ColdStart": "Count", "PlatformLatency": "Milliseconds"}
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive.pop("Metrics") == [{"Name": name, "Unit": unit} for name, unit in units.items()]
    assert directive == {"Namespace": "Space", "Dimensions": [["service"]]}


def test_metrics_are_written_at_the_end_of_each_request_and_a_start_counts_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    endpoint = Endpoint(lambda _: {}, ORIGINS)
    for _ in range(2):
        endpoint(event(origin="null"), CONTEXT)

    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["ColdStart"] == first["OriginNotAllowed"] == second["OriginNotAllowed"] == [1.0]
    assert "ColdStart" not in second
    assert second["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "NumberVerification"
    assert endpoint(event(), CONTEXT)["statusCode"] == 200
    assert capsys.readouterr().out == ""
