"""Fuzzes for a while, `make fuzz SECONDS=60`: the three readers with atheris, then the API with schemathesis.

A finding ends it with status 1; its input is left in `.local/fuzz`, to be put into the corpus beside its fix.
So are inputs that reach code which the corpus does not.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from local import ROOT
from local.keys import ReceiptNumber
from local.stack import Options
from tests.support.stacks import embedded

CORPUS: Final = Path(__file__).parent / "corpus"
FOUND: Final = ROOT / ".local" / "fuzz"
PYTHON: Final = ROOT / ".venv-fuzz" / "bin" / "python"
READERS: Final = ("presign", "number", "answer")
_RUNS: Final = re.compile(r"number_of_executed_units: (\d+)")
CONFIGURATION: Final = Path(__file__).parent / "schemathesis.toml"


def fuzz_reader(name: str, seconds: int) -> int:
    """Fuzz one reader; give the number of inputs tried, or end the program with what was found."""
    new = FOUND / name
    new.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={seconds}", "-timeout=5", "-rss_limit_mb=1024", "-print_final_stats=1"]
    command: list[str | Path] = [PYTHON, "-m", "tests.fuzz.coverage_guided", name, *limits]
    run = subprocess.run(
        [*command, f"-artifact_prefix={FOUND}/{name}-", new, CORPUS / name],
        cwd=ROOT,
        env={"PATH": "", "PYTHONPATH": f"{ROOT}/functions:{ROOT}/layers/crypto:{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    tried = _RUNS.search(run.stdout)
    if run.returncode or not tried:
        sys.stderr.write(run.stdout)
        sys.exit(f"{name}: a finding; its input is in {FOUND.relative_to(ROOT)}")
    return int(tried[1])


def fuzz_api(seconds: int) -> None:
    """Fuzz the API on a local stack with what its description makes; end the program with what was found."""
    FOUND.mkdir(parents=True, exist_ok=True)
    # The time is what ends it, not the number of examples.
    limits = f"--max-time {seconds} --max-examples 100000 --request-timeout 15 --max-response-time 5"
    command: list[str | Path] = [PYTHON.parent / "schemathesis", "--config-file", CONFIGURATION, "run"]
    command += [
        *limits.split(),
        "--phases",
        "examples,coverage,fuzzing",
        "--no-color",
        "--continue-on-failure",
    ]
    # With receipts, so that every route is there.
    with embedded(Options(log=FOUND / "functions.log", receipts=ReceiptNumber.ENCRYPTED)) as stack:
        command += ["--url", stack.api, "--header", f"Origin: {stack.page}", ROOT / "docs" / "openapi.yaml"]
        if subprocess.run(command, cwd=FOUND, check=False).returncode:
            sys.exit("the API: a finding, above")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for all of it (60)")
    readers = READERS if any(PYTHON.parents[1].glob("lib/python*/site-packages/atheris")) else ()
    if not readers:
        print("the readers are not fuzzed: atheris has no wheel for this machine")
        if os.environ.get("ALL_PARTS"):
            raise SystemExit(1)
    share = max(1, parser.parse_args().seconds // (len(readers) + 1))
    for name in readers:
        print(f"{name}: {fuzz_reader(name, share):,} inputs, no finding", flush=True)
    fuzz_api(share)


if __name__ == "__main__":
    main()
