"""Warm invocations: their time, AWS calls and memory, each handler in a process of its own as on Lambda."""

import json
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

import urllib3

from benchmarks.scene import BenchmarkError, Scene, Side

BLOCK: Final = 10
"""Calls of one side before it is the other's turn."""

_INSIDE: Final = str(Path(__file__).with_name("inside.py"))


def presign_times(scene: Scene, rounds: int) -> dict[str, float]:
    """Time a whole invocation of presign, and one raw signature; nanoseconds."""
    times: dict[str, float] = _inside(
        scene, scene.presign, "presign", events=1 + rounds * BLOCK, rounds=rounds, block=BLOCK
    )
    return times


def verify_times(scene: Scene, rounds: int) -> dict[str, float]:
    """Time verify's own processor time, and that of its parts made bare; nanoseconds."""
    times: dict[str, float] = _inside(
        scene,
        scene.verify,
        "verify",
        events=1 + rounds * BLOCK,
        rounds=rounds,
        block=BLOCK,
        calls=verify_calls(scene),
    )
    return times


def receipts_times(scene: Scene, rounds: int) -> dict[str, float]:
    """Time verify's own processor time without receipts and with them; nanoseconds, by the sides' names."""
    sides = (scene.verify, scene.verify_with_receipts)
    times: dict[str, list[int]] = {side.name: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            (measured,) = time_each(scene, [[side.new_event() for _ in range(1 + 3 * BLOCK)]], side)
            times[side.name] += measured[BLOCK:]  # the first warm up
    return {name: median(values) for name, values in times.items()}


def verify_calls(scene: Scene) -> list[tuple[str, Any]]:
    """Give the AWS calls of one warm successful verification: operation and message."""
    with Inside(scene, scene.verify, "each", events=2) as inside:
        inside.wait_until_ready()  # its secrets are fetched
        drain_calls(scene)
        inside.begin()
        inside.result()
        return drain_calls(scene)


def drain_calls(scene: Scene) -> list[tuple[str, Any]]:
    """Take the AWS calls that the stand-in has noted since it was last asked: operation and message."""
    headers = {"X-Amz-Target": "calls"}
    calls: list[tuple[str, Any]] = urllib3.request("POST", scene.aws, headers=headers, body=b"{}").json()
    return calls


def peak_memory(scene: Scene, side: Side, invocations: int = 100) -> int:
    """Give a handler's peak resident memory after some calls, in kB."""
    peak: int = _inside(scene, side, "peak", events=invocations)
    return peak


def time_each(scene: Scene, events: Sequence[Sequence[Any]], side: Side | None = None) -> list[list[int]]:
    """Time verify's own processor time for each event, in nanoseconds.

    Parameters
    ----------
    events
        For each execution environment the events that it handles one after the other; all begin at once. The
        first event of each comes before, and is not timed.
    side
        The verify to time; the one without receipts if none is given.
    """
    with ExitStack() as stack:
        environments = [
            stack.enter_context(Inside(scene, side or scene.verify, "each", events=mine)) for mine in events
        ]
        for environment in environments:
            environment.wait_until_ready()
        for environment in environments:
            environment.begin()
        return [environment.result() for environment in environments]


class Inside:
    """One process that measures a handler from inside (`benchmarks.inside`).

    Parameters
    ----------
    what
        What it measures.
    events
        The events, or how many new ones.
    arguments
        What else that takes.
    """

    def __init__(
        self, scene: Scene, side: Side, what: str, *, events: int | Sequence[Any], **arguments: Any
    ) -> None:
        self._name = side.name
        self._folder = TemporaryDirectory(dir=scene.folder)
        self._result = Path(self._folder.name, "result.json")
        content = {
            "module": side.module,
            "events": [side.new_event() for _ in range(events)] if isinstance(events, int) else events,
            "key": scene.some_key,
            **arguments,
        }
        given = Path(self._folder.name, "arguments.json")
        given.write_text(json.dumps(content))
        self._process = subprocess.Popen(  # noqa: S603 - Lambda's Python
            [scene.python, _INSIDE, what, str(given), str(self._result)],
            # Written through at once, as by Lambda's runtime client, to somebody who reads.
            env={**scene.outside(side), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def wait_until_ready(self) -> None:
        """Wait until the first event has been handled."""
        assert self._process.stderr is not None  # noqa: S101 - it is a pipe
        if self._process.stderr.readline() != "ready\n":
            raise BenchmarkError(f"{self._name}: {self._process.stderr.read()}")

    def begin(self) -> None:
        """Have the others handled."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def result(self) -> Any:
        """Wait for the end and give what was measured."""
        _, errors = self._process.communicate()
        if self._process.returncode:
            raise BenchmarkError(f"{self._name}: {errors}")
        return json.loads(self._result.read_text())


def _inside(scene: Scene, side: Side, what: str, *, events: int, **arguments: Any) -> Any:
    with Inside(scene, side, what, events=events, **arguments) as inside:
        return inside.result()
