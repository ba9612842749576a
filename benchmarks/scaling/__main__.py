"""`python -m benchmarks.scaling`: makes docs/scaling.md; `check` compares it, `measure` measures anew."""

import argparse
import json
import sys

from benchmarks.scaling.inputs import DIRECTORY, TEMPLATE, Inputs
from benchmarks.scaling.page import build, differences, write


def main() -> int:
    """Run one command and give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("command", nargs="?", default="page", choices=("page", "check", "measure"))
    command = parser.parse_args().command
    if command == "measure":
        from benchmarks.scaling.measure import measure  # noqa: PLC0415 - needs boto3 and the local stack

        text = json.dumps(measure(TEMPLATE), indent=2) + "\n"
        (DIRECTORY / "measured.json").write_text(text, encoding="utf-8")
        print(text, end="")
        return 0
    files = build(Inputs.read())
    if command == "page":
        write(files)
        print("\n".join(f"docs/{name}" for name in files))
        return 0
    stale = differences(files)
    for name in stale:
        print(f"docs/{name} is not what the inputs make; run: make scaling", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
