"""The simulator as a WSGI application: routes, answers, faults and journal around the platform's checks."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug import Request, Response
from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed, NotFound

from local.simulator.crypto import DEFAULT_KEY_BITS, PlatformKey, SignatureForm
from local.simulator.customer import Customer
from local.simulator.delivery import deliver, reset
from local.simulator.faults import Endpoint, Fault, FaultError, FaultName, Faults
from local.simulator.fetching import PIXEL, TokenService, get_mobile
from local.simulator.journal import Journal
from local.simulator.protocol import RefusedError, answer, parse, unflatten
from local.simulator.tokens import TokenDesk
from local.simulator.verification import Verifier

_FLAT: Final = "/h5/getPreMobile"  # the newer SDK build's, on verify.cmpassport.com
_LOG: Final = "/h5/log"  # stands for that build's log-h5.cmpassport.com
_PATHS: Final = {
    "/NumberAbility/jssdk/jssdk.min.js": Endpoint.SDK,
    "/NumberAbility/jssdk_vlm/jssdk.min.js": Endpoint.SDK,
    "/NumberAbility/h5/getMobile.htm": Endpoint.GET_MOBILE,
    "/NumberAbility/h5/getToken.htm": Endpoint.GET_TOKEN,
    _FLAT: Endpoint.GET_TOKEN,
    "/NumberAbility/h5/verifyVmMobileApi.htm": Endpoint.VERIFY,
}
_READ: Final = (Endpoint.SDK, Endpoint.GET_MOBILE)
# The guide's step that an endpoint's request is; its response is the next one where the guide counts it.
_STEPS: Final = {Endpoint.SDK: 2, Endpoint.GET_MOBILE: 10, Endpoint.GET_TOKEN: 11, Endpoint.VERIFY: 14}

_CONTROL: Final = "/simulator/"
_MAX_REQUEST: Final = 1 << 16  # bytes
_MAX_NOTED: Final = 1 << 14  # bytes of a response that the journal keeps
_JSON: Final = "application/json;charset=utf-8"  # as the guide writes it
_HTML: Final = b"<html><head><title>Error</title></head><body><h1>Service unavailable</h1></body></html>"


@dataclass(frozen=True, slots=True)
class _Answer:
    """An endpoint's answer before it travels; JSON ones keep their payload, so that a fault can spoil it."""

    payload: dict[str, dict[str, str]] | None = None
    body: bytes = b""
    content_type: str = _JSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)  # for the journal alone


class Simulator:
    """A faithful double of the platform for one customer's app. A WSGI application, safe for threads.

    Tokens that begin with ``VM_SAMPLE`` are evergreen: never too old, never used up, of the SIM 13999994444,
    with the userInformation ``sample%2Bfingerprint%3D%3D``. With them the day of 13900000429 is used up.

    Parameters
    ----------
    customer
        What the business entered in the open platform. The attribute may be set anew at any time, as there.
    clock
        The platform's clock; returns an aware datetime.
    key_bits
        Size of the platform's key pair in bits.
    signature_form
        Algorithm and encoding expected of all signatures.
    """

    def __init__(
        self,
        customer: Customer,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        key_bits: int = DEFAULT_KEY_BITS,
        signature_form: SignatureForm = SignatureForm(),  # noqa: B008 - immutable
    ) -> None:
        self.customer = customer
        self.faults: Final = Faults()
        self.journal: Final = Journal()
        self._clock = clock
        self._key = PlatformKey(key_bits)
        self._desk = TokenDesk()
        self._tokens = TokenService(self._desk, signature_form)
        self._verifier = Verifier(self._desk, signature_form)
        self._work: Final = {
            Endpoint.SDK: self._sdk,
            Endpoint.GET_MOBILE: self._get_mobile,
            Endpoint.GET_TOKEN: self._get_token,
            Endpoint.VERIFY: self._verify,
        }
        self._forget: Final = {
            "faults": self.faults.clear,
            "journal": self.journal.clear,
            "tokens": self._desk.expire,
            "attempts": self.forget_attempts,
        }
        self._controls: Final[dict[tuple[str, str], Callable[[Request], dict[str, Any]]]] = {
            ("GET", "public-key"): lambda _: {"publicKey": self.public_key},
            ("GET", "faults"): lambda _: {"faults": self.faults.describe()},
            ("POST", "faults"): self._arm_fault,
            ("GET", "customer"): lambda _: self.customer.describe(),
            ("POST", "customer"): self._change_customer,
            ("GET", "journal"): lambda asked: {
                "entries": self.journal.entries(asked.args.get("after", 0, type=int))
            },
        }

    @property
    def public_key(self) -> str:
        """The platform's public key: bare Base64 of an X.509 SubjectPublicKeyInfo."""
        return self._key.public_key

    def forget_attempts(self) -> None:
        """Restore every number's whole daily limit."""
        self._verifier.forget()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        request = Request(environ)
        request.max_content_length = _MAX_REQUEST
        try:
            response = self._route(request)
        except HTTPException as error:
            response = _plain(error)
        response.headers.setdefault("Cache-Control", "no-store")
        return response(environ, start_response)

    def _route(self, request: Request) -> Response:
        if request.path.startswith(_CONTROL):
            response = self._control(request)
            response.headers["Access-Control-Allow-Origin"] = "*"
            return response
        if request.path == _LOG:
            return _preflight("POST")  # whatever a page logs is taken and forgotten
        endpoint = _PATHS.get(request.path)
        if endpoint is None:
            raise NotFound
        if endpoint is Endpoint.GET_TOKEN and request.method == "OPTIONS":
            return _preflight("POST")
        methods = ("GET", "HEAD") if endpoint in _READ else ("POST",)
        if request.method not in methods:
            raise MethodNotAllowed(methods)
        return self._serve(endpoint, request)

    # ---- the platform's endpoints

    def _serve(self, endpoint: Endpoint, request: Request) -> Response:
        fault = self.faults.take(endpoint)
        now = self._clock()
        if fault and fault.name is FaultName.RESET and fault.replaces_work:
            self._note(endpoint, request, None, fault, _Answer(status=0), now)
            reset(request.environ)
        body = _body(request)
        if fault and fault.replaces_work:
            result = _instead(fault, request, body, now)
        else:
            result = _spoil(self._work[endpoint](request, body, now), fault)
        if result.payload is not None:
            result = replace(result, body=json.dumps(result.payload, ensure_ascii=False).encode())
        self._note(endpoint, request, body, fault, result, now)
        if fault and fault.name is FaultName.TRUNCATED:
            result = replace(result, body=result.body[: len(result.body) // 2])
        response = Response(result.body, result.status, result.headers, content_type=result.content_type)
        if endpoint is not Endpoint.VERIFY:  # that one is for servers, not for pages
            response.headers["Access-Control-Allow-Origin"] = "*"
        return deliver(response, fault, request.environ)

    def _sdk(self, _request: Request, _body: bytes, _now: datetime) -> _Answer:
        script = Path(__file__).with_name("jssdk.js").read_bytes()
        return _Answer(body=script, content_type="text/javascript;charset=utf-8")

    def _get_mobile(self, request: Request, _body: bytes, now: datetime) -> _Answer:
        number = get_mobile(self._desk, request.args, now)
        return _Answer(body=PIXEL, content_type="image/gif", notes={"insertedNumber": number})

    def _get_token(self, request: Request, body: bytes, now: datetime) -> _Answer:
        try:
            message = parse(body)
            if request.path == _FLAT:
                message = unflatten(message)
                query = {**request.args, **message["header"], "userInformation": message["fingerprint"]}
                get_mobile(self._desk, query, now)
        except RefusedError as refusal:
            return _refused(refusal, now)
        origin, referer = request.headers.get("Origin", ""), request.headers.get("Referer", "")
        fetch = self._tokens.get_token(self.customer, message, origin, referer, now)
        return _Answer(
            answer(message, fetch.code, now, token=fetch.token, userInformation=fetch.user_information),
            notes={"reason": fetch.reason, "signatureVerified": fetch.signature_verified},
        )

    def _verify(self, request: Request, body: bytes, now: datetime) -> _Answer:
        try:
            if request.mimetype != "application/json":
                raise RefusedError("130032", "the request's type is not application/json")  # noqa: TRY301 - as if read
            message = parse(body)
        except RefusedError as refusal:
            return _refused(refusal, now)
        # In process there is no client address; that is this machine.
        address = request.remote_addr or "127.0.0.1"
        judged = self._verifier.judge(self.customer, self._key, message, address, now)
        return _Answer(answer(message, judged.code, now), notes=judged.notes())

    def _note(
        self,
        endpoint: Endpoint,
        request: Request,
        body: bytes | None,
        fault: Fault | None,
        result: _Answer,
        now: datetime,
    ) -> None:
        noted = endpoint not in _READ and result.status and len(result.body) <= _MAX_NOTED
        asked = {
            "method": request.method,
            "path": request.path,
            "query": request.args.to_dict(),
            "origin": request.headers.get("Origin"),
            "referer": request.headers.get("Referer"),
            "address": request.remote_addr,
            "body": None if body is None else body.decode(errors="replace"),
        }
        entry = {
            "step": _STEPS[endpoint],
            "name": endpoint.value,
            "request": asked,
            "response": {"status": result.status or None, "body": result.body.decode() if noted else None},
            "resultCode": result.payload["header"].get("resultCode") if result.payload else None,
            "fault": fault.describe() if fault else None,
            **result.notes,
        }
        self.journal.add(now, entry)

    # ---- the developer's side

    def _control(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return _preflight("GET, POST, DELETE")
        name = request.path.removeprefix(_CONTROL)
        if request.method == "DELETE" and name in self._forget:
            self._forget[name]()
            answered: dict[str, Any] = {}
        elif (request.method, name) in self._controls:
            answered = self._controls[request.method, name](request)
        else:
            raise NotFound
        return Response(json.dumps(answered, ensure_ascii=False), content_type=_JSON)

    def _change_customer(self, request: Request) -> dict[str, Any]:
        try:
            self.customer = self.customer.changed(parse(_body(request)))
        except (RefusedError, TypeError, ValueError) as error:
            raise BadRequest(str(error)) from None
        return self.customer.describe()

    def _arm_fault(self, request: Request) -> dict[str, Any]:
        try:
            self.faults.arm(parse(_body(request)))
        except (RefusedError, FaultError) as error:
            raise BadRequest(str(error)) from None
        return {"faults": self.faults.describe()}


def _body(request: Request) -> bytes:
    try:
        return request.get_data()
    except (ConnectionError, TimeoutError):
        raise
    except OSError:
        raise BadRequest("the body's chunks cannot be read") from None


def _refused(refusal: RefusedError, now: datetime) -> _Answer:
    return _Answer(answer(None, refusal.code, now), notes={"reason": refusal.reason})


def _instead(fault: Fault, request: Request, body: bytes, now: datetime) -> _Answer:
    """Answer without having done anything."""
    if fault.name is FaultName.RESULT_CODE:
        try:
            message = parse(body)
        except RefusedError:
            message = None
        return _Answer(answer(message, fault.parameters["resultCode"], now))
    if fault.name is FaultName.NOT_JSON:
        return _Answer(body=b"resultCode=000")
    status = fault.parameters["status"]
    if fault.name is FaultName.HTML:
        return _Answer(body=_HTML, content_type="text/html;charset=utf-8", status=status)
    # Where a redirection leads shows in the journal, if somebody follows it.
    where = {"Location": f"{request.path}?redirected=1"} if status // 100 == 3 else {}  # noqa: PLR2004 - 3xx
    return _Answer(content_type="text/plain;charset=utf-8", status=status, headers=where)


def _spoil(result: _Answer, fault: Fault | None) -> _Answer:
    """Spoil the answer of work that was done."""
    if fault and fault.name is FaultName.NO_GET_CONNECTION:
        return replace(result, body=result.body + b"\ndelete window.YDRZ.getConnection;\n")
    if fault is None or result.payload is None:
        return result
    header, body = dict(result.payload["header"]), dict(result.payload["body"])
    match fault.name:
        case FaultName.WRONG_MSG_ID:
            header["msgId"] = uuid4().hex
        case FaultName.WRONG_APP_ID:
            header["appId"] = header["appId"][::-1] + "9"
        case FaultName.MISSING_RESULT_CODE:
            del header["resultCode"]
        case FaultName.OVERSIZED:
            body["expandParams"] = "x" * fault.parameters["bytes"]
        case _:
            pass
    return replace(result, payload={"header": header, "body": body})


def _preflight(methods: str) -> Response:
    return Response(
        status=204,
        headers={
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Allow-Headers": "Content-Type",
        },
    )


def _plain(error: HTTPException) -> Response:
    detail = error.description if isinstance(error, BadRequest) and error.description else error.name
    # The exception's own headers, such as Allow, without its HTML.
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    return Response(f"{detail}\n", error.code, headers, content_type="text/plain;charset=utf-8")
