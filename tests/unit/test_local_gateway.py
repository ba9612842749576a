import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from local.environment import BusyError, Function, FunctionError
from local.gateway import Api, Gateway, build_event
from local.server import Request, Response
from local.template import Pseudo, Template, TemplateError

PAGE = "https://page.example"
STRANGER = "https://stranger.example"
NOW = datetime(2026, 11, 24, 8, 30, 15, 250_000, tzinfo=UTC)

TEMPLATE = """
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      CorsConfiguration:
        AllowOrigins: [https://page.example, https://other.example]
        AllowMethods: [POST]
        AllowHeaders: [content-type, x-nonce]
        ExposeHeaders: [retry-after]
        MaxAge: 600
  Echo:
    Type: AWS::Serverless::Function
    Properties:
      Handler: echo.handler
      Events:
        Post: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: post, Path: /echo}}
        Timer: {Type: Schedule, Properties: {Schedule: rate(1 day)}}
"""


def read_api(text: str) -> Api:
    deployment = Template.parse(text).deploy({}, Pseudo("cn-north-1", "123456789012", "demo"))
    for logical_id in ("Api", "Second"):
        deployment.created(logical_id, "a1b2c3")
    return Api.read(deployment)


class Functions:
    """Functions that answer what the test says and keep the events."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.events: list[Any] = []

    def __call__(self, logical_id: str, event: Any, request_id: str) -> Any:
        assert logical_id == "Echo"
        assert event["requestContext"]["requestId"] == request_id
        self.events.append(event)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def functions() -> Functions:
    return Functions({"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": "{}"})


@pytest.fixture
def gateway(functions: Functions) -> Gateway:
    return Gateway(read_api(TEMPLATE), functions, lambda: NOW)


def post(*headers: tuple[str, str], body: bytes | None = b"{}", target: str = "/echo") -> Request:
    return Request("POST", target, (("Host", "127.0.0.1:3000"), *headers), body, "127.0.0.1")


def header(response: Response, name: str) -> str | None:
    return dict(response.headers).get(name)


# --- Events -----------------------------------------------------------------------------------------------


def event_of(request: Request) -> dict[str, Any]:
    return build_event(request, read_api(TEMPLATE), "POST /echo", "request-1", NOW)


def test_an_event_is_of_payload_format_2_field_by_field() -> None:
    event = event_of(
        post(
            ("User-Agent", "phone"),
            ("X-Twice", "a"),
            ("x-twice", "b"),
            ("Cookie", "one=1; two=2"),
            ("Cookie", "three=3"),
            ("Content-Type", "application/json"),
            target="/echo?a=1&a=2&b=%E5%8F%B7&empty=",
        )
    )

    trace = event["headers"].pop("x-amzn-trace-id")
    assert trace.startswith("Root=1-")
    assert event == {
        "version": "2.0",
        "routeKey": "POST /echo",
        "rawPath": "/echo",
        "rawQueryString": "a=1&a=2&b=%E5%8F%B7&empty=",
        "cookies": ["one=1", "two=2", "three=3"],
        "headers": {
            "host": "127.0.0.1:3000",
            "user-agent": "phone",
            "x-twice": "a,b",
            "content-type": "application/json",
            "content-length": "2",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": "3000",
            "x-forwarded-proto": "http",
        },
        "queryStringParameters": {"a": "1,2", "b": "号", "empty": ""},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3",
            "domainName": "127.0.0.1",
            "domainPrefix": "127",
            "http": {
                "method": "POST",
                "path": "/echo",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "phone",
            },
            "requestId": "request-1",
            "routeKey": "POST /echo",
            "stage": "$default",
            "time": "24/Nov/2026:08:30:15 +0000",
            "timeEpoch": 1795509015250,
        },
        "body": "{}",
        "isBase64Encoded": False,
    }


def test_what_a_request_does_not_have_has_no_key() -> None:
    event = event_of(post(body=b""))

    assert not {"body", "cookies", "queryStringParameters", "pathParameters"} & set(event)
    assert event["isBase64Encoded"] is False


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", "text/plain", "application/xml"]
)
def test_a_body_of_a_textual_type_comes_as_text(content_type: str) -> None:
    event = event_of(post(("Content-Type", content_type), body="号".encode()))

    assert (event["body"], event["isBase64Encoded"]) == ("号", False)


@pytest.mark.parametrize(
    "content_type", [None, "application/octet-stream", "application/x-www-form-urlencoded", "image/png"]
)
def test_a_body_of_any_other_type_and_of_none_comes_as_base64(content_type: str | None) -> None:
    headers = [("Content-Type", content_type)] if content_type else []

    event = event_of(post(*headers, body=b"\xff\x00"))

    assert (base64.b64decode(event["body"]), event["isBase64Encoded"]) == (b"\xff\x00", True)


def test_addresses_that_a_client_claims_stay_before_its_own() -> None:
    event = event_of(post(("X-Forwarded-For", "1.2.3.4")))

    assert event["headers"]["x-forwarded-for"] == "1.2.3.4, 127.0.0.1"
    assert event["requestContext"]["http"]["sourceIp"] == "127.0.0.1"


# --- Routes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/echo"),
        ("POST", "/echo/"),
        ("POST", "/Echo"),
        ("POST", "/"),
        ("HEAD", "/echo"),
        ("X", "/echo"),
    ],
)
def test_an_unknown_route_is_not_found(
    gateway: Gateway, functions: Functions, method: str, target: str
) -> None:
    response = gateway(Request(method, target, (("Origin", PAGE),)))

    assert (response.status, json.loads(response.body)) == (404, {"message": "Not Found"})
    assert header(response, "access-control-allow-origin") == PAGE
    assert not functions.events


def test_what_is_to_be_read_is_read_without_an_origin(functions: Functions) -> None:
    route = "Keys: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: GET, Path: /.well-known/jwks.json}}"
    text = TEMPLATE.replace("        Timer:", f"        {route}\n        Timer:")
    gateway = Gateway(read_api(text), functions, lambda: NOW)

    response = gateway(Request("GET", "/.well-known/jwks.json", (("Host", "127.0.0.1:3000"),)))

    assert response.status == 200
    assert not [name for name, _ in response.headers if name.startswith("access-control")]
    (event,) = functions.events
    assert (event["routeKey"], event["rawPath"]) == ("GET /.well-known/jwks.json", "/.well-known/jwks.json")
    assert "origin" not in event["headers"]
    assert "body" not in event
    assert gateway(post(target="/.well-known/jwks.json")).status == 404


def test_a_body_over_ten_megabytes_is_refused(gateway: Gateway, functions: Functions) -> None:
    response = gateway(post(("Origin", PAGE), body=None))

    assert (response.status, json.loads(response.body)) == (413, {"message": "Request Entity Too Large"})
    assert header(response, "access-control-allow-origin") == PAGE
    assert not functions.events


@pytest.mark.parametrize(
    ("replaced", "by", "named"),
    [
        ("Path: /echo", "Path: '/echo/{id}'", "literal paths"),
        ("Path: /echo", "Path: /echo, PayloadFormatVersion: '1.0'", "2.0 only"),
        ("  Echo:", "  Second: {Type: AWS::Serverless::HttpApi}\n  Echo:", "has 2"),
    ],
)
def test_what_the_gateway_cannot_serve_is_refused_at_start(replaced: str, by: str, named: str) -> None:
    with pytest.raises(TemplateError, match=named):
        read_api(TEMPLATE.replace(replaced, by))


# --- CORS -------------------------------------------------------------------------------------------------


def preflight(origin: str | None, target: str = "/echo") -> Request:
    headers = (("Access-Control-Request-Method", "POST"),)
    return Request("OPTIONS", target, headers if origin is None else (("Origin", origin), *headers))


def test_a_preflight_of_a_listed_origin_is_answered_by_the_gateway(
    gateway: Gateway, functions: Functions
) -> None:
    response = gateway(preflight(PAGE))

    assert (response.status, response.body) == (204, b"")
    assert header(response, "access-control-allow-origin") == PAGE
    assert header(response, "access-control-allow-methods") == "POST"
    assert header(response, "access-control-allow-headers") == "content-type,x-nonce"
    assert header(response, "access-control-max-age") == "600"
    assert header(response, "access-control-allow-credentials") is None
    assert not functions.events


@pytest.mark.parametrize("origin", [STRANGER, f"{PAGE}/", "null", PAGE.upper(), None])
def test_a_preflight_of_any_other_origin_gets_no_cors_headers(gateway: Gateway, origin: str | None) -> None:
    response = gateway(preflight(origin))

    assert response.status == 204
    assert not [name for name, _ in response.headers if name.startswith("access-control")]


def test_a_listed_origin_may_read_a_response(gateway: Gateway) -> None:
    response = gateway(post(("Origin", PAGE)))

    assert header(response, "access-control-allow-origin") == PAGE
    assert header(response, "access-control-expose-headers") == "retry-after"
    assert header(response, "access-control-allow-methods") is None


def test_another_origin_may_not_but_the_handler_still_runs(gateway: Gateway, functions: Functions) -> None:
    response = gateway(post(("Origin", STRANGER)))

    assert header(response, "access-control-allow-origin") is None
    assert len(functions.events) == 1


def test_a_functions_own_cors_headers_are_ignored(gateway: Gateway, functions: Functions) -> None:
    functions.answer = {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*"}, "body": ""}

    response = gateway(post(("Origin", STRANGER)))

    assert header(response, "access-control-allow-origin") is None


def test_an_api_without_cors_passes_everything_on(functions: Functions) -> None:
    text = TEMPLATE.replace("CorsConfiguration", "Unrelated")
    functions.answer = {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*"}, "body": ""}
    gateway = Gateway(read_api(text), functions, lambda: NOW)

    assert gateway(preflight(PAGE)).status == 404
    assert header(gateway(post()), "access-control-allow-origin") == "*"


# --- Answers ----------------------------------------------------------------------------------------------


def test_status_headers_cookies_and_body_of_an_answer_are_sent(
    gateway: Gateway, functions: Functions
) -> None:
    functions.answer = {
        "statusCode": 201,
        "headers": {"X-Number": 7, "X-Flag": True},
        "cookies": ["a=1", "b=2"],
        "body": "号",
    }

    response = gateway(post())

    assert (response.status, response.body.decode()) == (201, "号")
    assert ("x-number", "7") in response.headers
    assert ("x-flag", "true") in response.headers
    assert [value for name, value in response.headers if name == "set-cookie"] == ["a=1", "b=2"]
    assert header(response, "content-type") == "text/plain;charset=UTF-8"


def test_a_base64_body_is_decoded(gateway: Gateway, functions: Functions) -> None:
    functions.answer = {"statusCode": 200, "body": "/wA=", "isBase64Encoded": True}

    assert gateway(post()).body == b"\xff\x00"


@pytest.mark.parametrize(("answer", "body"), [({"a": 1}, b'{"a": 1}'), ([1], b"[1]"), ("text", b"text")])
def test_an_answer_without_a_status_is_a_json_body(
    gateway: Gateway, functions: Functions, answer: object, body: bytes
) -> None:
    functions.answer = answer

    response = gateway(post())

    assert (response.status, response.body) == (200, body)
    assert header(response, "content-type") == "application/json"


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": "fine"},
        {"statusCode": True},
        {"statusCode": 99},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "headers": ["a"]},
        {"statusCode": 200, "headers": {"a": "b\r\nc: d"}},
        {"statusCode": 200, "headers": {"a": ["b"]}},
        {"statusCode": 200, "body": "no base64", "isBase64Encoded": True},
        {"statusCode": 200, "cookies": "a=1"},
    ],
)
def test_a_malformed_answer_is_an_internal_server_error(
    gateway: Gateway, functions: Functions, answer: object
) -> None:
    functions.answer = answer

    response = gateway(post(("Origin", PAGE)))

    assert (response.status, json.loads(response.body)) == (500, {"message": "Internal Server Error"})
    assert header(response, "access-control-allow-origin") == PAGE


def test_a_function_that_fails_is_an_internal_server_error(gateway: Gateway, functions: Functions) -> None:
    function = Function("Echo", "arn", "echo.handler", {}, (), 1)
    functions.answer = FunctionError(function, {"errorType": "KeyError", "errorMessage": "secret"})

    response = gateway(post())

    assert (response.status, json.loads(response.body)) == (500, {"message": "Internal Server Error"})


def test_a_function_that_stays_busy_is_unavailable(gateway: Gateway, functions: Functions) -> None:
    functions.answer = BusyError("Echo")

    response = gateway(post())

    assert (response.status, json.loads(response.body)) == (503, {"message": "Service Unavailable"})


def test_each_response_names_its_request(gateway: Gateway, functions: Functions) -> None:
    responses = [gateway(post()), gateway(post())]

    ids = [header(response, "apigw-requestid") for response in responses]
    assert ids == [event["requestContext"]["requestId"] for event in functions.events]
    assert len(set(ids)) == 2
    assert all(len(id_ or "") == 16 for id_ in ids)
