"""`python -m local`: what it prints, how it ends, what it leaves behind; `up` and `invoke`."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3

from local import ROOT, state
from local.command import main
from local.keys import CustomerKeys
from local.stack import Stack

FREE_PORTS = ("--api-port=0", "--web-port=0", "--platform-port=0", "--aws-port=0")
EVENTS = ROOT / "events"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "local" / "stack.json"


@contextmanager
def up(file: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run `up` in a process group of its own, as a shell does."""
    command = [sys.executable, "-m", "local", "up", f"--state={file}", *FREE_PORTS, *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(*arguments: object) -> int:
    """Run the command line in this process; return its exit status."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as usage:
        return int(usage.code or 0)


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    assert process.stdout is not None
    read = ""
    while text not in read:
        line = process.stdout.readline()
        assert line, process.communicate()
        read += line
    return read


def children_of(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def all_end(pids: set[int]) -> None:
    """Wait until processes have ended, whether or not somebody has reaped them."""
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}/exe").exists() for pid in pids):  # a zombie has none
        assert time.monotonic() < deadline, "a process outlives its stack"
        time.sleep(0.01)  # between two looks


# --- up ---------------------------------------------------------------------------------------------------


def test_a_stack_says_what_to_open_and_what_is_its_own_does_not_outlive_it(file: Path) -> None:
    with up(file, "--receipts=hash") as process:
        text = read_until(process, "Ctrl-C")
        children = children_of(process.pid)
        process.kill()

    said = ("Open  http://127.0.0.1:", "has the number 13999994444", "5 attempts a day, a wrong one 3;")
    for each in (
        *said,
        "appId     000001",
        "GET /.well-known/jwks.json",
        "/business   logs in by receipt alone",
    ):
        assert each in text
    assert len(children) >= 3
    all_end(children)


def test_addresses_are_one_line_of_json_and_of_the_file_of_a_killed_stack_nothing_stays(
    file: Path, tmp_path: Path
) -> None:
    own, platform = CustomerKeys.fresh(), CustomerKeys.fresh()
    secrets = tmp_path / "secrets.json"
    content = {"privateKey": own.private_key, "platformPublicKey": platform.public_key, "appKey": own.app_key}
    secrets.write_text(json.dumps(content))
    file.parent.mkdir()
    file.write_text(json.dumps({"pid": 1, "aws": "http://127.0.0.1:1", "page": "p", "functions": {}}))

    with up(file, "--json", "--app-id=300011112222", f"--secrets={secrets}", "--receipts=masked") as process:
        addresses = json.loads(read_until(process, "}"))
        session = urllib3.request("GET", f"{addresses['business']}/session", retries=False)
        nothing = urllib3.request("GET", addresses["api"], retries=False)
        text, mode = file.read_text(), stat.S_IMODE(file.stat().st_mode)
        children = children_of(process.pid)
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
        out, error = process.communicate(timeout=30)

    assert list(addresses) == ["api", "page", "platform", "aws", "appId", "business"]
    assert (addresses["appId"], session.status, nothing.status) == ("300011112222", 401, 404)
    assert (process.returncode, out, mode) == (0, "", 0o600)
    assert not file.exists()
    assert len(children) >= 3
    all_end(children)
    written = json.loads(text)
    assert (written["pid"], written["customerPublicKey"]) == (process.pid, own.public_key)
    assert {"SIGNING_SECRET_ID", "RECEIPT_SECRET_ID"} <= written["secretIds"].keys()
    assert "the simulator keeps its own key pair" in error
    for shown in (text, out, error):
        assert own.private_key[:40] not in shown
        assert own.app_key not in shown


def test_a_signal_in_the_middle_of_the_start_ends_it_cleanly(file: Path) -> None:
    with up(file, "--json") as process:
        while not (children := children_of(process.pid)):
            assert process.poll() is None
            time.sleep(0.01)  # between two looks

        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=30)

    assert (process.returncode, out, error) == (0, "", "")
    assert not file.exists()
    all_end(children)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--platform-url=http://p.example/?a=b", "local: --platform-url is an address"),
        ("--page=5173", "local: --page is an address"),
        ("--app-id=12", "local: parameter AppId: "),
        ("--secrets=/dev/null", "local: /dev/null: not JSON"),
        ("--receipts=plain", "--receipts"),
        ("--api-port=http", "--api-port"),
    ],
)
def test_what_is_wrong_with_a_setting_is_said_and_exit_status_2(
    file: Path, argument: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("up", f"--state={file}", *FREE_PORTS, argument) == 2

    out, error = capsys.readouterr()
    assert out == ""
    assert said in error
    assert not file.exists()


def test_a_port_in_use_is_one_line_and_exit_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run("up", *FREE_PORTS, f"--platform-port={port}") == 2

    said = f"port {port} is in use; choose another with --platform-port, 0 for any that is free"
    assert capsys.readouterr() == ("", f"local: {said}\n")


# --- invoke -----------------------------------------------------------------------------------------------


def test_without_a_stack_that_answers_one_is_started_for_the_event(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.parent.mkdir()
    file.write_text('{"pid": "x", "aws": 7, "page": "p"}')

    assert run("invoke", f"--state={file}", "ReceiptKeysFunction", EVENTS / "receipt-keys.json") == 0

    response = json.loads(capsys.readouterr().out)
    assert response["statusCode"] == 200
    assert len(json.loads(response["body"])["keys"]) == 1  # which this function alone needs


def test_a_running_stack_is_the_one_that_is_asked(
    stack: Stack, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state.write(file, stack)

    assert run("invoke", f"--state={file}", "ReceiptKeysFunction", EVENTS / "receipt-keys.json") == 0

    published = urllib3.request("GET", f"{stack.api}/.well-known/jwks.json", retries=False)
    assert json.loads(json.loads(capsys.readouterr().out)["body"]) == published.json()


def test_what_fails_is_one_line_and_an_exit_status(
    stack: Stack, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state.write(file, stack)
    good, bad, env = EVENTS / "presign-good.json", tmp_path / "bad.json", tmp_path / "env.json"
    bad.write_text("{")
    env.write_text('{"PreSignFunction": {"APP_ID": "not digits"}}')
    none = tmp_path / "none.json"
    functions = "PreSignFunction, VerifyFunction, ReceiptKeysFunction"

    for arguments, status, said in (
        (("PreSignFunction", good, "--env", env), 1, "PreSignFunction: SettingsError: APP_ID"),
        (("Nobody", good), 2, f"there is no function Nobody; there are {functions}\n"),
        (("PreSignFunction", none), 2, f"{none}: No such file or directory\n"),
        (("PreSignFunction", bad), 2, f"{bad}: not JSON\n"),
    ):
        assert run("invoke", f"--state={file}", *arguments) == status
        out, error = capsys.readouterr()
        assert out == ""
        assert error.startswith(f"local: {said}")
        assert "not digits" not in error
