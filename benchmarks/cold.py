"""Cold starts: from nothing to the first answer, each time in a new environment, the sides taking turns."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import IO, Final

from benchmarks.emulator import EmulatedEnvironment
from benchmarks.scene import NAIVE, BenchmarkError, Scene, Side
from local import ROOT
from local.environment import Function

OK: Final = 200


def time_cold_starts(scene: Scene, sides: Sequence[Side], rounds: int) -> dict[str, list[float]]:
    """Time INIT and first invocation under Lambda's runtime emulator, in seconds, by the sides' names."""
    return _take_turns({side.name: partial(_emulated, scene, side) for side in sides}, rounds)


def time_first_signatures(scene: Scene, rounds: int) -> dict[str, list[float]]:
    """Time our presign and the naive one in Node.js from the start of the process to the first signature."""
    ours = [scene.python, str(ROOT / "benchmarks" / "first.py"), scene.presign.module]
    # Without warnings, so that the SDK's about the age of this Node.js costs nothing.
    naive = NAIVE / "node"
    scripts = {"": naive / "presign.cjs", "bundled, ": naive / "node_modules" / "bundled.cjs"}
    elsewhere = {"PATH": os.environ["PATH"], **scene.variables()}
    sides = {"presign, process": partial(_first_byte, scene, ours, scene.outside(scene.presign))}
    for how, script in scripts.items():
        command = ["node", "--no-warnings", str(script)]
        sides[f"naive Node.js presign, {how}process"] = partial(_first_byte, scene, command, elsewhere)
    return _take_turns(sides, rounds)


def _take_turns(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, run in sides.items():
            seconds = run()
            if turn:  # the first fills the page cache
                times[name].append(seconds)
    return times


def _emulated(scene: Scene, side: Side) -> float:
    function = Function(side.name, "arn", f"{side.module}.handler", scene.variables(), (), 30.0)
    log = scene.folder / "functions.log"
    environment = EmulatedEnvironment(function, log, scene.parts, side.task, side.opt, scene.stage)
    try:
        environment.wait()
        event = side.new_event()
        began = time.perf_counter()
        answer = environment.invoke(event, "")
        seconds = time.perf_counter() - began
    finally:
        environment.stop()
    if answer["statusCode"] != OK:
        raise BenchmarkError(f"{side.name} answers {answer}")
    return seconds


def _first_byte(scene: Scene, command: Sequence[str], variables: Mapping[str, str]) -> float:
    event = scene.folder / "event.json"
    event.write_text(json.dumps(scene.new_presign()))
    began = time.perf_counter()
    with subprocess.Popen(  # noqa: S603 - a side
        [*command, str(event)], bufsize=0, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        output: IO[bytes] = process.stdout  # type: ignore[assignment] # it is a pipe
        answer = output.read(1)
        seconds = time.perf_counter() - began
        answer += output.read()
    if b'"statusCode":200' not in answer.replace(b" ", b""):
        raise BenchmarkError(f"{command} answers {answer.decode()}")
    return seconds
