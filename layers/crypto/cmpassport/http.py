"""The HTTP side that all functions share: API Gateway payload 2.0 in, answers and problem documents out.

API Gateway routes by path and method before a function runs, so a function has one route and needs no router.
What is checked here is what every request must satisfy whatever it asks: origin, media type, size, JSON.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cmpassport.members import FieldError, InvalidMembersError
from cmpassport.problems import Problem, ProblemError
from cmpassport.telemetry import Metric, count, count_refusal, describe, flush_metrics, logger

MAX_BODY_BYTES: Final = 16 * 1024

_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_JSON_HEADERS: Final = {"Content-Type": "application/json", **_HEADERS}
_PROBLEM_HEADERS: Final = {"Content-Type": "application/problem+json", **_HEADERS}


@dataclass(frozen=True, slots=True)
class Request:
    """One accepted request.

    Attributes
    ----------
    fields
        The body's JSON object.
    origin
        Origin of the page that calls, one of the allowed.
    domain_name
        Name under which the API was called, or an empty text; API Gateway answers under its own names only.
    client_address
        The caller's IP address as API Gateway saw it, or an empty text.
    request_id
        API Gateway's identifier, which its access log has too.
    """

    fields: Mapping[str, Any]
    origin: str
    domain_name: str
    client_address: str
    request_id: str

    def __repr__(self) -> str:
        """Show the identifier alone: the fields are personal."""
        return f"Request(request_id={self.request_id!r})"


class Handler:
    """A Lambda handler: whatever it raises is mapped to a response.

    Parameters
    ----------
    answer
        Takes an event and its request's identifier; returns the response or raises ProblemError.
    """

    def __init__(self, answer: Callable[[Mapping[str, Any], str], dict[str, Any]]) -> None:
        self._answer = answer
        self._cold = True

    def __call__(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """Answer one payload 2.0 event with one payload 2.0 response, whatever goes wrong."""
        request_id = _request_id(event, context)
        logger.append_keys(requestId=request_id)
        if self._cold:
            self._cold = False
            count(Metric.COLD_START)
        try:
            return self._answer(event, request_id)
        except ProblemError as error:
            return _refusal(error, request_id)
        except InvalidMembersError as error:
            return _refusal(ProblemError(Problem.INVALID_REQUEST, errors=error.errors), request_id)
        except Exception as error:  # noqa: BLE001 - the last resort: nobody sees a stack trace
            logger.error("an unexpected error", extra=describe(error))
            return _refusal(ProblemError(Problem.INTERNAL_ERROR), request_id)
        finally:
            flush_metrics()


class Endpoint(Handler):
    """A handler around an operation of pages: checks the request and answers it.

    Parameters
    ----------
    operation
        Takes the accepted request; returns the body of a 200, or raises ProblemError or InvalidMembersError.
    allowed_origins
        Origins whose pages may call. CORS alone only hides a response; the refusal is here.
    """

    def __init__(
        self, operation: Callable[[Request], Mapping[str, Any]], allowed_origins: frozenset[str]
    ) -> None:
        def answer(event: Mapping[str, Any], request_id: str) -> dict[str, Any]:
            return respond(200, _JSON_HEADERS, operation(_accept(event, request_id, allowed_origins)))

        super().__init__(answer)


def _request_id(event: Mapping[str, Any], context: Any) -> str:
    request_context = event.get("requestContext") or {}
    return str(request_context.get("requestId") or getattr(context, "aws_request_id", ""))


def _accept(event: Mapping[str, Any], request_id: str, allowed_origins: frozenset[str]) -> Request:
    headers = event.get("headers") or {}
    if "origin" not in headers or "content-type" not in headers:
        # API Gateway writes names in lower case; `sam local` as they were sent.
        headers = {name.lower(): value for name, value in headers.items()}
    if headers.get("origin") not in allowed_origins:
        raise ProblemError(Problem.ORIGIN_NOT_ALLOWED)
    media_type, _, parameters = headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if media_type.strip().lower() != "application/json" or charset not in {"", "charset=utf-8"}:
        raise ProblemError(Problem.UNSUPPORTED_MEDIA_TYPE)
    fields = _read_json(_read_body(event))
    context = event.get("requestContext") or {}
    return Request(
        fields,
        origin=headers["origin"],
        domain_name=str(context.get("domainName") or ""),
        client_address=str((context.get("http") or {}).get("sourceIp") or ""),
        request_id=request_id,
    )


def _read_body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    if len(body) > MAX_BODY_BYTES * 2:  # cheaper than decoding first, and Base64 takes 4/3
        raise ProblemError(Problem.BODY_TOO_LARGE)
    try:
        data = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except ValueError:  # binascii.Error and UnicodeEncodeError are ValueErrors
        raise _not_json() from None
    if len(data) > MAX_BODY_BYTES:
        raise ProblemError(Problem.BODY_TOO_LARGE)
    return data


def _read_json(data: bytes) -> Mapping[str, Any]:
    try:
        content = _decode(data.decode())
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise _not_json() from None
    if not isinstance(content, dict):
        raise InvalidMembersError(FieldError("", "the body must be a JSON object"))
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a repeated member: two readers could take different ones."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("repeated member")
    return content


def _no_constant(_: str) -> None:
    """Refuse NaN and Infinity, which are not JSON (RFC 8259 section 6)."""
    raise ValueError("not a JSON number")


# Made once: json.loads and json.dumps would make a decoder and an encoder for each request.
_decode: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant).decode
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _not_json() -> InvalidMembersError:
    return InvalidMembersError(FieldError("", "the body is not JSON (RFC 8259, UTF-8, no repeated members)"))


def _refusal(error: ProblemError, request_id: str) -> dict[str, Any]:
    count_refusal(error.problem)
    headers = _PROBLEM_HEADERS
    if error.retry_after is not None:
        headers = {**headers, "Retry-After": str(error.retry_after)}
    return respond(error.problem.status.value, headers, error.document(request_id))


def respond(status: int, headers: Mapping[str, str], body: Mapping[str, Any]) -> dict[str, Any]:
    """Write a payload 2.0 response with a JSON body."""
    return {
        "statusCode": status,
        "headers": dict(headers),
        "body": _encode(body),
    }
