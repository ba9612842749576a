"""What fails chosen calls of the functions to AWS, below botocore's retries, and notes all of them."""

import io
import json
import re
import time
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError
from botocore.httpsession import URLLib3Session
from urllib3 import HTTPResponse


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
SLOW_SECONDS: Final = 0.1


class Failure(Enum):
    """How a call fails."""

    # Not carried out: too many requests, an error of the service, no answer while a client would wait.
    THROTTLED = "throttled"
    DOWN = "down"
    SILENT = "silent"
    # Carried out: after `SLOW_SECONDS`, with an error for an answer, with another text for the secret's.
    SLOW = "slow"
    LOST = "answer lost"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class AwsFault:
    """Calls that fail, and how."""

    steps: frozenset[Step]
    failure: Failure
    times: int = 0  # 0 for all until the fault is over
    text: str = ""  # what a replaced secret holds


class AwsFaults:
    """A handler of botocore's event `before-send`."""

    def __init__(self) -> None:
        self.seen: list[Step] = []
        self.last: dict[Step, Any] = {}
        self._waiting: list[AwsFault] = []
        self._http = URLLib3Session()

    def fail(self, fault: AwsFault) -> None:
        self._waiting = [fault] * fault.times if fault.times else [fault]

    def clear(self) -> None:
        self._waiting = []

    def repeat(self, request: Any) -> None:
        """Send a call of `last` once more, as a network may that has held it back."""
        self._http.send(request)

    def __call__(self, **event: Any) -> Any:
        """Answer in the service's place, or return None to let the call through."""
        request = event["request"]
        step = _step_of(request)
        self.seen.append(step)
        self.last[step] = request
        fault = self._take(step)
        match fault.failure if fault else None:
            case Failure.THROTTLED:
                return _answer(request, 400, {"__type": "com.amazonaws#ThrottlingException"})
            case Failure.SILENT:
                raise ReadTimeoutError(endpoint_url=request.url)
            case Failure.SLOW:
                time.sleep(SLOW_SECONDS)
                return None
            case Failure.LOST:
                self._http.send(request)
            case Failure.REPLACED if fault:
                content = json.loads(self._http.send(request).content)
                return _answer(request, 200, {**content, "SecretString": fault.text})
            case None:
                return None
        return _answer(request, 500, {"__type": "com.amazonaws#InternalServerError"})

    def _take(self, step: Step) -> AwsFault | None:
        if not self._waiting or step not in self._waiting[0].steps:
            return None
        return self._waiting.pop() if self._waiting[0].times else self._waiting[0]


def _step_of(request: Any) -> Step:
    operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
    content = json.loads(request.body)
    change = content.get("UpdateExpression", "")
    if operation == "GetSecretValue":
        found = _SECRET_NAME.search(content["SecretId"])
        return Step(f"the {found[1]} secret") if found else Step.PEPPER
    if "#flight, #slot" in change:
        return Step.SETTLEMENT
    steps = {"PutItem": Step.CLAIM, "DeleteItem": Step.RELEASE, "GetItem": Step.OUTCOME}
    changes = {"ADD attempts": Step.RESERVATION, "ADD mismatches": Step.MISMATCH}
    return steps.get(operation) or changes.get(" ".join(change.split()[:2]), Step.OTHERS)


def _answer(request: Any, status: int, content: dict[str, Any]) -> AWSResponse:
    raw = HTTPResponse(io.BytesIO(json.dumps(content).encode()), preload_content=False)
    return AWSResponse(request.url, status, HTTPHeaders(), raw)
