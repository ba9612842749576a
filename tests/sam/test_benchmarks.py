"""The benchmarks run on the built bundle and print what does not depend on how busy the machine is."""

import json
import subprocess
import sys

from benchmarks.__main__ import FIGURES
from local import ROOT


def test_two_rounds_give_every_figure() -> None:
    command = [sys.executable, "-m", "benchmarks", "--rounds=2"]

    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
    values = json.loads(run.stdout.splitlines()[-1])
    assert list(values) == [figure.key for figure in FIGURES]
    goals = {figure.key: figure.goal for figure in FIGURES}
    for steady in ("package_mb", "verify_aws_calls"):
        assert values[steady] <= goals[steady]
