"""The soak's trouble: faults of the platform and of AWS, functions that die, keys that are replaced."""

import json
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self

from local.keys import CustomerKeys
from tests.faults.proxy import AwsFault, Failure, Step
from tests.faults.scene import Scene
from tests.support.stacks import client_of

_EVERY: Final = {"platform": 0.2, "aws": 0.5, "death": 7.0, "rotation": 20.0}
"""Seconds between two troubles of a kind."""

_PLATFORM: Final[tuple[dict[str, Any], ...]] = (
    *({"fault": "resultCode", "resultCode": code} for code in ("999999", "110004", "121011", "424242")),
    {"fault": "status", "status": 302},
    {"fault": "status", "status": 503},
    *({"fault": name} for name in ("html", "notJson", "wrongMsgId", "wrongAppId", "missingResultCode")),
    *({"fault": name} for name in ("oversized", "truncated", "cut")),
    {"fault": "reset", "when": "before"},
    {"fault": "reset", "when": "after"},
    {"fault": "delay", "seconds": 0.2},
    {"fault": "delay", "seconds": 3},
    {"fault": "drip", "seconds": 0.1},
    {"fault": "dripHeaders", "seconds": 0.1},
)
_FAILURES: Final = (Failure.THROTTLED, Failure.DOWN, Failure.LATE, Failure.LOST)
_STEPS: Final = tuple(Step)


class Trouble(AbstractContextManager["Trouble"]):
    """A thread that makes trouble for a scene until it is left.

    Attributes
    ----------
    made
        Counts by kind.
    """

    def __init__(self, stage: Scene, seed: int) -> None:
        self._stage = stage
        self._choice = random.Random(seed)  # noqa: S311 - which trouble comes next is no secret
        self._over = threading.Event()
        self._thread = ThreadPoolExecutor(1)
        self.made: Counter[str] = Counter()
        self.failed_calls: Counter[Step] = Counter()

    def __enter__(self) -> Self:
        self._running = self._thread.submit(self._run)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.shutdown()
        self._running.result()  # if it has failed, all of this is worth nothing
        self._stage.simulator.faults.clear()
        self._stage.proxy.clear()

    def _run(self) -> None:
        makers = {
            "platform": self._fail_platform,
            "aws": self._fail_aws,
            "death": self._stage.die,
            "rotation": self._rotate,
        }
        due = {kind: time.monotonic() + seconds for kind, seconds in _EVERY.items()}
        while not self._over.wait(max(0.0, min(due.values()) - time.monotonic())):
            kind = min(due, key=lambda each: due[each])
            due[kind] += _EVERY[kind]
            self.made[kind] += 1
            makers[kind]()

    def _fail_platform(self) -> None:
        self._stage.simulator.faults.arm(dict(self._choice.choice(_PLATFORM)))

    def _fail_aws(self) -> None:
        step, times = self._choice.choice(_STEPS), self._choice.choice((1, 1, 2))
        self.failed_calls[step] += times
        self._stage.proxy.clear()  # what has not come up yet does not pile up
        self._stage.proxy.fail(AwsFault(frozenset({step}), self._choice.choice(_FAILURES), times))

    def _rotate(self) -> None:
        """Replace the customer's key: in the secret, then on the open platform."""
        keys, stage = CustomerKeys.fresh(), self._stage
        client_of(stage.stack, "secretsmanager").put_secret_value(
            SecretId=stage.stack.secret_ids["SIGNING_SECRET_ID"],
            SecretString=json.dumps({"privateKey": keys.private_key}),
        )
        stage.simulator.customer = replace(stage.simulator.customer, public_key=keys.public_key)
