"""The command line as a whole: help, exit codes, errors in words, and never a stack trace or a key."""

import os
import re
import subprocess
import sys
from typing import Any, Final

import pytest

from local import ROOT
from tests.support.operator import APP_KEY, PRIVATE, Run, runner
from tools import explain
from tools.commands import _COMMANDS
from tools.findings import UseError

GROUPS: Final = ("", "keys", "keys put", "keys receipts")


@pytest.fixture
def run(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    return runner(monkeypatch, capsys)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("command", [*GROUPS, *_COMMANDS])
def test_each_command_has_help(command: str, language: str, capsys: Any, run: Run) -> None:
    with pytest.raises(SystemExit, match="0"):
        run("--lang", language, *command.split(), "--help")

    assert re.search("usage: python -m tools", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        *((group, f"`.venv/bin/python -m tools{' ' * bool(group)}{group} --help` shows") for group in GROUPS),
        ("doctor --state /no/such/file", "python -m local up"),
        ("doctor --page www.abc.com", "https://www.abc.com/a/mobile.html"),
        ("doctor --stack=", "empty or not a stack's name"),
        ("doctor --stack a --state b", "not allowed with argument"),
        ("keys rotate", "nothing was entered"),
        ("keys new --bits 512", "--help` shows"),
        ("keys check --publik file.txt", "--publik"),
        ("plan Line=everywhere", "parameter Line"),
        ("plan Line", "is not a parameter with its value"),
        ("plan AllowedOrigins=https://www.abc.com/", "parameter AllowedOrigins"),
        ("plan AppId=30001111222", "parameter AppId"),
        ("plan AppId=300011112222 Line=test", "is of Line=production"),
    ],
)
def test_a_command_line_that_cannot_be_followed_is_wrong_use(command: str, said: str, run: Run) -> None:
    shown = run(*command.split(), given="\n")

    assert (shown.code, shown.out, said in shown.words) == (2, "", True), shown


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UseError("no-local-stack"), 2, r"error: no local stack is running\nStart one with `.*`.*"),
        (RuntimeError("key MIIEvQ"), 1, r"error: (?!.*MIIEvQ|.*Traceback).*RuntimeError in \S+, line .*"),
        (
            ModuleNotFoundError(name="boto3"),
            1,
            r"error: the package boto3 .*\n.*`\.venv/bin/python .*`make venv`.*",
        ),
        (KeyboardInterrupt(), 1, "\nstopped.\n"),
    ],
)
def test_a_failure_is_what_is_wrong_and_what_to_do_and_no_stack_trace(
    error: BaseException, code: int, said: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(explain, "run", fail)

    shown = run("explain", "000")

    assert (shown.code, shown.out) == (code, "")
    assert re.fullmatch(said, shown.err, re.DOTALL), shown.err


EXPLAIN: Final = (sys.executable, "-m", "tools", "explain")


def test_a_reader_that_has_had_enough_is_no_stack_trace() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    listed = subprocess.run(
        [*EXPLAIN, "--list"], cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)

    assert (listed.returncode, listed.stderr) == (1, b"")


def test_a_terminal_without_chinese_is_written_to_all_the_same() -> None:
    latin = {**os.environ, "PYTHONIOENCODING": "latin-1"}

    shown = subprocess.check_output([*EXPLAIN, "000", "--lang", "zh"], cwd=ROOT, env=latin)

    assert rb"\u662f" in shown


PEM: Final = f"-----BEGIN PRIVATE KEY-----\n{PRIVATE}\n-----END PRIVATE KEY-----"
WRONG_PLACES: Final = (
    *("{}", "explain {}", "explain 130018 {}", "plan {}", "keys check {}", "keys put {}"),
    *("keys put verification {}", "keys put verification --appkey={}", "keys put verification --p={}"),
    *("keys new --bits {}", "keys new --secret {}", "keys check --secret {}", "keys rotate --secret {}"),
    *("keys check --private {}", "keys check --public {}", "doctor --public {}", "doctor --state {}"),
    *("doctor --stack {}", "doctor --page {}"),
)


@pytest.mark.parametrize("command", WRONG_PLACES)
@pytest.mark.parametrize("key", [PRIVATE, PEM, APP_KEY], ids=["line", "pem", "appKey"])
def test_a_key_in_a_wrong_place_is_not_repeated(command: str, key: str, run: Run) -> None:
    shown = run(*(word.replace("{}", key) for word in command.split()))

    is_name = key == APP_KEY and "--" in command and "=" not in command  # it has the form of one
    whole = f"{shown.out}{shown.err}".replace("\n", "")
    assert is_name or shown.code == 2
    assert is_name or not [place for place in range(len(key) - 12) if key[place : place + 12] in whole]


def test_a_plan_lists_what_the_answers_make(run: Run) -> None:
    shown = run("plan", "AppId=300011112222", "Line=production")

    assert shown.code == 0
    assert re.search(r"^VerifyFunction +AWS::Serverless::Function$", shown.out, re.MULTILINE)
    assert "filled in for this check: AllowedOrigins, SigningSecretArn, VerificationSecretArn." in shown.words
