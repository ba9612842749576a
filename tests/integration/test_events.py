"""Each sample event gives the result that events/README.md documents, on a throw-away stack."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from local import ROOT

EVENTS: Final = ROOT / "events"
_ROW: Final = re.compile(r"^\| ([a-z-]+\.json) \| (\w+) \| (\d{3}) \|\s*(\w*) *\|", re.MULTILINE)
DOCUMENTED: Final = _ROW.findall((EVENTS / "README.md").read_text())


def test_every_event_is_documented() -> None:
    samples = {path.name for path in EVENTS.glob("*.json")} - {"env.json"}

    assert {name for name, *_ in DOCUMENTED} == samples


@pytest.mark.parametrize(("event", "function", "status", "code"), DOCUMENTED)
def test_a_sample_event_gives_its_documented_result(
    event: str, function: str, status: str, code: str, tmp_path: Path
) -> None:
    no_running_stack = str(tmp_path / "stack.json")
    invoke = [sys.executable, "-m", "local", "invoke", "--state", no_running_stack]
    run = subprocess.run(
        [*invoke, function, str(EVENTS / event)], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stderr
    response = json.loads(run.stdout)
    body = json.loads(response["body"])
    assert response["statusCode"] == int(status)
    assert body.get("code", body.get("resultCode", "")) == code
    if event == "presign-good.json":
        assert body["sign"]
