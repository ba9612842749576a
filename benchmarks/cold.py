"""Cold starts: from nothing to the first answer, each time in a new environment, the sides taking turns."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import IO, Final

from benchmarks.emulator import EmulatedEnvironment, View
from benchmarks.scene import NAIVE, BenchmarkError, Scene, Side
from local import ROOT
from local.environment import Function

OK: Final = 200


def time_cold_starts(scene: Scene, sides: Sequence[Side], rounds: int) -> dict[str, list[float]]:
    """Time INIT and first invocation under Lambda's runtime emulator, in seconds, by the sides' names."""
    return _take_turns({side.name: lambda side=side: _emulated(scene, side) for side in sides}, rounds)  # type: ignore[misc]


def time_first_signatures(scene: Scene, rounds: int) -> dict[str, list[float]]:
    """Time our presign and the naive one in Node.js from the start of the process to the first signature."""
    return _take_turns({"presign": lambda: _python(scene), "node": lambda: _node(scene)}, rounds)


def _take_turns(sides: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, run in sides.items():
            seconds = run()
            if turn:  # the first fills the page cache
                times[name].append(seconds)
    return times


def _emulated(scene: Scene, side: Side) -> float:
    function = Function(side.name, "arn", side.handler, scene.variables(**side.settings), (), 30.0)
    view = View(side.task, side.opt, scene.stage)
    environment = EmulatedEnvironment(function, scene.folder / "functions.log", scene.parts, view)
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


def _python(scene: Scene) -> float:
    program = str(ROOT / "benchmarks" / "first.py")
    return _first_byte(scene, [scene.python, program, scene.presign.module], scene.outside(scene.presign))


def _node(scene: Scene) -> float:
    # Without warnings, so that the SDK's about the age of this Node.js costs nothing.
    command = ["node", "--no-warnings", str(NAIVE / "node" / "presign.cjs")]
    return _first_byte(scene, command, {"PATH": os.environ["PATH"], **scene.variables()})


def _first_byte(scene: Scene, command: list[str], environment: dict[str, str]) -> float:
    event = scene.folder / "event.json"
    event.write_text(json.dumps(scene.new_presign()))
    began = time.perf_counter()
    process = subprocess.Popen([*command, str(event)], env=environment, stdout=subprocess.PIPE)  # noqa: S603 - a side
    output: IO[bytes] = process.stdout  # type: ignore[assignment] # it is a pipe
    first = os.read(output.fileno(), 1)
    seconds = time.perf_counter() - began
    rest, _ = process.communicate()
    if b'"statusCode": 200' not in first + rest and b'"statusCode":200' not in first + rest:
        raise BenchmarkError(f"{command} answers {(first + rest).decode()}")
    return seconds
