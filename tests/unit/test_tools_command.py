"""The command line: help, exit codes, errors in words, never a stack trace or a key; `explain` and `plan`.

`explain` is held against the very tables that the functions go by.
"""

import os
import re
import subprocess
import sys
from typing import Any, Final

import pytest

from cmpassport.problems import Problem
from local import ROOT
from tests.support.operator import APP_KEY, PRIVATE, Run, runner
from tools import explain
from tools.commands import _COMMANDS
from tools.explain import CODES
from tools.findings import UseError
from tools.messages import table
from verify.codes import _KNOWN, Ending, Who, look_up

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
        (UseError("verify-unnamed"), 2, r"error: which deployment .* is not said\nName it: --stack NAME.*"),
        (RuntimeError("key MIIEvQ"), 1, r"error: (?!.*MIIEvQ|.*Traceback).*RuntimeError in \S+, line .*"),
        (ModuleNotFoundError(name="boto3"), 1, r"error: the package boto3 .*\n.*`\.venv/.*`make venv`.*"),
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

    shown = subprocess.run(
        [*EXPLAIN, "--list"], cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)

    assert (shown.returncode, shown.stderr) == (1, b"")


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


# explain.

_API_PAGE: Final = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
SIBLINGS: Final = [code for code in CODES if code.isdigit() and code not in _KNOWN]


def test_each_code_that_functions_client_and_back_end_know_is_explained_and_listed(run: Run) -> None:
    client = (ROOT / "web" / "number-verification.d.ts").read_text()
    codes = re.findall(r"^  \| '([a-z_]+)'", client, re.MULTILINE)
    business = (ROOT / "local" / "business.py").read_text()
    reasons = re.findall(r'"([a-z]+_[a-z]+|expired|malformed)",?$', business)

    assert {"wifi", "match_without_receipt"} <= {*codes}
    assert {*_KNOWN, *(problem.code for problem in Problem), *codes, *reasons} <= {*CODES}
    for language in ("en", "zh"):
        listed = run("explain", "--list", "--lang", language).out.splitlines()
        assert [line.split()[0] for line in listed] == [*CODES]


@pytest.mark.parametrize("code", _KNOWN)
def test_a_return_code_is_told_as_the_functions_treat_it(code: str, run: Run) -> None:
    known, shown = look_up(code), run("explain", code)

    assert " ".join(table()[f"code-{code}"]["en"].split(" → ")[0].split()) in shown.words
    assert ("attempt given back" in shown.words) == (known.ending is Ending.GIVEN_BACK)
    assert ("billed yes" in shown.words) == (known.problem is None)
    assert ("you, the operator" in shown.words) == (known.who is Who.OPERATOR)
    assert f"{code} {known.description}" in run("explain", code, "--lang", "zh").words
    if known.problem is None:
        assert f"200 verified={str(code == '000').lower()} resultCode={code}" in shown.words
    else:
        told = f"code={known.problem.code} action={known.problem.action} resultCode={code}"
        assert f"{known.problem.status.value} {told}" in shown.words
        assert (
            f"{code}" in run("explain", known.problem.code).words
        )  # the refusal names the codes that lead to it
    assert ("by the SDK's error callback" in shown.words) == (code in {"500", "170001", "111002"})
    row = re.search(rf"^\|[^|]*\b{code}\b.*", _API_PAGE.partition("| resultCode |")[2], re.MULTILINE)
    assert row is not None, "docs/api.md"
    assert f"| {known.problem.code if known.problem else 'the verdict'} |" in row[0]
    assert ("| is given back |" in row[0]) == (known.ending is Ending.GIVEN_BACK)


@pytest.mark.parametrize("problem", Problem)
def test_a_refusal_of_the_api_is_told_as_pages_get_it(problem: Problem, run: Run) -> None:
    by_code, by_status = run("explain", problem.code), run("explain", str(problem.status.value))

    told = f"{problem.status.value} code={problem.code} action={problem.action}"
    assert told in by_code.words
    assert told in by_status.words
    assert f"HTTP status {problem.status.value} of this API" in by_status.words


@pytest.mark.parametrize("code", ["110099", "0", *SIBLINGS])
def test_a_code_that_no_table_has_is_told_as_it_is_treated(code: str, run: Run) -> None:
    shown = run("explain", code)

    assert "attempt counts as one without a verdict" in shown.words
    assert "billed perhaps" in shown.words
    assert f"502 code=platform_error action=retry resultCode={code}" in shown.words
    assert ("not this product's own documentation" in shown.words) == (code in SIBLINGS)
    assert ("no table" in shown.words) == (code not in SIBLINGS)
    assert "Did you mean" not in shown.words  # nothing is like a whole code, or like 0


@pytest.mark.parametrize(
    ("copied", "code"),
    [
        ("resultCode=103111", "103111"),
        ("错误码１３００１８：", "130018"),
        ("Token-Rejected", "token_rejected"),
    ],
)
def test_a_code_is_taken_out_of_what_was_copied_with_it(copied: str, code: str, run: Run) -> None:
    assert run("explain", copied).out == run("explain", code).out != ""


@pytest.mark.parametrize(("code", "near"), [("13018", "130018"), ("presign_reject", "presign_rejected")])
def test_a_mistyped_code_is_told_its_neighbours(code: str, near: str, run: Run) -> None:
    shown = run("explain", code)

    assert (f"Did you mean {near}" in shown.words, shown.code) == (True, 0 if code.isdigit() else 2)
