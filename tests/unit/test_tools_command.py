"""The command line as a whole: help, exit codes, errors in words, and never a stack trace or a key."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from local import ROOT
from tests.support.operator import APP_KEY, PRIVATE, Run, runner
from tools import explain
from tools.commands import _COMMANDS
from tools.findings import UseError

Fails = Callable[[BaseException], None]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    return runner(monkeypatch, capsys)


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Fails:
    """Have `explain` fail in a way of its own."""

    def set_up(error: BaseException) -> None:
        def run(*_: object) -> int:
            raise error

        monkeypatch.setattr(explain, "run", run)

    return set_up


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("command", ["", "keys", "keys put", "keys receipts", *_COMMANDS])
def test_each_command_has_help(
    command: str, language: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", f"{language}_XX.UTF-8")
    with pytest.raises(SystemExit, match="0"):
        run(*command.split(), "--help")


@pytest.mark.parametrize("command", ["", "keys", "keys put", "keys receipts", "keys new --bits 512"])
def test_a_command_line_that_cannot_be_followed_is_wrong_use(command: str, run: Run) -> None:
    shown = run(*command.split())

    assert (shown.code, shown.out) == (2, "")
    assert "--help` shows" in shown.words


def test_an_option_that_is_not_known_is_named(run: Run) -> None:
    assert "--publik" in run("keys", "check", "--publik", "file.txt").err


def test_an_error_is_what_is_wrong_and_what_to_do(fails: Fails, run: Run) -> None:
    fails(UseError("verify-unnamed"))

    shown = run("explain", "000")

    first, second = shown.err.splitlines()
    assert (shown.code, shown.out) == (2, "")
    assert first == "error: which deployment should send the signed request is not said"
    assert second.startswith("Name it: --stack NAME")


def test_a_mistake_of_the_tool_shows_its_place_and_nothing_of_what_it_was_about(
    fails: Fails, run: Run
) -> None:
    fails(RuntimeError("the private key is MIIEvQ"))

    shown = run("explain", "000")

    assert shown.code == 1
    assert "RuntimeError in test_tools_command.py, line" in shown.err
    assert "MIIEvQ" not in shown.err
    assert "Traceback" not in shown.err


def test_ctrl_c_is_no_stack_trace(fails: Fails, run: Run) -> None:
    fails(KeyboardInterrupt())

    shown = run("explain", "000")

    assert (shown.code, shown.err) == (1, "\nstopped.\n")


def python(program: str, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False, **options)


def test_a_reader_that_has_had_enough_is_no_stack_trace() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    program = "import sys; from tools.__main__ import main; sys.exit(main(['explain', '--list']))"
    done = python(program, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)

    assert (done.returncode, done.stderr) == (1, b"")


def test_a_terminal_without_chinese_is_written_to_all_the_same_and_help_needs_no_boto3() -> None:
    program = """
import sys
from tools.__main__ import main
main(["explain", "000", "--lang", "zh"])
try:
    main(["keys", "--help"])
except SystemExit:
    sys.exit("boto3" in sys.modules)
"""
    done = python(program, env={**os.environ, "PYTHONIOENCODING": "latin-1"}, capture_output=True)

    assert done.returncode == 0
    assert rb"\u662f" in done.stdout


def test_ctrl_c_while_the_commands_are_imported_is_no_stack_trace() -> None:
    program = """
import runpy, sys

class Interrupted:
    def find_spec(self, name, *_):
        if name == "tools.explain":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
sys.argv = ["tools", "explain", "000"]
runpy.run_module("tools", run_name="__main__")
"""
    done = python(program, capture_output=True)

    assert (done.returncode, done.stderr) == (1, b"\nstopped.\n")


PEM: Final = f"-----BEGIN PRIVATE KEY-----\n{PRIVATE}\n-----END PRIVATE KEY-----"
WRONG_PLACES: Final = (
    *(
        "keys check {}",
        "keys put {}",
        "explain {}",
        "explain 130018 {}",
        "{}",
        "plan {}",
        "doctor --stack {}",
    ),
    *("keys put verification {}", "keys put verification --appkey={}", "keys put verification --p={}"),
    *("keys new --bits {}", "keys new --secret {}", "keys check --secret {}", "keys rotate --secret {}"),
    *("keys check --private {}", "keys check --public {}", "doctor --public {}", "doctor --state {}"),
    *("keys new --out {}", "doctor --page {}"),
)


@pytest.mark.parametrize("command", WRONG_PLACES)
@pytest.mark.parametrize("key", [PRIVATE, PEM, APP_KEY], ids=["line", "pem", "appKey"])
def test_a_key_in_a_wrong_place_is_not_repeated(command: str, key: str, run: Run) -> None:
    shown = run(*(word.replace("{}", key) for word in command.split()))

    is_name = key == APP_KEY and "--" in command and "=" not in command  # it has the form of one
    assert is_name or shown.code == 2
    whole = f"{shown.out}{shown.err}".replace("\n", "")
    assert is_name or not [place for place in range(len(key) - 12) if key[place : place + 12] in whole]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ("Line=everywhere", "parameter Line"),
        ("NoSuch=on", "the template has no parameter NoSuch"),
        ("Line", "is not a parameter with its value"),
        ("AllowedOrigins=https://www.abc.com/", "parameter AllowedOrigins"),
        ("AppId=30001111222", "parameter AppId"),
        ("AppId=300011112222 Line=test", "is of Line=production"),
    ],
)
def test_answers_that_cloudformation_would_refuse_are_refused(parameters: str, said: str, run: Run) -> None:
    shown = run("plan", *parameters.split())

    assert (shown.code, said in shown.words) == (2, True), shown.words


def test_a_plan_lists_what_the_answers_make(run: Run) -> None:
    shown = run("plan", "AppId=300011112222", "Line=production")

    assert shown.code == 0
    assert re.search(r"^VerifyFunction +AWS::Serverless::Function$", shown.out, re.MULTILINE)
    assert "Made up: AllowedOrigins, SigningSecretArn, VerificationSecretArn." in shown.words
