"""Warm invocations: their time, AWS calls and memory, each handler in a process of its own as on Lambda."""

import json
import subprocess
from pathlib import Path
from typing import Final

from benchmarks.scene import BenchmarkError, Scene, Side

BEFORE: Final = 100
"""Calls after which memory is read, and before anything is timed."""


def measure(scene: Scene, side: Side, rounds: int) -> dict[str, float]:
    """Measure a handler from inside its process (`benchmarks.inside`).

    Returns
    -------
    dict of str to float
        Processor time of a warm call and of what it is held against, in nanoseconds; its AWS calls; the
        peak of its resident memory, in kB.
    """
    given, result = scene.folder / "arguments.json", scene.folder / "result.json"
    content = {
        "module": side.module,
        "events": [side.new_event() for _ in range(BEFORE + 1 + rounds)],
        "before": BEFORE,
        "key": scene.keys.private_key,
        "rounds": rounds,
    }
    given.write_text(json.dumps(content))
    # Unbuffered and into a pipe, as under Lambda's runtime client.
    variables = {**scene.outside(side), "PYTHONUNBUFFERED": "1"}
    command = [scene.python, str(Path(__file__).with_name("inside.py")), str(given), str(result)]
    run = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)  # noqa: S603 - Lambda's Python
    if run.returncode:
        raise BenchmarkError(f"{side.name}: {run.stderr}")
    measured: dict[str, float] = json.loads(result.read_text())
    return measured
