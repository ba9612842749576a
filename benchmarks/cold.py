"""Cold starts: from nothing to the first answer, each time in a new environment, the sides taking turns."""

import json
import os
import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import IO, Final

from benchmarks.emulator import EmulatedEnvironment
from benchmarks.scene import NAIVE, BenchmarkError, Scene, Side
from local import ROOT
from local.environment import Function

OK: Final = 200
_FIRST: Final = str(ROOT / "benchmarks" / "first.py")
_IMPORT: Final = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| +(\S+)")
_OWNERS: Final = {
    "the product's modules": ("cmpassport", "presign", "verify"),
    "aws_lambda_powertools": ("aws_lambda_powertools", "jmespath", "typing_extensions"),
    "cryptography": ("cryptography", "_cffi_backend"),
    "botocore and urllib3": ("boto3", "botocore", "dateutil", "s3transfer", "urllib3"),
}


def time_cold_starts(scene: Scene, sides: Sequence[Side], rounds: int) -> dict[str, list[float]]:
    """Time INIT and first invocation under Lambda's runtime emulator, in seconds, by the sides' names."""
    return _take_turns({side.name: partial(_emulated, scene, side) for side in sides}, rounds)


def time_first_signatures(scene: Scene, rounds: int) -> dict[str, list[float]]:
    """Time our presign and the naive one in Node.js from the start of the process to the first signature."""
    ours = [scene.python, _FIRST, scene.presign.module]
    # Without warnings, so that the SDK's about the age of this Node.js costs nothing.
    node = ["node", "--no-warnings", str(NAIVE / "node" / "presign.cjs")]
    bundled = ["node", "--no-warnings", str(_bundle(scene))]
    outside = scene.outside(scene.presign)
    elsewhere = {"PATH": os.environ["PATH"], **scene.variables()}
    sides = {
        "presign, process": (ours, outside),
        "naive Node.js presign, process": (node, elsewhere),
        "naive Node.js presign, bundled, process": (bundled, elsewhere),
    }
    return _take_turns({name: partial(_first_byte, scene, *side) for name, side in sides.items()}, rounds)


def _bundle(scene: Scene) -> Path:
    """Bundle the naive Node.js handler with its SDK into one file."""
    bundled = scene.folder / "bundled.cjs"
    esbuild = NAIVE / "node" / "node_modules" / ".bin" / "esbuild"
    options = ["--bundle", "--minify", "--platform=node", "--target=node20", "--log-level=error"]
    command = [str(esbuild), str(NAIVE / "node" / "presign.cjs"), *options, f"--outfile={bundled}"]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - the locked esbuild
    return bundled


def _take_turns(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, run in sides.items():
            seconds = run()
            if turn:  # the first fills the page cache
                times[name].append(seconds)
    return times


def _emulated(scene: Scene, side: Side) -> float:
    function = Function(side.name, "arn", side.handler, scene.variables(**side.settings), (), 30.0)
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
    process = subprocess.Popen(  # noqa: S603 - a side
        [*command, str(event)], env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    output: IO[bytes] = process.stdout  # type: ignore[assignment] # it is a pipe
    first = os.read(output.fileno(), 1)
    seconds = time.perf_counter() - began
    rest, _ = process.communicate()
    if b'"statusCode":200' not in (first + rest).replace(b" ", b""):
        raise BenchmarkError(f"{command} answers {(first + rest).decode()}")
    return seconds


def anatomy(scene: Scene, side: Side, rounds: int = 5) -> dict[str, float]:
    """Take one cold start apart: milliseconds of interpreter, imports by package, first request; medians."""
    parts: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, milliseconds in _apart(scene, side).items():
            parts.setdefault(name, []).append(milliseconds)
    return {name: median(values) for name, values in parts.items()}


def _apart(scene: Scene, side: Side) -> dict[str, float]:
    script = "import time; print(time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID) * 1000)"
    event = scene.folder / "event.json"
    event.write_text(json.dumps(side.new_event()))
    lines = _run(scene, side, "-X", "importtime", _FIRST, side.module, str(event)).stderr
    before, _, after = lines.partition("imported\n")
    times: defaultdict[str, float] = defaultdict(float)
    times["the interpreter"] = float(_run(scene, side, "-c", script).stdout) * 1000
    for microseconds, name in _IMPORT.findall(before):
        times[f"imports: {_owner(name)}"] += int(microseconds)
    late = sum(int(microseconds) for microseconds, _ in _IMPORT.findall(after))
    (request,) = re.findall(r"answered after ([0-9.]+) ms", after)
    times["the first request's imports"] = late
    times["the first request itself"] = float(request) * 1000 - late
    return {name: microseconds / 1000 for name, microseconds in times.items()}


def _owner(module: str) -> str:
    package = module.partition(".")[0]
    return next((owner for owner, packages in _OWNERS.items() if package in packages), "the standard library")


def _run(scene: Scene, side: Side, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [scene.python, *arguments]
    run = subprocess.run(command, env=scene.outside(side), capture_output=True, text=True, check=False)  # noqa: S603 - Lambda's Python
    if run.returncode:
        raise BenchmarkError(run.stderr)
    return run
