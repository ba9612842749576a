"""The demo's business back end: it logs in whoever brings a receipt for the nonce it gave, and nobody else.

It stands for the company's own service, on the page's origin and apart from the API: of that it knows the
address alone, where the public keys are. What checks a receipt is the recipe that a business copies.
"""

import json
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from local.pages import BUSINESS_PATH
from local.server import Request, Response
from recipes.python.number_verification_receipts import Claims, Reason, ReceiptError, ReceiptVerifier

_COOKIE: Final = "business_session"
_MAX_SESSIONS: Final = 1000
_TOKEN_BYTES: Final = 24
_MAX_BODY: Final = 16 * 1024
_MAX_COOKIES: Final = 8 * 1024
# One cookie is wanted, of a form of its own; a parser of all of them reads what anybody sends.
_SESSION_ID: Final = re.compile(rf"(?:^|; ?){_COOKIE}=([A-Za-z0-9_-]{{32}})(?:;|$)")


Account = Mapping[str, str]
"""Who logged in: one member, named like the receipt's claim, `phoneNum` where it was encrypted."""

Check = Callable[[str, str], Claims]
"""Checks a receipt for a nonce, as the recipe's `verify`; raises its ReceiptError."""


def receipt_check(api: str, origin: str, business_key: str | None, now: Callable[[], datetime]) -> Check:
    """Make the recipe's check.

    Parameters
    ----------
    api
        The API's address, the receipts' issuer.
    origin
        The page's, their audience.
    business_key
        The business's RSA private key, PEM, where numbers are encrypted.
    now
        The clock, aware.
    """
    return ReceiptVerifier(
        f"{api}/.well-known/jwks.json",
        origin,
        decryption_keys=() if business_key is None else (business_key,),
        clock=lambda: now().timestamp(),
    ).verify


@dataclass(slots=True)
class _Session:
    nonce: str | None = None
    account: Account | None = None


class Sessions:
    """Browser sessions, by the id in their cookie.

    Where there are too many the oldest goes: first of those in which nobody has logged in, since those are
    anybody's to open.
    """

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._lock = threading.Lock()

    def give_nonce(self, session_id: str | None) -> tuple[str, str]:
        """Give a session a nonce in place of the one it has; a browser without a session gets one first."""
        with self._lock:
            if session_id is None or session_id not in self._sessions:
                session_id = self._open(_Session())
            nonce = self._sessions[session_id].nonce = secrets.token_urlsafe(_TOKEN_BYTES)
            return session_id, nonce

    def take_nonce(self, session_id: str | None) -> str:
        """Take a session's nonce for the one attempt it is good for; without one, one that no receipt has."""
        with self._lock:
            session = self._sessions.get(session_id or "")
            if session is None or session.nonce is None:
                return secrets.token_urlsafe(_TOKEN_BYTES)
            nonce, session.nonce = session.nonce, None
            return nonce

    def log_in(self, session_id: str | None, account: Account) -> str:
        """Open a session of that account, under a new id: the old one was known before the login."""
        with self._lock:
            self._sessions.pop(session_id or "", None)
            return self._open(_Session(account=account))

    def account(self, session_id: str | None) -> Account | None:
        """Tell who is logged in."""
        with self._lock:
            session = self._sessions.get(session_id or "")
            return None if session is None else session.account

    def _open(self, session: _Session) -> str:
        if len(self._sessions) >= _MAX_SESSIONS:
            idle = (name for name, each in self._sessions.items() if each.account is None)
            del self._sessions[next(idle, next(iter(self._sessions)))]
        session_id = secrets.token_urlsafe(_TOKEN_BYTES)
        self._sessions[session_id] = session
        return session_id


class Business:
    """The application behind `/business`.

    Parameters
    ----------
    origin
        The page's, which is this back end's own: requests of other pages are refused.
    check
        Checks a receipt.
    """

    def __init__(self, origin: str, check: Check) -> None:
        self._origin = origin
        self._check = check
        self._sessions = Sessions()
        self._routes = {
            ("POST", f"{BUSINESS_PATH}/nonce"): self._nonce,
            ("POST", f"{BUSINESS_PATH}/login"): self._login,
            ("GET", f"{BUSINESS_PATH}/session"): self._session,
        }

    def __call__(self, request: Request) -> Response:
        """Answer one request."""
        route = self._routes.get((request.method, request.path))
        if route is None:
            return _refuse(HTTPStatus.NOT_FOUND, "not_found", "there is nothing here")
        # SameSite keeps cookies from other sites' requests; this machine's other ports are the same site.
        if request.method == "POST" and request.header("origin") != self._origin:
            return _refuse(HTTPStatus.FORBIDDEN, "origin_not_allowed", "the page is of another origin")
        return route(request)

    def _nonce(self, request: Request) -> Response:
        session_id, nonce = self._sessions.give_nonce(_session_id(request))
        return _answer({"nonce": nonce}, _cookie(session_id))

    def _login(self, request: Request) -> Response:
        receipt = _receipt(request)
        if receipt is None:
            return _refuse(HTTPStatus.BAD_REQUEST, "invalid_request", 'JSON {"receipt": "…"} is wanted')
        session_id = _session_id(request)
        try:
            account = _account(self._check(receipt, self._sessions.take_nonce(session_id)))
        except ReceiptError as error:
            ours = error.reason is Reason.KEYS_UNAVAILABLE
            status = HTTPStatus.SERVICE_UNAVAILABLE if ours else HTTPStatus.UNAUTHORIZED
            return _refuse(status, error.reason.value, "the receipt logs nobody in")
        return _answer(dict(account), _cookie(self._sessions.log_in(session_id, account)))

    def _session(self, request: Request) -> Response:
        account = self._sessions.account(_session_id(request))
        if account is None:
            return _refuse(HTTPStatus.UNAUTHORIZED, "not_logged_in", "nobody has logged in in this session")
        return _answer(dict(account))


def _account(claims: Claims) -> Account:
    forms = {
        "phoneNum": claims.phone_num,
        "phoneNumMasked": claims.phone_num_masked,
        "phoneNumHash": claims.phone_num_hash,
    }
    return {name: value for name, value in forms.items() if value is not None}


def _session_id(request: Request) -> str | None:
    cookies = request.header("cookie") or ""
    found = _SESSION_ID.search(cookies) if len(cookies) <= _MAX_COOKIES else None
    return None if found is None else found[1]


def _cookie(session_id: str) -> tuple[str, str]:
    # On https this would be __Host-, with Secure and Path=/.
    return ("set-cookie", f"{_COOKIE}={session_id}; Path={BUSINESS_PATH}; HttpOnly; SameSite=Strict")


def _receipt(request: Request) -> str | None:
    if request.body is None or len(request.body) > _MAX_BODY:
        return None
    try:
        content: Any = json.loads(request.body)
    except (ValueError, RecursionError):  # the latter: brackets in brackets
        return None
    receipt = content.get("receipt") if isinstance(content, dict) else None
    return receipt if isinstance(receipt, str) else None


def _answer(content: Mapping[str, str], *headers: tuple[str, str]) -> Response:
    return _json(HTTPStatus.OK, "application/json", content, *headers)


def _refuse(status: HTTPStatus, code: str, detail: str) -> Response:
    """Refuse as the API does, by problem details (RFC 9457)."""
    content = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    return _json(status, "application/problem+json", content)


def _json(
    status: HTTPStatus, content_type: str, content: Mapping[str, Any], *headers: tuple[str, str]
) -> Response:
    own = (("content-type", content_type), ("cache-control", "no-store"), *headers)
    return Response(status, own, json.dumps(content).encode())
