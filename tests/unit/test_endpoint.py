"""What every request must satisfy whatever it asks, and what every answer carries."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest

from cmpassport.errors import CmpassportError
from cmpassport.http import MAX_BODY_BYTES, Endpoint, Request
from cmpassport.members import FieldError, check_members
from cmpassport.problems import Problem, ProblemError
from tests.support.functions import ORIGIN, event

ORIGINS: Final = frozenset({ORIGIN, "http://127.0.0.1:8080"})
Log = Callable[[], list[dict[str, Any]]]


@dataclass
class Context:
    """What Lambda hands to a handler beside the event."""

    aws_request_id: str = "lambda's identifier"


def answer(
    request: Mapping[str, Any], operation: Callable[[Request], Mapping[str, Any]] = lambda _: {}
) -> Any:
    return Endpoint(operation, ORIGINS)(request, Context())


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


# A good request.


def test_an_operation_gets_the_bodys_members_and_its_result_is_the_answer() -> None:
    seen: list[Request] = []

    def operation(request: Request) -> Mapping[str, Any]:
        seen.append(request)
        return {"desc": "是本机号码"}

    response = answer(event('{"name": "value"}'), operation)

    assert [request.fields for request in seen] == [{"name": "value"}]
    assert seen[0].client_address == "203.0.113.7"
    assert seen[0].request_id == "the request"
    assert response == {
        "statusCode": 200,
        "headers": {
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
        "body": '{"desc":"是本机号码"}',
    }


def test_a_requests_repr_has_no_member() -> None:
    request = Request({"token": "planted"}, ORIGIN, "api.example.com", "203.0.113.7", "the request")

    assert repr(request) == "Request(request_id='the request')"


JSON_IN_UTF8: Final = (
    *("application/json", "application/json;charset=utf-8", "application/json; charset=UTF-8"),
    *('application/json; charset="utf-8"', "Application/JSON", " application/json "),
)


@pytest.mark.parametrize("origin", sorted(ORIGINS))
@pytest.mark.parametrize("content_type", JSON_IN_UTF8)
def test_json_in_utf8_is_accepted_from_each_allowed_origin(content_type: str, origin: str) -> None:
    assert answer(event(origin=origin, content_type=content_type))["statusCode"] == 200


# Origin.


OTHER_ORIGINS: Final = (
    *(None, "", "null", "*", "https://www.example.org", "http://www.example.com", "https://www.example.com/"),
    *("https://www.example.com:443", "https://WWW.EXAMPLE.COM", "https://www.example.com.evil.example"),
    *("https://evil.example/https://www.example.com", "https://www.example.com,https://www.example.com"),
    "https://www.example.com https://evil.example",
)


@pytest.mark.parametrize("origin", OTHER_ORIGINS)
def test_another_origin_is_refused(origin: str | None) -> None:
    status, document = refusal(event(origin=origin))

    assert (status, document["code"], document["action"]) == (403, "origin_not_allowed", "fix_request")
    assert "AllowedOrigins" in document["detail"]


def test_the_origin_is_checked_before_the_body_is_looked_at() -> None:
    assert refusal(event("not JSON", origin="https://evil.example", content_type="text/plain"))[0] == 403


# Media type.


@pytest.mark.parametrize(
    "content_type",
    [
        *(
            None,
            "text/plain",
            "application/jsonp",
            "application/problem+json",
            "text/plain, application/json",
        ),
        *("application/json; charset=gbk", "application/json; charset=utf-8; charset=gbk"),
    ],
)
def test_another_media_type_is_refused(content_type: str | None) -> None:
    status, document = refusal(event(content_type=content_type))

    assert (status, document["code"], document["action"]) == (415, "unsupported_media_type", "fix_request")


# Size.


def in_base64(data: bytes | str) -> dict[str, Any]:
    text = data if isinstance(data, str) else base64.b64encode(data).decode()
    return event(text) | {"isBase64Encoded": True}


@pytest.mark.parametrize("written", [event, lambda body: in_base64(body.encode())], ids=["text", "Base64"])
def test_a_body_of_16_kib_is_accepted_and_one_byte_more_is_not(written: Callable[[str], Any]) -> None:
    largest = '{"name":"' + "x" * (16384 - 14) + '号"}'
    assert len(largest.encode()) == MAX_BODY_BYTES == 16384
    assert answer(written(largest), lambda request: request.fields)["body"] == largest

    status, document = refusal(written(largest + " "))

    assert (status, document["code"], document["action"]) == (413, "body_too_large", "fix_request")


# JSON.

NOT_JSON: Final = {
    "no body": None,
    "words": "planted",
    "cut off": '{"name": "planted',
    "text after it": '{"name": "planted"} x',
    "a byte order mark": '\ufeff{"name": "planted"}',
    "NaN": '{"name": NaN}',
    "Infinity": '{"name": -Infinity}',
    "a member twice, deeper": '{"name": {"a": 1, "a": "planted"}}',
    "a member twice, spelled in two ways": '{"name": "planted", "n\\u0061me": "value"}',
    "deep nesting": "[" * 16000,
    "an integer of 16000 digits": '{"name": ' + "9" * 16000 + "}",
    "a control character": '{"name": "planted\x01"}',
    "half a surrogate pair, raw": '{"name": "\ud800"}',
    "Base64 with a space": in_base64("e3 0="),
    "no ASCII": in_base64("签名"),
    "GBK": in_base64('{"name": "号"}'.encode("gbk")),
    "UTF-16": in_base64('{"name": "x"}'.encode("utf-16")),
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_json_is_refused(body: str | dict[str, Any] | None) -> None:
    status, document = refusal(body if isinstance(body, dict) else event(body))

    assert (status, document["code"], document["action"]) == (400, "invalid_request", "fix_request")
    reason = "the body is not JSON (RFC 8259, UTF-8, no repeated members)"
    assert document["errors"] == [{"field": "", "reason": reason}]


@pytest.mark.parametrize("body", ["[]", '"planted"', "null"])
def test_json_that_is_no_object_is_refused(body: str) -> None:
    assert refusal(event(body))[1]["errors"] == [{"field": "", "reason": "the body must be a JSON object"}]


# Members.

_NO_TEXTS: Final[tuple[Any, ...]] = (None, 17, ["planted"], {})
_KNOWN: Final = ("", "only these members are known: phoneNum, token, expandParams")


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({}, []),
        ({"expandParams": ""}, []),
        *(({"token": value}, [("token", "must be a text")]) for value in _NO_TEXTS),
        ({"expandParams": None}, [("expandParams", "must be a text")]),
        *(({name: "planted"}, [_KNOWN]) for name in ("planted", "phoneNum ", "", "__proto__")),
    ],
)
def test_the_members_are_the_known_ones_and_texts(
    changes: dict[str, Any], errors: list[tuple[str, str]]
) -> None:
    assert _check({"phoneNum": "", "token": "", **changes}) == errors


def test_everything_that_is_wrong_is_said_at_once() -> None:
    errors = _check({"phoneNum": 1, "expandParams": None, "planted": 1, "planted2": 2})

    texts = [(name, "must be a text") for name in ("phoneNum", "expandParams")]
    assert errors == [("token", "is missing"), *texts, _KNOWN]


def _check(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    def operation(request: Request) -> Mapping[str, Any]:
        check_members(request.fields, ("phoneNum", "token"), ("expandParams",))
        return {}

    response = answer(event(json.dumps(body)), operation)
    assert "planted" not in response["body"]
    return [tuple(error.values()) for error in json.loads(response["body"]).get("errors", [])]


# Refusals.


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
    assert response["headers"] == {
        "Content-Type": "application/problem+json",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Retry-After": "17",
    }
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
    assert metrics_of(capsys.readouterr().out).keys() >= {"ColdStart", "AttemptsExhausted"}


# What nobody expected.


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("planted"), None),
        (UnicodeDecodeError("utf-8", b"planted", 0, 1, "planted"), None),
        (
            CmpassportError("the pepper has fewer than 32 characters"),
            "the pepper has fewer than 32 characters",
        ),
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


# Metrics.


def metrics_of(output: str) -> dict[str, Any]:
    """Return the one line of embedded metrics."""
    (line,) = (line for line in output.splitlines() if '"_aws"' in line)
    content: dict[str, Any] = json.loads(line)
    return content


def test_metrics_are_written_at_the_end_of_each_request_and_a_start_counts_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    endpoint = Endpoint(lambda _: {}, ORIGINS)
    endpoint(event(origin="null"), Context())

    line = metrics_of(capsys.readouterr().out)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "NumberVerification"
    assert {metric["Name"] for metric in directive["Metrics"]} == {"ColdStart", "OriginNotAllowed"}
    assert line["ColdStart"] == line["OriginNotAllowed"] == [1.0]
    assert endpoint(event(), Context())["statusCode"] == 200
    assert capsys.readouterr().out == ""
