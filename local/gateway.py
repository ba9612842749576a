"""API Gateway's HTTP API in small: routes, CORS and payload format 2.0 as the template declares them.

What a page sees here is what it sees from AWS: the same events reach the handlers, the same refusals come
from the gateway itself, and the CORS headers are the gateway's own. Sources are the developer guide's
chapters on Lambda proxy integrations and on CORS for HTTP APIs. A function's own timeout is a failure of the
integration (500), as it is there; 503 is for a request that waited for 30 s, the API's limit.
"""

import base64
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug import Request, Response
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge

from local.environment import BusyError, FunctionError
from local.server import HOST, message
from local.template import FUNCTION, HTTP_API, Deployment, TemplateError

MAX_BODY: Final = 10 * 1024 * 1024
"""Bytes of a request's body, API Gateway's own limit (10 MB)."""

_TEXT_TYPES: Final = frozenset({"application/json", "application/javascript", "application/xml"})
"""Besides text/*, the types whose bodies are handed on as text; all others, and none, come as Base64."""

_CONNECTION_HEADERS: Final = frozenset(
    {"connection", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
_GATEWAY_HEADERS: Final = _CONNECTION_HEADERS | {"content-length", "date", "apigw-requestid"}

Invoke = Callable[[str, Any, str], Any]
"""Hands an event to a function: its logical id, the event, the request's id; returns the handler's answer."""


@dataclass(frozen=True, slots=True)
class Cors:
    """The API's CorsConfiguration: who may read, and the headers that say so."""

    origins: frozenset[str]
    preflight: Mapping[str, str]
    response: Mapping[str, str]

    @classmethod
    def read(cls, configuration: Mapping[str, Any]) -> Self:
        """Take the property's value."""
        preflight = {
            "allow-methods": ",".join(configuration.get("AllowMethods", ())),
            "allow-headers": ",".join(configuration.get("AllowHeaders", ())),
            "max-age": str(configuration.get("MaxAge", "")),
        }
        response = {"expose-headers": ",".join(configuration.get("ExposeHeaders", ()))}
        origins = frozenset(configuration.get("AllowOrigins", ()))
        return cls(origins, preflight, response)

    def headers(self, origin: str | None, given: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return the headers that tell an origin what it may do; none for a stranger's."""
        if origin is None or origin not in self.origins:
            return []
        allowed = {"allow-origin": origin, **given}
        return [(f"access-control-{name}", value) for name, value in allowed.items() if value]


@dataclass(frozen=True, slots=True)
class Api:
    """The HTTP API as the template declares it."""

    logical_id: str
    api_id: str
    account_id: str
    cors: Cors | None
    routes: Mapping[str, str]
    """Functions' logical ids by route key, such as `POST /verify`."""

    @classmethod
    def read(cls, deployment: Deployment) -> Self:
        """Find the template's one HTTP API and the functions behind it.

        Raises
        ------
        TemplateError
            There is none or more than one.
        """
        apis = list(deployment.resources(HTTP_API))
        if len(apis) != 1:
            raise TemplateError(f"the local stack serves one HTTP API; the template has {len(apis)}")
        (logical_id,) = apis
        api_id = deployment.ref(logical_id)
        routes = {
            f"{event['Properties']['Method'].upper()} {event['Properties']['Path']}": function
            for function in deployment.resources(FUNCTION)
            for event in (deployment.properties(function).get("Events") or {}).values()
            if event["Type"] == "HttpApi" and event["Properties"].get("ApiId") == api_id
        }
        configuration = deployment.properties(logical_id).get("CorsConfiguration")
        cors = Cors.read(configuration) if configuration else None
        return cls(logical_id, api_id, deployment.pseudo.account_id, cors, routes)


class Gateway:
    """The WSGI application behind the API's address; its clock is aware."""

    def __init__(self, api: Api, invoke: Invoke, now: Callable[[], datetime]) -> None:
        self._api = api
        self._invoke = invoke
        self._now = now

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, API Gateway's own headers added."""
        request = Request(environ)
        request.max_content_length = MAX_BODY
        request_id = new_request_id()
        origin = request.headers.get("origin")
        cors = self._api.cors
        own = [("apigw-requestid", request_id)]
        if request.method == "OPTIONS" and cors is not None:
            response = Response(status=HTTPStatus.NO_CONTENT)
            del response.headers["content-type"]
            own += cors.headers(origin, cors.preflight)
        else:
            response = self._respond(request, request_id)
            if cors is not None:  # a function's own CORS headers go, as on AWS
                for name in [name for name, _ in response.headers if name.startswith("access-control-")]:
                    del response.headers[name]
                own += cors.headers(origin, cors.response)
        response.headers.extend(own)
        return response(environ, start_response)

    def _respond(self, request: Request, request_id: str) -> Response:
        key = f"{request.method} {path_of(request)}"
        if key not in self._api.routes:
            return message(HTTPStatus.NOT_FOUND, "Not Found")
        try:
            event = build_event(request, self._api, key, request_id, self._now())
            return read_answer(self._invoke(self._api.routes[key], event, request_id))
        except RequestEntityTooLarge:
            return message(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Entity Too Large")
        except (FunctionError, AnswerError):
            return message(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error")
        except BusyError:
            return message(HTTPStatus.SERVICE_UNAVAILABLE, "Service Unavailable")


class AnswerError(Exception):
    """A handler's answer is not of payload format 2.0."""


def build_event(request: Request, api: Api, route_key: str, request_id: str, now: datetime) -> dict[str, Any]:
    """Write a request as an event of payload format 2.0; what is absent has no key.

    Raises
    ------
    RequestEntityTooLarge
        The body is longer than 10 MB.
    """
    body = request.get_data()
    client = request.remote_addr or HOST
    headers = _headers(request, len(body), client)
    query = request.query_string.decode("latin-1")
    domain = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    http = {
        "method": request.method,
        "path": path_of(request),
        "protocol": "HTTP/1.1",
        "sourceIp": client,
        "userAgent": headers.get("user-agent", ""),
    }
    context = {
        "accountId": api.account_id,
        "apiId": api.api_id,
        "domainName": domain,
        "domainPrefix": domain.partition(".")[0],
        "http": http,
        "requestId": request_id,
        "routeKey": route_key,
        "stage": "$default",
        "time": now.strftime("%d/%b/%Y:%H:%M:%S %z"),
        "timeEpoch": int(now.timestamp() * 1000),
    }
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path_of(request),
        "rawQueryString": query,
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if cookies := request.headers.get("cookie", ""):
        event["cookies"] = [cookie for cookie in map(str.strip, cookies.split(";")) if cookie]
    if query:
        event["queryStringParameters"] = _parameters(query)
    if body:
        binary = is_binary(headers.get("content-type"))
        event["isBase64Encoded"] = binary
        event["body"] = base64.b64encode(body).decode() if binary else body.decode("utf-8", "replace")
    return event


def is_binary(content_type: str | None) -> bool:
    """Tell whether API Gateway hands a body of a type on as Base64, a type that is absent included."""
    media_type = (content_type or "").partition(";")[0].strip().lower()
    return not (media_type.startswith("text/") or media_type in _TEXT_TYPES)


def read_answer(answer: Any) -> Response:
    """Take a handler's answer, with its statusCode and a text as its body.

    Raises
    ------
    AnswerError
        It is of another form: API Gateway answers 500, or does what no function here asks for.
    """
    if not isinstance(answer, dict) or answer.get("isBase64Encoded") or answer.get("cookies"):
        raise AnswerError("the answer's form")
    status, body = answer.get("statusCode"), answer.get("body") or ""
    if type(status) is not int or not isinstance(body, str):
        raise AnswerError("statusCode or body")
    given = ((name.lower(), str(value)) for name, value in (answer.get("headers") or {}).items())
    headers = Headers([(name, value) for name, value in given if name not in _GATEWAY_HEADERS])
    headers.setdefault("content-type", "text/plain;charset=UTF-8")
    return Response(body, status, headers)


def path_of(request: Request) -> str:
    """Return the path, percent-decoded and otherwise as it came; werkzeug's own merges slashes."""
    return str(request.environ["PATH_INFO"]).encode("latin-1").decode("utf-8", "replace")


def new_request_id() -> str:
    """Make an id in API Gateway's form: 16 characters of Base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(11)).decode()


def _headers(request: Request, length: int, client: str) -> dict[str, str]:
    headers = {
        name.lower(): value
        for name, value in request.headers
        if name.lower() not in _CONNECTION_HEADERS | {"cookie"}
    }
    if length:
        headers["content-length"] = str(length)
    port = headers.get("host", "").rpartition(":")[2]
    before = headers.get("x-forwarded-for")
    headers["x-forwarded-for"] = f"{before}, {client}" if before else client
    headers["x-forwarded-port"] = port if port.isdigit() else "80"
    headers["x-forwarded-proto"] = "http"
    headers.setdefault("x-amzn-trace-id", f"Root=1-{secrets.token_hex(4)}-{secrets.token_hex(12)}")
    return headers


def _parameters(query: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters
