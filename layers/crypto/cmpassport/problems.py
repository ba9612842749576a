"""Every refusal that the API can return, as RFC 9457 problems: the one table where errors become HTTP."""

from collections.abc import Sequence
from enum import Enum, StrEnum
from http import HTTPStatus
from typing import Any, Final

from cmpassport.errors import CmpassportError
from cmpassport.members import FieldError

_TYPE_PREFIX: Final = "urn:problem-type:number-verification:"


class Action(StrEnum):
    """What the page should do next; the one field that a page needs to look at."""

    LOGIN = "login"
    REFUSE = "refuse"
    RETRY = "retry"
    WAIT = "wait"
    FIX_REQUEST = "fix_request"
    USE_OTHER_METHOD = "use_other_method"


_RETRY, _WAIT, _FIX, _OTHER = Action.RETRY, Action.WAIT, Action.FIX_REQUEST, Action.USE_OTHER_METHOD


class Problem(Enum):
    """Status, action, code, title and detail of each refusal.

    Pages rely on status, action and code: these never change. The detail is a sentence for the page's
    developer; an error that knows more brings its own.
    """

    # fmt: off
    INVALID_REQUEST = (400, _FIX, "invalid_request",
        "The request is not valid", "The request's members are not as documented; see errors.")
    PRESIGN_REJECTED = (400, _FIX, "presign_rejected",
        "The string is not a preSign of this application", "Pass on what the SDK's getSign returns, verbatim.")
    ORIGIN_NOT_ALLOWED = (403, _FIX, "origin_not_allowed",
        "The page's origin is not allowed",
        "The Origin header is missing or not in AllowedOrigins: scheme, host and port, without a trailing slash.")
    BODY_TOO_LARGE = (413, _FIX, "body_too_large",
        "The request is too large", "The body has more than 16 KiB. Send only the documented members.")
    UNSUPPORTED_MEDIA_TYPE = (415, _FIX, "unsupported_media_type",
        "The request is not JSON", "Send the body as UTF-8 with Content-Type: application/json.")
    TOKEN_REUSED = (409, _RETRY, "token_reused",
        "The token was already sent with other data", "Get a new token from the SDK and send that.")
    IN_PROGRESS = (409, _WAIT, "in_progress",
        "The same request is being processed", "Wait a moment and send the request again.")
    TOKEN_REJECTED = (422, _RETRY, "token_rejected",
        "The platform does not accept the token", "Get a new token from the SDK; pass userInformation on verbatim.")
    ATTEMPTS_EXHAUSTED = (429, _OTHER, "attempts_exhausted",
        "This number's attempts of today are used up", "Use another way to log in.")
    TOO_MANY_REQUESTS = (429, _WAIT, "too_many_requests",
        "Too many requests", "Wait as long as Retry-After says.")
    PLATFORM_REJECTED = (502, _OTHER, "platform_rejected",
        "The platform refused the request", "The operator of this service has to fix this. Use another way to log in.")
    PLATFORM_ERROR = (502, _RETRY, "platform_error",
        "The platform gave no verdict", "Get a new token and try again.")
    PLATFORM_UNREACHABLE = (503, _RETRY, "platform_unreachable",
        "The platform is unreachable", "Nothing was sent. Try again.")
    PLATFORM_TIMEOUT = (504, _RETRY, "platform_timeout",
        "The platform did not answer in time", "Get a new token and try again.")
    INTERNAL_ERROR = (500, _OTHER, "internal_error",
        "Something went wrong here", "The request could not be processed. Use another way to log in.")
    # fmt: on

    def __init__(self, status: int, action: Action, code: str, title: str, detail: str) -> None:
        self.status = HTTPStatus(status)
        self.action = action
        self.code = code
        self.title = title
        self.detail = detail


class ProblemError(CmpassportError):
    """A refusal on its way to the caller.

    Parameters
    ----------
    problem
        Which refusal it is.
    detail
        A sentence that says more than the table's; never quotes the request.
    errors
        Fields and reasons, for `invalid_request`.
    retry_after
        Seconds for the `Retry-After` header.
    result_code
        The platform's return code, if it sent one.
    """

    def __init__(
        self,
        problem: Problem,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
        result_code: str | None = None,
    ) -> None:
        super().__init__(problem.code)
        self.problem = problem
        self.detail = detail or problem.detail
        self.errors = tuple(errors)
        self.retry_after = retry_after
        self.result_code = result_code

    def document(self, request_id: str) -> dict[str, Any]:
        """Return the problem document (RFC 9457 section 3) with this API's extension members."""
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
