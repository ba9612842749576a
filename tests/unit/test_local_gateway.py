import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from local import ROOT
from local.environment import BusyError, Function, FunctionError
from local.gateway import MAX_BODY, Api, Gateway
from local.template import Pseudo, Template
from tests.support.templates import ACCOUNT, asked

PAGE = "https://page.example"
NOW = datetime(2026, 11, 24, 8, 30, 15, 250_000, tzinfo=UTC)

FUNCTION = Function("VerifyFunction", "arn", "verify.app.handler", {}, (), 1)
FAILED = FunctionError(FUNCTION, {"errorType": "KeyError", "errorMessage": "secret"})


class Functions:
    """Functions that answer what the test says and keep the events."""

    def __init__(self) -> None:
        self.answer: Any = {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": "{}"}
        self.events: list[Any] = []

    def __call__(self, logical_id: str, event: Any, request_id: str) -> Any:
        assert logical_id == FUNCTION.logical_id
        assert event["requestContext"]["requestId"] == request_id
        self.events.append(event)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def functions() -> Functions:
    return Functions()


@pytest.fixture
def client(functions: Functions) -> Client:
    answers = {**asked("cn-north-1"), "AllowedOrigins": f"{PAGE},https://other.example"}
    deployment = Template.read(ROOT / "template.yaml").deploy(answers, Pseudo("cn-north-1", ACCOUNT, "demo"))
    deployment.created("NumberVerificationApi", "a1b2c3")
    return Client(Gateway(Api.read(deployment), functions, lambda: NOW), use_cookies=False)


def cors(response: TestResponse) -> dict[str, str]:
    start = "access-control-"
    headers = ((name.lower(), value) for name, value in response.headers)
    return {name.removeprefix(start): value for name, value in headers if name.startswith(start)}


def test_an_event_is_of_payload_format_2_field_by_field(client: Client, functions: Functions) -> None:
    headers = {"User-Agent": "phone", "Cookie": "one=1; two=2", "X-Forwarded-For": "1.2.3.4"}
    target = "/verify?a=1&a=2&b=%E5%8F%B7&empty="

    client.post(target, base_url="http://127.0.0.1:3000", headers=headers, json={})

    (event,) = functions.events
    assert event["headers"].pop("x-amzn-trace-id").startswith("Root=1-")
    assert len(event["requestContext"].pop("requestId")) == 16
    forwarded = {
        "x-forwarded-for": "1.2.3.4, 127.0.0.1",
        "x-forwarded-port": "3000",
        "x-forwarded-proto": "http",
    }
    http = {"method": "POST", "path": "/verify", "protocol": "HTTP/1.1"}
    assert event == {
        "version": "2.0",
        "routeKey": "POST /verify",
        "rawPath": "/verify",
        "rawQueryString": "a=1&a=2&b=%E5%8F%B7&empty=",
        "cookies": ["one=1", "two=2"],
        "headers": {
            "host": "127.0.0.1:3000",
            "user-agent": "phone",
            "content-type": "application/json",
            "content-length": "2",
            **forwarded,
        },
        "queryStringParameters": {"a": "1,2", "b": "号", "empty": ""},
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "a1b2c3",
            "domainName": "127.0.0.1",
            "domainPrefix": "127",
            "http": {**http, "sourceIp": "127.0.0.1", "userAgent": "phone"},
            "routeKey": "POST /verify",
            "stage": "$default",
            "time": "24/Nov/2026:08:30:15 +0000",
            "timeEpoch": 1795509015250,
        },
        "body": "{}",
        "isBase64Encoded": False,
    }


@pytest.mark.parametrize(("content_type", "binary"), [("application/json", False), (None, True)])
def test_a_body_comes_as_text_or_as_base64_by_its_type(
    client: Client, functions: Functions, content_type: str | None, *, binary: bool
) -> None:
    client.post("/verify", data="号".encode(), content_type=content_type)

    (event,) = functions.events
    assert event["isBase64Encoded"] is binary
    assert (base64.b64decode(event["body"]).decode() if binary else event["body"]) == "号"


@pytest.mark.parametrize(
    ("method", "path", "answer", "status", "said"),
    [
        ("GET", "/verify", None, 404, "Not Found"),
        ("POST", "/verify/", None, 404, "Not Found"),
        ("POST", "//verify", None, 404, "Not Found"),
        ("POST", "/verify", FAILED, 500, "Internal Server Error"),
        ("POST", "/verify", BusyError("VerifyFunction"), 503, "Service Unavailable"),
        ("POST", "/verify", {"statusCode": "fine"}, 500, "Internal Server Error"),
    ],
)
def test_an_unknown_route_and_a_failure_are_the_gateways_own_refusals(
    client: Client, functions: Functions, method: str, path: str, answer: object, status: int, said: str
) -> None:
    functions.answer = answer

    response = client.open(path, method=method, headers={"Origin": PAGE})

    assert (response.status_code, response.json) == (status, {"message": said})
    assert cors(response)["allow-origin"] == PAGE
    assert bool(functions.events) is (answer is not None)


def test_a_body_over_ten_megabytes_reaches_no_function(client: Client, functions: Functions) -> None:
    assert client.post("/verify", data=b" " * (MAX_BODY + 1)).status_code == 413
    assert not functions.events


@pytest.mark.parametrize("origin", ["https://stranger.example", f"{PAGE}/", PAGE.upper()])
def test_a_listed_origin_alone_gets_cors_headers_but_the_handler_runs_for_any(
    client: Client, functions: Functions, origin: str
) -> None:
    functions.answer["headers"] = {"Access-Control-Allow-Origin": "*"}
    listed = client.options("/verify", headers={"Origin": PAGE, "Access-Control-Request-Method": "POST"})
    preflight = client.options("/verify", headers={"Origin": origin})

    assert (listed.status_code, listed.data) == (204, b"")
    assert cors(listed) == {
        "allow-origin": PAGE,
        "allow-methods": "POST",
        "allow-headers": "content-type",
        "max-age": "7200",
    }
    assert (preflight.status_code, cors(preflight)) == (204, {})
    assert cors(client.post("/verify", headers={"Origin": origin})) == {}
    assert len(functions.events) == 1
