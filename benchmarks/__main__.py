"""`python -m benchmarks [--rounds N]`: measures, prints tables and, last, one JSON line."""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks import cold, warm
from benchmarks.emulator import PartMissingError
from benchmarks.scene import BUILD, BenchmarkError, Scene


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its key in the JSON line, what it is, and what it should be at most."""

    key: str
    what: str
    goal: float


FIGURES: Final = (
    Figure("presign_warm", "a warm presign, whole / one raw RSA-2048 signature", 1.2),
    Figure("verify_warm", "a warm verify's own processor time / its bare parts", 1.1),
    Figure("presign_cold", "a cold presign / a naive one", 0.5),
    Figure("verify_cold", "a cold verify / a naive one", 0.85),
    Figure("presign_vs_node", "a process's first signature: presign / naive Node.js", 0.9),
    Figure("package_mb", "the bundle, unzipped, in MB", 30),
    Figure("verify_aws_calls", "AWS calls of a warm successful verify", 3),
    Figure("peak_memory", "verify's peak memory after 100 calls / the naive one's", 1.0),
)


def main() -> int:
    """Measure everything; 1 when a part is missing or a side fails, never for a goal that is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="cold starts of each side; warm calls follow")
    options = parser.parse_args()
    try:
        with TemporaryDirectory() as folder:
            values = _measure(Scene(Path(folder)), options.rounds)
    except (BenchmarkError, PartMissingError) as error:
        print(error, file=sys.stderr)
        return 1
    for figure in FIGURES:
        value = values[figure.key]
        met = "met" if value <= figure.goal else "missed"
        print(f"{figure.key:20} {value:7.2f} <= {figure.goal:4g}  {met:7} {figure.what}")
    print(json.dumps({figure.key: round(values[figure.key], 3) for figure in FIGURES}))
    return 0


def _measure(scene: Scene, rounds: int) -> dict[str, float]:
    """Measure all of it; the warm ones first, as the cold ones heat the machine up."""
    presign = warm.measure(scene, scene.presign, rounds * 100)
    verify = warm.measure(scene, scene.verify, rounds * 30)
    naive = warm.measure(scene, scene.naive_verify, 2)
    timed = ("ours", "signature", "encryption", "aws", "post")
    for name, measured in (("presign", presign), ("verify", verify)):
        shown = {part: measured[part] / 1000 for part in timed if part in measured}
        _show(f"warm {name}, µs of processor time", shown)
    memory = {"verify": verify["peak memory"], "naive verify": naive["peak memory"]}
    _show("peak memory, MiB", {side: kilobytes / 1024 for side, kilobytes in memory.items()})
    sides = [scene.presign, scene.naive_presign, scene.verify, scene.naive_verify]
    starts = cold.time_cold_starts(scene, sides, rounds) | cold.time_first_signatures(scene, rounds)
    medians = {name: 1000 * median(seconds) for name, seconds in starts.items()}
    _show("cold starts, ms", medians)
    node = min(milliseconds for name, milliseconds in medians.items() if "Node.js" in name)
    bare = sum(verify[part] for part in timed[1:])
    return {
        "presign_warm": presign["ours"] / presign["signature"],
        "verify_warm": verify["ours"] / bare,
        "presign_cold": medians["presign"] / medians["naive presign"],
        "verify_cold": medians["verify"] / medians["naive verify"],
        "presign_vs_node": medians["presign, process"] / node,
        "package_mb": sum(path.stat().st_size for path in BUILD.glob("*/**/*") if path.is_file()) / 1e6,
        "verify_aws_calls": verify["AWS calls"],
        "peak_memory": memory["verify"] / memory["naive verify"],
    }


def _show(title: str, parts: Mapping[str, float]) -> None:
    print(title, *(f"  {value:8.1f}  {name}" for name, value in parts.items()), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
