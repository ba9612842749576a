"""Warm invocations: their time, AWS calls and memory, each handler in a process of its own as on Lambda."""

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.scene import BenchmarkError, Scene, Side

BLOCK: Final = 10
"""Calls of one side before it is the other's turn."""
_INSIDE: Final = str(Path(__file__).with_name("inside.py"))


def times(scene: Scene, side: Side, rounds: int) -> dict[str, float]:
    """Time a warm call and what it is held against, in nanoseconds of processor time; count its AWS calls."""
    measured: dict[str, float] = _inside(scene, side, 2 + rounds * BLOCK, rounds=rounds, block=BLOCK)
    return measured


def peak_memory(scene: Scene, side: Side, invocations: int = 100) -> int:
    """Return a handler's peak resident memory after some calls, in kB."""
    peak: int = _inside(scene, side, invocations, rounds=0)
    return peak


def _inside(scene: Scene, side: Side, events: int, **arguments: Any) -> Any:
    """Measure a handler from inside its process (`benchmarks.inside`)."""
    with TemporaryDirectory(dir=scene.folder) as folder:
        given, result = Path(folder, "arguments.json"), Path(folder, "result.json")
        content = {
            "module": side.module,
            "events": [side.new_event() for _ in range(events)],
            "key": scene.some_key,
            **arguments,
        }
        given.write_text(json.dumps(content))
        run = subprocess.run(  # noqa: S603 - Lambda's Python
            [scene.python, _INSIDE, str(given), str(result)],
            # Written through at once, as by Lambda's runtime client, to somebody who reads.
            env={**scene.outside(side), "PYTHONUNBUFFERED": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise BenchmarkError(f"{side.name}: {run.stderr}")
        return json.loads(result.read_text())
