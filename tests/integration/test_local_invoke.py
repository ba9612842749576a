import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local import ROOT, state
from local.stack import Options, Stack

EVENTS = ROOT / "events"
NO_STACK = "no-stack.json"


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with Stack(Options(api_port=0, web_port=0, platform_port=0, aws_port=0)) as stack:
        yield stack


@pytest.fixture
def written(running: Stack, tmp_path: Path) -> Path:
    """The file in which a running stack is written down."""
    path = tmp_path / "stack.json"
    state.write(path, running)
    return path


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def invoke(*arguments: object, state: Path = tmp_path / NO_STACK) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "local", "invoke", f"--state={state}", *map(str, arguments)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)

    return invoke


def test_without_a_stack_one_is_started_for_the_event(run: Run) -> None:
    done = run("VerifyFunction", EVENTS / "verify-match.json")

    assert done.returncode == 0
    response = json.loads(done.stdout)
    assert response["statusCode"] == 200
    assert json.loads(response["body"])["resultCode"] == "000"
    assert done.stdout.count("\n") > 1
    assert "the platform answered" in done.stderr


def test_a_running_stack_is_used(run: Run, running: Stack, written: Path) -> None:
    def verifications() -> list[Any]:
        assert running.simulator is not None
        return [entry for entry in running.simulator.journal.entries() if entry["step"] == 14]

    before = len(verifications())

    done = run("VerifyFunction", EVENTS / "verify-mismatch.json", state=written)

    assert done.returncode == 0
    assert len(verifications()) == before + 1


def test_the_file_of_a_stack_that_is_gone_is_not_believed(run: Run, running: Stack, tmp_path: Path) -> None:
    stale = tmp_path / "stale.json"
    state.write(stale, running)
    content = json.loads(stale.read_text())
    stale.write_text(json.dumps({**content, "aws": "http://127.0.0.1:1"}))

    assert run("PreSignFunction", EVENTS / "presign-good.json", state=stale).returncode == 0


def test_an_env_file_sets_what_the_function_has_and_the_stack_does_not_decide(
    run: Run, written: Path, tmp_path: Path
) -> None:
    event = tmp_path / "event.json"
    content = json.loads((EVENTS / "presign-good.json").read_text())
    content["headers"]["origin"] = "https://other.example"
    event.write_text(json.dumps(content))
    env = tmp_path / "env.json"
    env.write_text(
        json.dumps(
            {
                "Parameters": {"PRESIGN_WINDOW_HOURS": "0"},
                "PreSignFunction": {
                    "ALLOWED_ORIGINS": "https://other.example",
                    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
                    "SIGNING_SECRET_ID": "another",
                    "PYTHONPATH": "/nowhere",
                },
            }
        )
    )

    done = run("PreSignFunction", event, "--env", env, state=written)

    assert json.loads(done.stdout)["statusCode"] == 200


def test_a_function_that_fails_is_exit_status_1(run: Run, written: Path, tmp_path: Path) -> None:
    env = tmp_path / "env.json"
    env.write_text('{"PreSignFunction": {"APP_ID": "not digits"}}')

    done = run("PreSignFunction", EVENTS / "presign-good.json", "--env", env, state=written)

    assert (done.returncode, done.stdout) == (1, "")
    assert "PreSignFunction: SettingsError: APP_ID" in done.stderr
    assert "not digits" not in done.stderr


def test_an_unknown_function_is_a_usage_error_that_lists_the_known_ones(run: Run) -> None:
    done = run("Nobody", EVENTS / "presign-good.json")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "local: there is no function Nobody; there are PreSignFunction, VerifyFunction, ReceiptKeysFunction\n"
    )


def test_a_function_that_is_there_with_receipts_alone_gets_a_stack_that_signs_them(run: Run) -> None:
    done = run("ReceiptKeysFunction", EVENTS / "receipt-keys.json")

    assert done.returncode == 0, done.stderr
    assert len(json.loads(json.loads(done.stdout)["body"])["keys"]) == 1


def test_a_file_that_is_missing_or_no_json_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    no_json = tmp_path / "event.json"
    no_json.write_text("{")
    good = EVENTS / "presign-good.json"

    for arguments, said in (
        (("PreSignFunction", tmp_path / "none.json"), "none.json: No such file or directory"),
        (("PreSignFunction", no_json), "event.json: not JSON"),
        (("PreSignFunction", good, "--env", tmp_path / "none.json"), "none.json: No such file or directory"),
        (("PreSignFunction", good, "--env", no_json), "event.json: not JSON"),
    ):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"local: {tmp_path / said}\n"
