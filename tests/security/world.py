"""A world with a time of its own, in which many requests are under way at once and nobody waits for real.

Everything that a verification goes through is the product's; the platform, the secrets and the time are not.
A request is a thread, and one of them runs at a time, until it sleeps: so a run is the same each time.
"""

import heapq
import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

from cmpassport.aws import DynamoDBClient
from cmpassport.errors import CmpassportError
from tests.support.functions import VERIFY_ENVIRONMENT
from verify.budget import AttemptBudget
from verify.clients import ClientBudget
from verify.devices import Devices
from verify.keyring import Keyring
from verify.once import Tokens
from verify.platform import Limits, Platform, PlatformSilentError
from verify.settings import Settings
from verify.submission import Submission
from verify.verification import Clock, Verification, Verifier

NOON: Final = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
SILENCE: Final = "silence"


class Time:
    """Passes when every request that is under way waits for it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._waiting: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()
        self._idle = threading.Semaphore(0)

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Wait, as a request."""
        woken = threading.Event()
        self._at(self.seconds + seconds, woken.set)
        self._idle.release()
        woken.wait()

    def start(self, after: float, task: Callable[[], object]) -> None:
        """Have a request begin."""

        def run() -> None:
            try:
                task()
            finally:
                self._idle.release()

        self._at(self.seconds + after, threading.Thread(target=run, daemon=True).start)

    def pass_by(self) -> None:
        """Let time pass until nothing is under way."""
        while self._waiting:
            self.seconds, _, wake = heapq.heappop(self._waiting)
            wake()
            self._idle.acquire()

    def _at(self, seconds: float, wake: Callable[[], object]) -> None:
        heapq.heappush(self._waiting, (seconds, next(self._order), wake))


class World(Platform):
    """A platform that knows its own tokens, and a function before it."""

    def __init__(self, table: DynamoDBClient, secrets: dict[str, str], *, mismatches: int = 100) -> None:
        self.time = Time()
        self.limits = Limits(2, 5, 8)
        super().__init__(VERIFY_ENVIRONMENT["PLATFORM_URL"], self.limits, self.time.monotonic)
        # What becomes of a token that nobody issued: a return code, other bytes, an error, or nothing at all.
        self.code: str | bytes | Exception = "120020"
        self.description, self.task_id = "", "1"
        self.seconds_to_answer = (0.3, 1.0)
        self.secret_seconds = 0.0  # that Secrets Manager takes for each call
        self.results: Counter[str] = Counter()  # by return code, or by the name of the refusal
        self.messages: list[dict[str, Any]] = []  # what it was asked
        self.within: list[float | None] = []  # and the seconds it had
        self.secrets = secrets
        self._table = table
        self._sims: dict[str, str] = {}
        self._random = random.Random(1)  # noqa: S311 - a run is to be the same each time
        self._names = count()
        self.restart(mismatches=mismatches)

    @property
    def asked(self) -> Counter[str]:
        """How often it was asked about each token."""
        return Counter(message["body"]["token"] for message in self.messages)

    def restart(self, *, limit: int = 5, mismatches: int = 100) -> None:
        """Have another environment of the function serve, which remembers nothing."""
        settings = Settings.from_environment(VERIFY_ENVIRONMENT)
        self._verifier = Verifier(
            keyring=Keyring(settings, self._fetch, self.time.monotonic),
            attempts=AttemptBudget(self._table, "attempts", limit),
            clients=ClientBudget(self._table, "attempts", requests=0, mismatches=mismatches),
            devices=Devices(90),
            tokens=Tokens(self._table, "attempts"),
            platform=self,
            clock=Clock(self.time.now, self.time.monotonic, self.time.sleep),
            new_msg_id=lambda: f"message-{next(self._names)}",
        )

    def token(self, verdict: str = "") -> str:
        """Make a token: of a SIM for which the verdict is that one, or made up."""
        token = f"VM_{next(self._names)}"
        if verdict:
            self._sims[token] = verdict
        return token

    def request(
        self, number: str, token: str, network: str, information: str = "fingerprint", **more: str | None
    ) -> Verification | CmpassportError:
        """Verify a number, as a request under way; more is a device, and what else binds the token."""
        binding = more.pop("binding", "") or ""
        submission = Submission(number, token, information, **more)
        try:
            verification = self._verifier.verify(submission, network, self.time.monotonic(), binding)
        except CmpassportError as error:
            self.results[type(error).__name__] += 1
            return error
        self.results[verification.outcome.result_code or SILENCE] += 1
        return verification

    def alone(self, *args: Any, **options: Any) -> Verification | CmpassportError:
        """Verify a number with nothing else under way than what has begun."""
        results: list[Verification | CmpassportError] = []
        self.time.start(0, lambda: results.append(self.request(*args, **options)))
        self.time.pass_by()
        return results[0]

    def ask(self, request: bytes, *, within: float | None = None) -> bytes:
        """Answer as the platform, in its time."""
        message = json.loads(request)
        self.messages.append(message)
        self.within.append(within)
        code = self._sims.get(message["body"]["token"], self.code)
        seconds = self._random.uniform(*self.seconds_to_answer)
        limit = min(self.limits.deadline, within or self.limits.deadline)
        self.time.sleep(min(seconds, limit))
        if code == SILENCE or seconds > limit:
            raise PlatformSilentError("ReadTimeoutError")
        if isinstance(code, Exception):
            raise code
        if isinstance(code, bytes):
            return code
        header = {name: message["header"][name] for name in ("msgId", "timestamp", "appId")}
        body = {"taskId": self.task_id, "resultDesc": self.description}
        return json.dumps({"header": {**header, "resultCode": code}, "body": body}).encode()

    def _fetch(self, secret_id: str) -> str:
        if self.secret_seconds:
            self.time.sleep(self.secret_seconds)
        return self.secrets[secret_id]
