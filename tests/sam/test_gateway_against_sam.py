"""The local gateway against SAM's: what each hands to a handler for the same request, field by field.

What differs is listed in docs/testing.md with its reason. Any other difference is a failure, and so is one
that is listed and no longer there.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import pytest

from local import ROOT
from local.gateway import Api, Gateway
from local.server import Server
from local.template import Pseudo, Template
from tests.sam.conftest import SAM
from tests.sam.gateways import sams_gateway

DOCUMENT: Final = ROOT / "docs" / "testing.md"

TEMPLATE: Final = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      CorsConfiguration:
        AllowOrigins: [https://www.abc.com]
        AllowMethods: [POST]
        AllowHeaders: [content-type]
        ExposeHeaders: [retry-after]
        MaxAge: 600
  Echo:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: echo/
      Handler: echo.handler
      Runtime: python3.13
      Timeout: 10
      Events:
        Post: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: POST, Path: /echo}}
        Get: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: GET, Path: /echo}}
        Any: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: ANY, Path: /any}}
        Odd: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: GET, Path: "/a b/é"}}
"""
HANDLER: Final = """
import base64, json

def handler(event, context):
    # In a header, so that the answer to HEAD has it too.
    text = base64.b64encode(json.dumps(event).encode()).decode()
    return {"statusCode": 200, "headers": {"content-type": "text/plain", "x-event": text}, "body": ""}
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as a client sends it."""

    name: str
    method: str = "POST"
    target: str = "/echo"
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    body: bytes | None = None


def of_type(media_type: str, body: bytes) -> Sent:
    return Sent(media_type, headers=(("Content-Type", media_type),), body=body)


def with_headers(name: str, *headers: tuple[str, str]) -> Sent:
    return Sent(name, headers=(("Content-Type", "application/json"), *headers), body=b"{}")


def preflight(name: str, *headers: tuple[str, str]) -> Sent:
    return Sent(name, "OPTIONS", headers=(*headers, ("Access-Control-Request-Method", "POST")))


REQUESTS: Final = (
    Sent("JSON", body=b'{"a": 1}'),
    Sent("no body"),
    Sent("an empty body", body=b""),
    Sent("no type", headers=(), body=b"{}"),
    of_type("application/json; charset=utf-8", '{"a": "é"}'.encode()),
    of_type("application/problem+json", b"{}"),
    of_type("application/x-www-form-urlencoded", b"a=1&b=%E4%B8%AD"),
    of_type("text/plain", "本机号码".encode()),
    of_type("application/xml", b"<a/>"),
    of_type("application/octet-stream", b"\x00\xff\xfe"),
    of_type("image/png", b"\x89PNG\r\n"),
    Sent("JSON that is no UTF-8", body=b"\xff\xfe"),
    with_headers("a page", ("Origin", "https://www.abc.com")),
    with_headers("another page", ("Origin", "https://elsewhere.example")),
    with_headers("a repeated header", ("X-Many", "one"), ("X-Many", "two"), ("x-many", "three")),
    with_headers("a header with commas", ("X-List", "a, b"), ("X-Empty", "")),
    with_headers("a header beyond ASCII", ("X-Latin", "café")),
    with_headers("a cookie", ("Cookie", "a=1")),
    with_headers("cookies", ("Cookie", "a=1; b=2"), ("Cookie", "c=3")),
    with_headers("a user agent", ("User-Agent", "phone/1.0")),
    with_headers("a trace", ("X-Amzn-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793")),
    with_headers("a proxy", ("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Proto", "https")),
    Sent("a query", target="/echo?a=1&b=two", body=b"{}"),
    Sent("a query with repeated and empty names", target="/echo?a=1&a=2&b=&c", body=b"{}"),
    Sent("an encoded query", target="/echo?q=%E4%B8%AD+x%20y%2Bz&%61=b%26c", body=b"{}"),
    Sent("an empty query", target="/echo?", body=b"{}"),
    Sent("an encoded path", target="/%65cho", body=b"{}"),
    Sent("a path beyond ASCII", "GET", "/a%20b/%C3%A9", headers=()),
    Sent("GET", "GET", headers=()),
    Sent("HEAD of ANY", "HEAD", "/any", headers=()),
    Sent("HEAD of GET", "HEAD", headers=()),
    Sent("DELETE of ANY", "DELETE", "/any", headers=()),
    preflight("OPTIONS of a page", ("Origin", "https://www.abc.com")),
    preflight("OPTIONS of another page", ("Origin", "https://elsewhere.example")),
    preflight("OPTIONS of no page"),
    Sent("a method without a route", "PUT", body=b"{}"),
    Sent("a path without a route", target="/nowhere", body=b"{}"),
    Sent("a slash too many", target="/echo/", body=b"{}"),
    Sent("another case", target="/Echo", body=b"{}"),
)


def listed_differences() -> frozenset[tuple[str, str]]:
    """Read docs/testing.md: each request's name, or `all`, with each field."""
    rows = re.findall(r"^\| (.+?) \| (`(?:event|response)[^|]*`) \|", DOCUMENT.read_text(), re.MULTILINE)
    return frozenset(
        (name, field)
        for names, fields in rows
        for name in names.split("; ")
        for field in re.findall("`(.+?)`", fields)
    )


def send(address: str, sent: Sent) -> dict[str, Any]:
    """Send a request; give all that came of it, the event that the handler had included, field by field."""
    connection = HTTPConnection(address.removeprefix("http://"), timeout=60)
    try:
        connection.putrequest(sent.method, sent.target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", "api.example.test:3000")
        for name, value in sent.headers:
            connection.putheader(name, value.encode())
        if sent.body is not None:
            connection.putheader("Content-Length", str(len(sent.body)))
        connection.endheaders(sent.body)
        response = connection.getresponse()
        body = response.read().decode()
    finally:
        connection.close()
    headers = {name.lower(): value for name, value in response.headers.items() if name.lower() != "date"}
    text = headers.pop("x-event", None)
    answer = {"status": response.status, "headers": headers, "body": json.loads(body) if body else body}
    fields = flat({"response": answer, "event": None})
    if text:
        del fields["event"]
        fields |= _fields_of_event(json.loads(base64.b64decode(text)))
    return fields


def _fields_of_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """Give an event's fields, its headers' by names in lower case, and how the names are written."""
    names = list(event["headers"])
    lower = {name.lower(): value for name, value in event["headers"].items()}
    written = "in lower case" if names == list(lower) else "as sent"
    return {**flat({"event": {**event, "headers": lower}}), "event.headers": written}


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Write nested members as `one.within.another`."""
    if not isinstance(value, dict) or not value:
        return {path: value}
    leaves: dict[str, Any] = {}
    for name, item in value.items():
        leaves |= flat(item, f"{path}.{name}" if path else name)
    return leaves


def differences(sams: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Give what differs, by field: SAM's and ours; an event that only one handler has had is one field."""
    nothing = object()
    unequal = {
        field: (sams.get(field, "nothing"), ours.get(field, "nothing"))
        for field in {*sams, *ours}
        if sams.get(field, nothing) != ours.get(field, nothing)
    }
    if "event" in unequal:
        unequal = {field: pair for field, pair in unequal.items() if not field.startswith("event.")}
    return unequal


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template whose one function gives back the event that it had."""
    folder = tmp_path_factory.mktemp("echo")
    (folder / "echo").mkdir()
    (folder / "echo" / "echo.py").write_text(HANDLER)
    (folder / "template.yaml").write_text(TEMPLATE)
    return folder / "template.yaml"


@pytest.fixture(scope="module")
def sams(template: Path, image: str, sam_environment: Mapping[str, str]) -> Iterator[str]:
    """The address of SAM's gateway."""
    options = [f"--template-file={template}", f"--invoke-image={image}", "--skip-pull-image"]
    command = [str(SAM), "local", "start-api", *options]
    log = template.with_name("start-api.log")
    with sams_gateway(command, log, sam_environment, template.parent) as address:
        yield address


@pytest.fixture(scope="module")
def ours(template: Path) -> Iterator[str]:
    """The address of the local gateway."""
    deployment = Template.read(template).deploy({}, Pseudo("us-east-1", "123456789012", "echo"))
    deployment.created("Api", "1234567890")
    echo: dict[str, Any] = {}
    exec(HANDLER, echo)  # noqa: S102 - the same handler as in SAM's container
    noon = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
    gateway = Gateway(Api.read(deployment), lambda _, event, __: echo["handler"](event, None), lambda: noon)
    with Server(gateway) as server:
        yield server.url


@pytest.fixture(scope="module")
def found(sams: str, ours: str) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Every difference, by request and field."""
    return {sent.name: differences(send(sams, sent), send(ours, sent)) for sent in REQUESTS}


@pytest.mark.parametrize("name", [sent.name for sent in REQUESTS])
def test_what_differs_is_listed(found: dict[str, dict[str, tuple[Any, Any]]], name: str) -> None:
    listed = listed_differences()

    assert not {
        field: pair for field, pair in found[name].items() if not {(name, field), ("all", field)} & listed
    }


@pytest.mark.parametrize(("name", "field"), sorted(listed_differences()))
def test_what_is_listed_differs(found: dict[str, dict[str, tuple[Any, Any]]], name: str, field: str) -> None:
    differing = found.values() if name == "all" else [found[name]]

    assert any(field in differences for differences in differing)
