"""The command line as a whole: help, exit codes, errors in words, and never a stack trace."""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

import pytest

from local import ROOT
from tools import explain
from tools.__main__ import main
from tools.errors import WRONG_USE, ToolError
from tools.keys.pairs import bare_private, new_private_key
from tools.text import columns, wrapped

COMMANDS: Final = (
    (),
    ("keys",),
    ("keys", "new"),
    ("keys", "put"),
    ("keys", "put", "verification"),
    ("keys", "put", "signing"),
    ("keys", "check"),
    ("keys", "rotate"),
    ("keys", "receipts"),
    ("keys", "receipts", "new"),
    ("keys", "receipts", "rotate"),
    ("keys", "receipts", "encryption-key"),
    ("keys", "receipts", "check"),
    ("doctor",),
    ("explain",),
    ("plan",),
)

Fails = Callable[[BaseException], None]


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Fails:
    """Have `explain` fail in a way of its own."""

    def set_up(error: BaseException) -> None:
        def run(_: argparse.Namespace) -> int:
            raise error

        monkeypatch.setattr(explain, "run", run)

    return set_up


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_has_help(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--help"])

    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: python -m tools {' '.join(command)}".strip())
    assert max(map(columns, shown.splitlines())) <= 120
    assert not re.search(r"\{[A-Z_]+\}", shown)


def test_the_help_has_an_example_of_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])

    shown = capsys.readouterr().out
    for command in {words[0] for words in COMMANDS if words}:
        assert f"  python -m tools {command} " in shown


@pytest.mark.parametrize("command", [(), ("keys",), ("keys", "put"), ("keys", "receipts")], ids=" ".join)
def test_a_group_without_a_command_is_wrong_use(command: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*command])


def test_an_error_is_what_is_wrong_and_what_to_do(fails: Fails, capsys: pytest.CaptureFixture[str]) -> None:
    fails(ToolError("the key is lost", "Make another.", WRONG_USE))

    assert main(["explain", "000"]) == WRONG_USE

    shown = capsys.readouterr()
    assert shown.err == "error: the key is lost.\nMake another.\n"
    assert shown.out == ""


def test_a_mistake_of_the_tool_shows_its_place_and_nothing_of_what_it_was_about(
    fails: Fails, capsys: pytest.CaptureFixture[str]
) -> None:
    fails(RuntimeError("the private key is MIIEvQ"))

    assert main(["explain", "000"]) == 1

    shown = capsys.readouterr().err
    assert "RuntimeError in test_tools_command.py, line" in shown
    assert "MIIEvQ" not in shown
    assert "Traceback" not in shown


def test_ctrl_c_is_no_stack_trace(fails: Fails, capsys: pytest.CaptureFixture[str]) -> None:
    fails(KeyboardInterrupt())

    assert main(["explain", "000"]) == 1

    assert capsys.readouterr().err.strip() == "stopped."


def test_a_reader_that_has_had_enough_is_no_stack_trace() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(
        [sys.executable, "-m", "tools", "explain", "--list"],
        cwd=ROOT,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)

    assert done.returncode == 1
    assert done.stderr == ""


def test_a_terminal_without_chinese_is_written_to_all_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools", "explain", "000"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0
    assert rb"\u662f" in done.stdout


def test_help_imports_no_boto3() -> None:
    program = """
import sys
from tools.__main__ import main
try:
    main(["keys", "--help"])
except SystemExit:
    sys.exit("boto3" in sys.modules)
"""

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False)

    assert done.returncode == 0


def test_a_command_in_a_text_is_not_broken_over_lines() -> None:
    command = "`python -m tools keys rotate --step switch --secret shop/signing --region cn-north-1`"

    lines = wrapped(f"{'word ' * 15}and then at once {command} and more.", "ok  ").splitlines()

    assert any(command in line for line in lines)
    assert max(map(len, lines)) <= 100
    assert all(line.startswith("    ") for line in lines[1:])


PASTED: Final = bare_private(new_private_key(2048))
WRONG_PLACES: Final = (
    ("keys", "check", "{}"),
    ("keys", "put", "verification", "{}"),
    ("keys", "put", "verification", "--appkey={}"),
    ("keys", "put", "verification", "--p={}"),
    ("keys", "put", "{}"),
    ("keys", "new", "--bits", "{}"),
    ("explain", "{}"),
    ("explain", "130018", "{}"),
    ("{}",),
)


@pytest.mark.parametrize("command", WRONG_PLACES, ids=" ".join)
@pytest.mark.parametrize(
    "key",
    [
        PASTED,
        f"-----BEGIN PRIVATE KEY-----\n{PASTED}\n-----END PRIVATE KEY-----",
        "AA03E6C60D0B0D14320B9A3F0B5AAD99",
    ],
    ids=["line", "pem", "appKey"],
)
def test_a_key_in_a_wrong_place_is_not_repeated(
    command: tuple[str, ...], key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: Any = main([word.replace("{}", key) for word in command])
    except SystemExit as end:
        code = end.code

    shown = "".join(capsys.readouterr())
    assert code == WRONG_USE
    assert not [place for place in range(len(key) - 12) if key[place : place + 12] in shown]


def test_an_option_that_is_not_known_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["keys", "check", "--publik", "file.txt"])

    assert "--publik" in capsys.readouterr().err


def test_ctrl_c_while_the_commands_are_imported_is_no_stack_trace() -> None:
    script = """
import runpy, sys

class Interrupted:
    def find_spec(self, name, *_):
        if name == "tools.keys":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
sys.argv = ["tools", "explain", "000"]
runpy.run_module("tools", run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT
    )

    assert done.returncode == 1
    assert done.stderr == "\nstopped.\n"
