"""Warm invocations: their time, AWS calls and memory, each handler in a process of its own as on Lambda."""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

from benchmarks.scene import BenchmarkError, Scene, Side

_INSIDE: Final = str(Path(__file__).with_name("inside.py"))


def presign_times(scene: Scene, rounds: int) -> dict[str, float]:
    """Time a whole invocation of presign, and one raw signature; nanoseconds."""
    times: dict[str, float] = _inside(scene, scene.presign, "presign", rounds=rounds, block=10)
    return times


def verify_times(scene: Scene, rounds: int) -> dict[str, float]:
    """Time verify's own processor time, and that of its parts made bare; nanoseconds."""
    times: dict[str, float] = _inside(
        scene, scene.verify, "verify", rounds=rounds, block=10, calls=verify_calls(scene)
    )
    return times


def verify_calls(scene: Scene) -> list[tuple[str, Any]]:
    """Give the AWS calls of one warm successful verification: operation and message."""
    calls: list[tuple[str, Any]] = _inside(scene, scene.verify, "calls", events=2, url=scene.aws)
    return calls


def peak_memory(scene: Scene, side: Side, invocations: int = 100) -> int:
    """Give a handler's peak resident memory after some calls, in kB."""
    peak: int = _inside(scene, side, "peak", events=invocations)
    return peak


def _inside(scene: Scene, side: Side, what: str, *, events: int | None = None, **more: Any) -> Any:
    amount = events if events is not None else 1 + more["rounds"] * more["block"]
    arguments, result = scene.folder / "arguments.json", scene.folder / "result.json"
    content = {
        "module": side.module,
        "events": [side.new_event() for _ in range(amount)],
        "key": scene.some_key,
        **more,
    }
    arguments.write_text(json.dumps(content))
    # Written through at once, as Lambda's runtime client does.
    environment = {**scene.outside(side), "PYTHONUNBUFFERED": "1"}
    command = [scene.python, _INSIDE, what, str(arguments), str(result)]
    run = subprocess.run(command, env=environment, capture_output=True, check=False)  # noqa: S603 - Lambda's Python
    if run.returncode:
        raise BenchmarkError(f"{side.name}: {run.stderr.decode()}")
    return json.loads(result.read_text())
