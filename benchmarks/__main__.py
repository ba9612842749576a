"""`python -m benchmarks [--rounds N] [--dry]`: measures, prints a table and one JSON line, updates docs."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import page
from benchmarks.emulator import PartMissingError
from benchmarks.figures import FIGURES, measure
from benchmarks.scene import BenchmarkError, prepared


def main() -> int:
    """Measure everything; 1 when a part is missing or a side fails, never for a goal that is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="cold starts of each side (15)")
    parser.add_argument("--dry", action="store_true", help="leave docs/performance.md as it is")
    options = parser.parse_args()
    try:
        with TemporaryDirectory() as folder, prepared(Path(folder)) as scene:
            results = measure(
                scene, options.rounds, lambda what: print(f"measuring {what} ...", file=sys.stderr)
            )
            if not options.dry:
                page.write(results, scene)
    except (BenchmarkError, PartMissingError) as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"{error}\n{(error.stderr or b'').decode()}", file=sys.stderr)
        return 1
    for figure in FIGURES:
        value = results.values[figure.key]
        met = "met" if figure.met(value) else "missed"
        goal = f"{figure.sign} {figure.goal:g}"
        print(f"{figure.key:20} {page.shown(figure, value):>7} {goal:>7}  {met:7} {figure.what}")
    print(json.dumps({figure.key: round(results.values[figure.key], 3) for figure in FIGURES}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
