"""The benchmarks run on the real parts and say what does not depend on how busy the machine is."""

import json
import subprocess
import sys

from benchmarks.emulator import Parts
from benchmarks.figures import FIGURES
from local import ROOT


def test_one_round_gives_every_figure(parts: Parts) -> None:
    del parts  # they must be there
    command = [sys.executable, "-m", "benchmarks", "--rounds=2", "--dry"]

    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
    values = json.loads(run.stdout.splitlines()[-1])
    assert list(values) == [figure.key for figure in FIGURES]
    assert values["verify_aws_calls"] == 3
    assert values["package_mb"] <= 45
    assert values["peak_memory"] <= 1.2
