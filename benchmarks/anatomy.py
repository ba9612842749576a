"""Takes one cold presign apart: interpreter, imports by package, secret, key, signature."""

import json
import re
import subprocess
from collections import Counter
from statistics import median
from typing import Final

from benchmarks.scene import BenchmarkError, Scene
from local import ROOT

# Prints milliseconds of what a first request does after the imports, apart from each other.
_AFTER_IMPORTS: Final = """
import json, sys, time
import presign.app as app
from cmpassport.keys import load_private_key
from cmpassport.secret_cache import read_fields

def timed(work):
    began = time.perf_counter()
    result = work()
    return result, (time.perf_counter() - began) * 1000

text, fetch = timed(lambda: app._secrets.fetch("signing"))
key, parse = timed(lambda: load_private_key(*read_fields(text, "privateKey")))
_, sign = timed(lambda: app._settings.common.scheme.sign(key, "0" * 90))
sys.stdout.write(json.dumps({"fetch the secret": fetch, "parse and check the key": parse, "sign": sign}))
"""
_LINE: Final = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| +(\S+)")
_OWN: Final = frozenset({"cmpassport", "presign"})
_NAMED: Final = frozenset({"aws_lambda_powertools", "cryptography"})
_POWERTOOLS_OWN: Final = frozenset({"jmespath", "typing_extensions", "botocore"})


def cold_presign(scene: Scene, rounds: int) -> dict[str, float]:
    """Give the milliseconds of each part, the median of some rounds."""
    parts: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, milliseconds in {**_interpreter(scene), **_imports(scene), **_after(scene)}.items():
            parts.setdefault(name, []).append(milliseconds)
    return {name: median(values) for name, values in parts.items()}


def _interpreter(scene: Scene) -> dict[str, float]:
    script = "import time; print(time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID) * 1000)"
    return {"start the interpreter": float(_run(scene, "-c", script).stdout)}


def _imports(scene: Scene) -> dict[str, float]:
    """Sum the modules' own import times by whose they are."""
    event = scene.folder / "event.json"
    event.write_text(json.dumps(scene.new_presign()))
    program = str(ROOT / "benchmarks" / "first.py")
    lines = _run(scene, "-X", "importtime", program, scene.presign.module, str(event)).stderr
    times: Counter[str] = Counter()
    for microseconds, name in _LINE.findall(lines):
        package = name.partition(".")[0]
        times[f"import {_whose(package)}"] += int(microseconds)
    return {name: microseconds / 1000 for name, microseconds in times.items()}


def _whose(package: str) -> str:
    if package in _OWN:
        return "the product's modules"
    if package in _POWERTOOLS_OWN:
        return "aws_lambda_powertools"
    return package if package in _NAMED else "the standard library"


def _after(scene: Scene) -> dict[str, float]:
    parts: dict[str, float] = json.loads(_run(scene, "-c", _AFTER_IMPORTS).stdout)
    return parts


def _run(scene: Scene, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [scene.python, *arguments]
    environment = scene.outside(scene.presign)
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - Lambda's Python
    if run.returncode:
        raise BenchmarkError(run.stderr)
    return run
