"""Warm invocations: their time, AWS calls and memory, each handler in a process of its own as on Lambda."""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

from benchmarks.scene import BenchmarkError, Scene, Side

BLOCK: Final = 10
"""Calls of one side before it is the other's turn."""
_INSIDE: Final = str(Path(__file__).with_name("inside.py"))


def times(scene: Scene, side: Side, rounds: int) -> dict[str, float]:
    """Time a warm call and what it is held against, in nanoseconds of processor time; count its AWS calls."""
    measured: dict[str, float] = _inside(scene, side, 2 + rounds * BLOCK, rounds)
    return measured


def peak_memory(scene: Scene, side: Side, invocations: int = 100) -> int:
    """Return a handler's peak resident memory after some calls, in kB."""
    peak: int = _inside(scene, side, invocations, rounds=0)
    return peak


def _inside(scene: Scene, side: Side, events: int, rounds: int) -> Any:
    """Measure a handler from inside its process (`benchmarks.inside`)."""
    given, result = scene.folder / "arguments.json", scene.folder / "result.json"
    content = {
        "module": side.module,
        "events": [side.new_event() for _ in range(events)],
        "key": scene.keys.private_key,
        "rounds": rounds,
        "block": BLOCK,
    }
    given.write_text(json.dumps(content))
    # Written through at once, as by Lambda's runtime client, to somebody who reads.
    variables = {**scene.outside(side), "PYTHONUNBUFFERED": "1"}
    command = [scene.python, _INSIDE, str(given), str(result)]
    run = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)  # noqa: S603 - Lambda's Python
    if run.returncode:
        raise BenchmarkError(f"{side.name}: {run.stderr}")
    return json.loads(result.read_text())
