"""The demo's business back end: it logs in whoever brings a receipt for the nonce it gave, and nobody else.

It stands for the company's own service, on the page's origin and apart from the API: of that it knows the
address alone, where the public keys are. docs/receipts.md shows the same check for other libraries.
"""

import json
import secrets
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from joserfc import errors, jwe, jwt
from joserfc.jwk import KeySet, RSAKey
from werkzeug import Request, Response

from local.pages import BUSINESS_PATH

_COOKIE: Final = "business_session"
_MAX_BODY: Final = 16 * 1024
_LEEWAY_SECONDS: Final = 5
_JWE: Final = ["RSA-OAEP-256", "A256GCM"]
_REASONS: Final[Mapping[type[Exception], str]] = {
    errors.BadSignatureError: "bad_signature",
    errors.ExpiredTokenError: "expired",
    errors.InvalidKeyIdError: "unknown_key",
    errors.UnsupportedAlgorithmError: "wrong_algorithm",
}


class Business:
    """What answers below `/business`.

    Parameters
    ----------
    origin
        The page's, which is this back end's own: requests of other pages are refused.
    api
        The API's address: the receipts' issuer, and where its keys are.
    business_key
        The business's RSA private key, PEM, where numbers are encrypted.
    now
        The clock, aware.
    """

    def __init__(self, origin: str, api: str, business_key: str | None, now: Callable[[], datetime]) -> None:
        self._origin = origin
        self._api = api
        self._key = None if business_key is None else RSAKey.import_key(business_key)
        self._now = now
        self._sessions: dict[str, dict[str, Any]] = {}

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        request.max_content_length = _MAX_BODY
        name = request.cookies.get(_COOKIE, "")
        # SameSite keeps cookies from other sites' requests; this machine's other ports are the same site.
        if request.method == "POST" and request.headers.get("origin") != self._origin:
            return _refuse(HTTPStatus.FORBIDDEN, "origin_not_allowed")
        match request.method, request.path:
            case "POST", "/nonce":
                if name not in self._sessions:
                    name = self._open({})
                nonce = self._sessions[name]["nonce"] = secrets.token_urlsafe(24)
                return _answer({"nonce": nonce}, name)
            case "POST", "/login":
                return self._log_in(name, _receipt(request.get_data()))
            case "GET", "/session":
                account = self._sessions.get(name, {}).get("account")
                return _answer(account) if account else _refuse(HTTPStatus.UNAUTHORIZED, "not_logged_in")
        return _refuse(HTTPStatus.NOT_FOUND, "not_found")

    def _log_in(self, name: str, receipt: str | None) -> Response:
        if receipt is None:
            return _refuse(HTTPStatus.BAD_REQUEST, "invalid_request")
        # A nonce is good for one attempt, so a receipt is as well; without one, one that no receipt has.
        nonce = self._sessions.get(name, {}).pop("nonce", secrets.token_urlsafe(24))
        try:
            account = self._check(receipt, nonce)
        except OSError:
            return _refuse(HTTPStatus.SERVICE_UNAVAILABLE, "keys_unavailable")
        except (errors.InvalidClaimError, errors.MissingClaimError) as error:
            return _refuse(HTTPStatus.UNAUTHORIZED, f"wrong_{error.claim}")
        except (errors.JoseError, LookupError, ValueError) as error:
            return _refuse(HTTPStatus.UNAUTHORIZED, _REASONS.get(type(error), "malformed"))
        self._sessions.pop(name, None)
        return _answer(account, self._open({"account": account}))  # a new id: the old one was known before

    def _open(self, session: dict[str, Any]) -> str:
        """Open a session; returns its name."""
        name = secrets.token_urlsafe(24)
        self._sessions[name] = session
        return name

    def _check(self, receipt: str, nonce: str) -> dict[str, str]:
        """Return who logged in: one member, named like the receipt's claim, `phoneNum` where encrypted."""
        with urllib.request.urlopen(f"{self._api}/.well-known/jwks.json", timeout=3) as answer:  # noqa: S310 - our API
            keys = KeySet.import_key_set(json.load(answer))
        token = jwt.decode(receipt, keys, algorithms=["ES256"])
        if token.header.get("typ") != "number-verification+jwt":
            raise ValueError("typ")
        jwt.JWTClaimsRegistry(
            now=int(self._now().timestamp()),
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": self._api},
            aud={"essential": True, "value": self._origin},
            exp={"essential": True},
            nonce={"essential": True, "value": nonce},
        ).validate(token.claims)
        if self._key is not None:
            opened = jwe.decrypt_compact(token.claims["phoneNumJwe"], self._key, algorithms=_JWE)
            return {"phoneNum": (opened.plaintext or b"").decode()}
        forms = ("phoneNumMasked", "phoneNumHash")
        return {form: token.claims[form] for form in forms if form in token.claims}


def _receipt(body: bytes) -> str | None:
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError):  # the latter: brackets in brackets
        return None
    receipt = content.get("receipt") if isinstance(content, dict) else None
    return receipt if isinstance(receipt, str) else None


def _answer(content: Mapping[str, str], session: str | None = None) -> Response:
    response = _json(HTTPStatus.OK, "application/json", content)
    if session is not None:  # on https the name would begin with __Host-, with Secure and Path=/
        response.set_cookie(_COOKIE, session, path=BUSINESS_PATH, httponly=True, samesite="Strict")
    return response


def _refuse(status: HTTPStatus, code: str) -> Response:
    """Refuse as the API does, by problem details (RFC 9457)."""
    content = {"type": "about:blank", "title": status.phrase, "status": status, "code": code}
    return _json(status, "application/problem+json", content)


def _json(status: HTTPStatus, content_type: str, content: Mapping[str, Any]) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(json.dumps(content), status, headers, content_type=content_type)
