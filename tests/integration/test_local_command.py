import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local import ROOT
from local.keys import CustomerKeys

FREE_PORTS = ("--api-port=0", "--web-port=0", "--platform-port=0", "--aws-port=0")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "local" / "stack.json"


@contextmanager
def up(state: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run `up` in a process group of its own, as a shell does."""
    command = [sys.executable, "-m", "local", "up", f"--state={state}", *FREE_PORTS, *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def fails(state: Path, *arguments: str) -> tuple[int, str]:
    """Run `up` to its end; give its exit status and its one line."""
    with up(state, *arguments) as process:
        out, error = process.communicate(timeout=60)
    assert out == ""
    assert error.count("\n") == 1
    assert not state.exists()
    return process.returncode, error.strip()


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def children_of(pid: int) -> set[int]:
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat="],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    rows = [line.split() for line in listed]
    return {int(child) for child, parent, status in rows if int(parent) == pid and not status.startswith("Z")}


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    status = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return not status or status.startswith("Z")


def test_the_json_line_is_all_of_standard_output_and_says_what_answers(state: Path) -> None:
    with up(state, "--json", "--app-id=300011112222") as process:
        addresses = json.loads(first_line(process))
        with urllib.request.urlopen(f"{addresses['page']}/config.json", timeout=30) as config:  # noqa: S310
            assert json.loads(config.read())["appId"] == "300011112222"
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            urllib.request.urlopen(addresses["api"], timeout=30)  # noqa: S310 - loopback
        caught.value.close()
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=30)

    assert list(addresses) == ["api", "page", "platform", "aws", "appId"]
    assert rest == ""


def test_with_receipts_the_json_line_says_where_the_business_back_end_is(state: Path) -> None:
    with up(state, "--json", "--receipts=masked") as process:
        addresses = json.loads(first_line(process))
        text = state.read_text()
        with pytest.raises(urllib.error.HTTPError, match="401") as caught:
            urllib.request.urlopen(f"{addresses['business']}/session", timeout=30)  # noqa: S310 - loopback
        caught.value.close()
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=30)

    assert list(addresses) == ["api", "page", "platform", "aws", "appId", "business"]
    assert rest == ""
    written = json.loads(text)
    assert "RECEIPT_SECRET_ID" in written["secretIds"]
    assert written["functions"]["VerifyFunction"]["variables"]["RECEIPT_ISSUER"] == addresses["api"]
    assert "privateKey" not in text


def test_receipts_of_no_known_form_are_a_usage_error(state: Path) -> None:
    with up(state, "--receipts=plain") as process:
        _, error = process.communicate(timeout=30)

    assert process.returncode == 2
    assert "--receipts" in error


def test_another_platform_without_its_keys_is_started_and_told_which_key_to_know(state: Path) -> None:
    with up(state, "--json", "--platform-url=http://127.0.0.1:1") as process:
        addresses = json.loads(first_line(process))
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)

    assert addresses["platform"] == "http://127.0.0.1:1"
    assert "the customer's public key is MI" in errors


def greeting(state: Path, *arguments: str) -> str:
    """Give what `up` says to people once all of it answers."""
    with up(state, *arguments) as process:
        assert process.stdout is not None
        text = ""
        while "Ctrl-C" not in text:
            line = process.stdout.readline()
            assert line, process.communicate()
            text += line
    return text


def test_for_people_it_says_what_to_open_and_which_number_logs_in(state: Path) -> None:
    text = greeting(state)

    assert "Open  http://127.0.0.1:" in text
    assert "13999994444" in text
    assert "A number has 5 attempts a day; the page's panel gives them back." in text
    assert "appId     000001" in text
    assert "business" not in text.lower()
    assert "jwks" not in text


def test_for_people_it_says_who_goes_by_receipts(state: Path) -> None:
    text = greeting(state, "--receipts=hash")

    assert "GET /.well-known/jwks.json" in text
    assert re.search(r"Business  http://127.0.0.1:\d+/business   logs in by receipt alone", text)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_of_it_and_the_children_too(state: Path, number: signal.Signals) -> None:
    with up(state, "--json") as process:
        first_line(process)
        children = children_of(process.pid)
        assert len(children) >= 3
        assert state.exists()

        process.send_signal(number)

        assert process.wait(timeout=30) == 0
    assert not state.exists()
    wait_for(lambda: all(map(is_gone, children)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_the_start_ends_it_cleanly(state: Path, number: signal.Signals) -> None:
    with up(state, "--json") as process:
        wait_for(lambda: bool(children_of(process.pid)))
        children = children_of(process.pid)

        os.killpg(process.pid, number)  # as Ctrl-C in a terminal does
        out, error = process.communicate(timeout=30)

    assert (process.returncode, out, error) == (0, "", "")
    assert not state.exists()
    wait_for(lambda: all(map(is_gone, children)))


def test_no_child_outlives_a_stack_that_was_killed(state: Path) -> None:
    with up(state, "--json") as process:
        first_line(process)
        children = children_of(process.pid)

        process.kill()

    wait_for(lambda: all(map(is_gone, children)))


@pytest.mark.parametrize("name", ["api", "web", "platform", "aws"])
def test_a_port_in_use_is_one_line_and_exit_status_2(state: Path, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        status, line = fails(state, f"--{name}-port={port}")

    assert status == 2
    assert line == f"local: port {port} is in use; choose another with --{name}-port, 0 for any that is free"


def test_what_is_wrong_with_a_setting_is_one_line_and_exit_status_2(state: Path, tmp_path: Path) -> None:
    broken = tmp_path / "secrets.json"
    broken.write_text('{"privateKey": "c2VjcmV0", "platformPublicKey": "x", "appKey": "y"}')

    assert fails(state, "--app-id=12ab")[0] == 2
    assert fails(state, "--platform-url=p.example")[0] == 2
    status, line = fails(state, f"--secrets={broken}")
    assert status == 2
    assert line.startswith(f"local: {broken}: privateKey: ")
    assert "c2VjcmV0" not in line


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_what_is_no_port_is_a_usage_error(state: Path, port: str) -> None:
    with up(state, f"--api-port={port}") as process:
        _, error = process.communicate(timeout=30)

    assert process.returncode == 2
    assert "--api-port" in error


def test_the_state_is_for_its_owner_and_holds_no_secret(state: Path, tmp_path: Path) -> None:
    own, platform = CustomerKeys.fresh(), CustomerKeys.fresh()
    file = tmp_path / "secrets.json"
    file.write_text(
        json.dumps(
            {"privateKey": own.private_key, "platformPublicKey": platform.public_key, "appKey": own.app_key}
        )
    )

    with up(state, "--json", f"--secrets={file}") as process:
        first_line(process)
        text = state.read_text()
        mode = stat.S_IMODE(state.stat().st_mode)
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=30)

    assert mode == 0o600
    content = json.loads(text)
    assert content["pid"] == process.pid
    assert content["customerPublicKey"] == own.public_key
    assert set(content["secretIds"]) == {"SIGNING_SECRET_ID", "VERIFICATION_SECRET_ID", "PEPPER_SECRET_ID"}
    assert "the simulator keeps its own key pair" in error
    for written in (text, out, error):
        assert own.private_key[:40] not in written
        assert own.app_key not in written


def test_a_second_stack_leaves_the_state_to_the_first_and_says_so(state: Path) -> None:
    with up(state, "--json") as first:
        page = json.loads(first_line(first))["page"]
        written = state.read_text()
        with up(state, "--json") as second:
            first_line(second)
            assert state.read_text() == written

            second.send_signal(signal.SIGTERM)
            _, error = second.communicate(timeout=30)

        assert second.returncode == 0
        assert error.count("\n") == 1
        assert f"another stack runs already, its page at {page};" in error
        assert "--state FILE" in error
        assert state.read_text() == written
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=30) == 0
    assert not state.exists()


def test_two_stacks_that_start_at_once_leave_one_of_them_written_down(state: Path) -> None:
    with up(state, "--json") as first, up(state, "--json") as second:
        pages = {process: json.loads(first_line(process))["page"] for process in (first, second)}
        kept = json.loads(state.read_text())["pid"]
        other = first if kept == second.pid else second

        other.send_signal(signal.SIGTERM)
        _, error = other.communicate(timeout=30)

        assert json.loads(state.read_text())["pid"] == kept
        assert next(page for process, page in pages.items() if process is not other) in error


def test_what_a_killed_stack_has_left_behind_is_taken_over(state: Path) -> None:
    with up(state, "--json") as first:
        first_line(first)
        first.kill()
        first.wait()
        with up(state, "--json") as second:
            first_line(second)
            assert json.loads(state.read_text())["pid"] == second.pid
            second.send_signal(signal.SIGTERM)
            assert second.communicate(timeout=30)[1] == ""


@pytest.mark.parametrize("left", ["{", "[]", "{}", '{"pid": "x", "aws": 7, "page": "p"}'])
def test_what_is_no_state_is_taken_over(state: Path, left: str) -> None:
    state.parent.mkdir()
    state.write_text(left)
    with up(state, "--json") as process:
        first_line(process)
        assert json.loads(state.read_text())["pid"] == process.pid
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30)[1] == ""
