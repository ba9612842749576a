"""A proxy before the stack's AWS endpoint that fails chosen calls of the functions, and notes all of them."""

import json
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, Final

import urllib3
from werkzeug import Request, Response

from tests.support.server import serving

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_PATIENCE: Final = 20.0
"""Seconds after which a call that is never answered ends here: longer than any client waits."""


class Step(StrEnum):
    """What a function calls AWS for, in the order of a verification."""

    PEPPER = "the pepper"
    CLAIM = "the claim of the token"
    VERIFICATION_SECRET = "the verification secret"
    SIGNING_SECRET = "the signing secret"
    RESERVATION = "the reservation"
    SETTLEMENT = "the settlement"
    MISMATCH = "counting the mismatch"
    RELEASE = "the token's release"
    OUTCOME = "the look-up of the outcome"
    OTHERS = "what becomes of others' attempts"


_SECRET_NAME: Final = re.compile(r"-(signing|verification)-\w{6}$")
"""The end of a secret's ARN, with the six characters that Secrets Manager adds to a name."""

SECRETS: Final = frozenset({Step.PEPPER, Step.VERIFICATION_SECRET, Step.SIGNING_SECRET})
TABLE: Final = frozenset(Step) - SECRETS


class Failure(Enum):
    """How a call fails."""

    THROTTLED = "throttled"
    """Not carried out: too many requests."""
    DOWN = "down"
    """Not carried out: an error of the service."""
    SILENT = "silent"
    """Not carried out, and no answer for as long as the client waits."""
    LOST = "answer lost"
    """Carried out; what comes back is an error of the service."""
    REPLACED = "replaced"
    """Carried out, with another text in the place of the secret's."""


@dataclass(frozen=True, slots=True)
class AwsFault:
    """Calls that fail.

    Attributes
    ----------
    steps
        Which ones.
    failure
        How.
    times
        How many of them; 0 for all until the proxy is cleared.
    text
        What a replaced secret holds.
    """

    steps: frozenset[Step]
    failure: Failure
    times: int = 0
    text: str = ""


class AwsProxy:
    """What stands before an AWS endpoint; `running` runs one."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._http = urllib3.PoolManager(maxsize=16, retries=False)
        self._lock = threading.Lock()
        self._faults: list[list[Any]] = []
        self._cleared = threading.Event()
        self.address = ""
        self.seen: list[Step] = []

    @classmethod
    @contextmanager
    def running(cls, upstream: str) -> Iterator["AwsProxy"]:
        """Run one before the endpoint at an address."""
        proxy = cls(upstream)
        with serving(proxy) as proxy.address:
            yield proxy
            proxy.clear()
        proxy._http.clear()

    def fail(self, fault: AwsFault) -> None:
        """Have calls fail from now on."""
        with self._lock:
            self._faults.append([fault, fault.times])

    def clear(self) -> None:
        """Have all go well again; what waits is answered."""
        with self._lock:
            self._faults.clear()
            self._cleared.set()
            self._cleared = threading.Event()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one call."""
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        step = step_of(request)
        with self._lock:
            self.seen.append(step)
            fault, cleared = self._take(step), self._cleared
        match fault.failure if fault else None:
            case Failure.THROTTLED:
                return _refusal(400, "ThrottlingException")
            case Failure.DOWN:
                return _refusal(500, "InternalServerError")
            case Failure.SILENT:
                cleared.wait(_PATIENCE)
                return _refusal(500, "InternalServerError")
            case Failure.LOST:
                self._forward(request)
                return _refusal(500, "InternalServerError")
            case Failure.REPLACED if fault:
                content = json.loads(self._forward(request).data)
                return _json(200, {**content, "SecretString": fault.text})
            case _:
                pass
        return self._forward(request)

    def _take(self, step: Step) -> AwsFault | None:
        for armed in self._faults:
            fault, left = armed
            if step in fault.steps:
                if left == 1:
                    self._faults.remove(armed)
                armed[1] = left - 1 if left else 0
                return fault  # type: ignore[no-any-return]  # the pair's first
        return None

    def _forward(self, request: Request) -> Response:
        own = {"connection", "content-length", "host", "transfer-encoding"}
        headers = {name: value for name, value in request.headers.items() if name.lower() not in own}
        answer = self._http.request("POST", f"{self._upstream}/", body=request.get_data(), headers=headers)
        kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in own]
        return Response(answer.data, answer.status, kept)


def step_of(request: Request) -> Step:
    """Tell what a call is for."""
    operation = request.headers["x-amz-target"].rpartition(".")[2]
    content = json.loads(request.get_data() or b"{}")
    change = content.get("UpdateExpression", "")
    if operation == "GetSecretValue":
        found = _SECRET_NAME.search(content["SecretId"])
        return Step(f"the {found[1]} secret") if found else Step.PEPPER
    if "#flight, #slot" in change:
        return Step.SETTLEMENT
    steps = {"PutItem": Step.CLAIM, "DeleteItem": Step.RELEASE, "GetItem": Step.OUTCOME}
    changes = {"ADD attempts": Step.RESERVATION, "ADD mismatches": Step.MISMATCH}
    return steps.get(operation) or changes.get(" ".join(change.split()[:2]), Step.OTHERS)


def _json(status: int, content: Any) -> Response:
    return Response(json.dumps(content), status, content_type="application/x-amz-json-1.0")


def _refusal(status: int, kind: str) -> Response:
    return _json(status, {"__type": f"com.amazonaws#{kind}", "message": "planted"})
