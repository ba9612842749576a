"""Every refusal that the API can give, as RFC 9457 problems: the one place where errors become HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from http import HTTPStatus
from typing import Any, Final

from cmpassport.errors import CmpassportError

_TYPE_PREFIX: Final = "urn:problem-type:number-verification:"


class Action(StrEnum):
    """What the page should do next; the one field that a page needs to look at."""

    LOGIN = "login"
    REFUSE = "refuse"
    RETRY = "retry"
    WAIT = "wait"
    FIX_REQUEST = "fix_request"
    USE_OTHER_METHOD = "use_other_method"


class Problem(Enum):
    """Code, HTTP status, action and title of each refusal. Pages rely on them: they are never changed."""

    INVALID_REQUEST = (
        "invalid_request",
        HTTPStatus.BAD_REQUEST,
        Action.FIX_REQUEST,
        "The request is not valid",
    )
    PRESIGN_REJECTED = (
        "presign_rejected",
        HTTPStatus.BAD_REQUEST,
        Action.FIX_REQUEST,
        "The string is no preSign of this application",
    )
    ORIGIN_NOT_ALLOWED = (
        "origin_not_allowed",
        HTTPStatus.FORBIDDEN,
        Action.FIX_REQUEST,
        "The page's origin is not allowed",
    )
    BODY_TOO_LARGE = (
        "body_too_large",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        Action.FIX_REQUEST,
        "The request is too large",
    )
    UNSUPPORTED_MEDIA_TYPE = (
        "unsupported_media_type",
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        Action.FIX_REQUEST,
        "The request is not JSON",
    )
    TOKEN_REUSED = (
        "token_reused",
        HTTPStatus.CONFLICT,
        Action.RETRY,
        "The token was already sent with another number",
    )
    IN_PROGRESS = ("in_progress", HTTPStatus.CONFLICT, Action.WAIT, "The same request is being worked on")
    TOKEN_REJECTED = (
        "token_rejected",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Action.RETRY,
        "The platform does not accept the token",
    )
    ATTEMPTS_EXHAUSTED = (
        "attempts_exhausted",
        HTTPStatus.TOO_MANY_REQUESTS,
        Action.USE_OTHER_METHOD,
        "This number's attempts of today are used up",
    )
    TOO_MANY_REQUESTS = (
        "too_many_requests",
        HTTPStatus.TOO_MANY_REQUESTS,
        Action.WAIT,
        "Too many requests from this address",
    )
    PLATFORM_REJECTED = (
        "platform_rejected",
        HTTPStatus.BAD_GATEWAY,
        Action.USE_OTHER_METHOD,
        "The platform refused the request",
    )
    PLATFORM_ERROR = ("platform_error", HTTPStatus.BAD_GATEWAY, Action.RETRY, "The platform gave no verdict")
    PLATFORM_UNREACHABLE = (
        "platform_unreachable",
        HTTPStatus.SERVICE_UNAVAILABLE,
        Action.RETRY,
        "The platform cannot be reached",
    )
    PLATFORM_TIMEOUT = (
        "platform_timeout",
        HTTPStatus.GATEWAY_TIMEOUT,
        Action.RETRY,
        "The platform did not answer in time",
    )
    INTERNAL_ERROR = (
        "internal_error",
        HTTPStatus.INTERNAL_SERVER_ERROR,
        Action.USE_OTHER_METHOD,
        "Something went wrong here",
    )

    def __init__(self, code: str, status: HTTPStatus, action: Action, title: str) -> None:
        self.code = code
        self.status = status
        self.action = action
        self.title = title


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong, by name and reason; never its value."""

    field: str
    reason: str


class ProblemError(CmpassportError):
    """A refusal on its way to the caller.

    Parameters
    ----------
    problem
        Which refusal it is.
    detail
        A sentence for the page's developer that says what to do next; never quotes the request.
    errors
        Fields and reasons, for `invalid_request`.
    retry_after
        Seconds for the `Retry-After` header.
    result_code
        The platform's return code, where it gave one.
    """

    def __init__(
        self,
        problem: Problem,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
        result_code: str | None = None,
    ) -> None:
        super().__init__(problem.code)
        self.problem = problem
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after
        self.result_code = result_code

    def document(self, request_id: str) -> dict[str, Any]:
        """Write the problem document (RFC 9457 section 3) with this API's extension members."""
        problem = self.problem
        document: dict[str, Any] = {
            "type": _TYPE_PREFIX + problem.code,
            "title": problem.title,
            "status": problem.status.value,
            "detail": self.detail,
            "code": problem.code,
            "action": problem.action.value,
            "requestId": request_id,
        }
        if self.result_code is not None:
            document["resultCode"] = self.result_code
        if self.errors:
            document["errors"] = [{"field": error.field, "reason": error.reason} for error in self.errors]
        return document
