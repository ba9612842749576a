"""`keys rotate` on a running stack: step by step, there and back, and led through it in a terminal."""

import argparse
import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from cmpassport.keys import load_private_key, load_public_key
from local import ROOT, state
from local.aws import AwsCredentials
from local.environment import Pool
from local.keys import CustomerKeys
from local.stack import Options, Stack
from tests.support import openssl
from tests.support.stacks import client_of, embedded, phone_of
from tools.__main__ import main
from tools.clock import Clock
from tools.keys.pairs import bare_public, fingerprint
from tools.keys.probe import Outcome, probe

PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Desk:
    """An operator's desk beside a running stack, and what is on the open platform."""

    stack: Stack
    state: Path

    @property
    def secret(self) -> str:
        return self.stack.secret_ids["SIGNING_SECRET_ID"]

    def begin(self) -> None:
        """Have one version in the secret, with a fresh key that the platform knows."""
        client, keys = client_of(self.stack, "secretsmanager"), CustomerKeys.fresh()
        text = json.dumps({"privateKey": keys.private_key})
        version = client.put_secret_value(SecretId=self.secret, SecretString=text)["VersionId"]
        for label in ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"):
            held = client.describe_secret(SecretId=self.secret)["VersionIdsToStages"]
            for other in (each for each, labels in held.items() if each != version and label in labels):
                client.update_secret_version_stage(
                    SecretId=self.secret, VersionStage=label, RemoveFromVersionId=other
                )
        self.paste(keys.public_key)

    def step(self, name: str, *options: str) -> int:
        """Take a step; a verification is the stack's own."""
        where = [*options, *(["--state", str(self.state)] if name == "verify" else [])]
        return main(["keys", "rotate", "--step", name, "--secret", self.secret, *where])

    def private(self, label: str) -> str:
        client = client_of(self.stack, "secretsmanager")
        text = client.get_secret_value(SecretId=self.secret, VersionStage=label)["SecretString"]
        return str(json.loads(text)["privateKey"])

    def key(self, label: str) -> str:
        """Give the public half of the key under a label."""
        return bare_public(load_private_key(self.private(label)).public_key())

    def labels(self) -> set[str]:
        versions = client_of(self.stack, "secretsmanager").describe_secret(SecretId=self.secret)
        return {label for held in versions["VersionIdsToStages"].values() for label in held}

    def paste(self, public_key: str) -> None:
        """Put a public half into the open platform."""
        assert self.stack.simulator is not None
        self.stack.simulator.customer = replace(self.stack.simulator.customer, public_key=public_key)

    def log_in(self) -> int:
        """Have a phone log in; gives the API's status."""
        phone = phone_of(self.stack)
        status: int = phone.verify(phone.sim, phone.ticket()).status
        return status


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A stack whose functions read their secrets each second."""
    folder = tmp_path_factory.mktemp("rotation")
    with embedded(Options(warm=frozenset())) as stack:
        stack.functions = {name: quick(pool, folder / name) for name, pool in stack.functions.items()}
        state.write(folder / "stack.json", stack)
        yield Desk(stack, folder / "stack.json")
        for pool in stack.functions.values():
            pool.stop()


@pytest.fixture
def desk(running: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The stack with a key of its own, and no rotation under way."""
    running.begin()
    for name, value in AwsCredentials().variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", running.stack.aws)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "cn-north-1")
    return running


def quick(pool: Pool, log: Path) -> Pool:
    """Have a function's secrets grow old in a second, not in five minutes."""
    variables = {**pool.function.variables, "SECRET_MAX_AGE_SECONDS": "1"}
    pool.stop()
    return Pool(replace(pool.function, variables=variables), 1, log)


def test_a_prepared_key_changes_nothing_for_the_functions(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    former = desk.key("AWSCURRENT")

    assert desk.step("prepare") == 0

    shown = capsys.readouterr()
    assert desk.key("AWSCURRENT") == former
    assert desk.key("AWSPENDING") in shown.out.splitlines()
    assert desk.private("AWSPENDING")[40:80] not in shown.out + shown.err
    assert "keys rotate --step switch --secret" in shown.err
    assert "SECRET_MAX_AGE_SECONDS" in shown.err


def test_preparing_again_shows_the_same_key(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.step("prepare")
    first = capsys.readouterr().out

    assert desk.step("prepare") == 0

    assert capsys.readouterr().out == first


def test_what_else_the_secret_holds_stays(desk: Desk) -> None:
    client = client_of(desk.stack, "secretsmanager")
    content = {"privateKey": desk.private("AWSCURRENT"), "note": "made in 2026"}
    client.put_secret_value(SecretId=desk.secret, SecretString=json.dumps(content))

    desk.step("prepare")

    text = client.get_secret_value(SecretId=desk.secret, VersionStage="AWSPENDING")["SecretString"]
    assert json.loads(text)["note"] == "made in 2026"


def test_a_rotation_there_and_done(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    former = desk.key("AWSCURRENT")
    desk.step("prepare")
    new = desk.key("AWSPENDING")
    desk.paste(new)

    assert desk.step("switch") == 0
    assert desk.key("AWSCURRENT") == new
    assert desk.step("switch") == 0  # again: nothing more
    assert desk.key("AWSCURRENT") == new
    assert wait_for(lambda: desk.step("verify"), 0)

    assert desk.labels() == {"AWSCURRENT", "AWSPREVIOUS"}
    assert desk.key("AWSPREVIOUS") == former
    assert "the rotation is done" in capsys.readouterr().out
    assert wait_for(desk.log_in, 200)


def test_a_key_that_the_platform_does_not_know_is_not_verified_and_is_taken_back(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    former = desk.key("AWSCURRENT")
    desk.step("prepare")
    new = desk.key("AWSPENDING")
    desk.step("switch")

    assert desk.step("verify") == 1
    shown = capsys.readouterr()
    assert "130018" in shown.out
    assert "--step rollback" in shown.err
    assert "AWSPENDING" in desk.labels()

    assert desk.step("rollback") == 0
    assert desk.key("AWSCURRENT") == former
    assert former in capsys.readouterr().out.splitlines()
    assert desk.key("AWSPENDING") == new
    assert wait_for(desk.log_in, 200)


def test_a_second_step_back_forgets_the_new_key_and_a_third_changes_nothing(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    former = desk.key("AWSCURRENT")
    desk.step("prepare")
    desk.step("switch")
    desk.step("rollback")
    capsys.readouterr()

    assert desk.step("rollback") == 0
    assert former in capsys.readouterr().out.splitlines()
    assert desk.labels() == {"AWSCURRENT"}

    assert desk.step("rollback") == 1
    assert desk.key("AWSCURRENT") == former
    assert desk.labels() == {"AWSCURRENT"}
    shown = capsys.readouterr()
    assert "go back to the former key" not in shown.out
    assert "no former key to go back to" in " ".join(shown.err.split())


def test_a_rotation_that_is_done_is_taken_back_to_the_key_that_is_named(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    former = desk.key("AWSCURRENT")
    desk.step("prepare")
    new = desk.key("AWSPENDING")
    desk.paste(new)
    desk.step("switch")
    assert wait_for(lambda: desk.step("verify"), 0)
    capsys.readouterr()

    assert desk.step("rollback") == 2
    assert desk.key("AWSCURRENT") == new
    words = " ".join(capsys.readouterr().err.split())
    digest = fingerprint(load_public_key(former))
    assert f"--step rollback --to {digest}" in words

    for _ in range(2):  # again: nothing more
        assert desk.step("rollback", "--to", digest) == 0
        assert desk.key("AWSCURRENT") == former
        assert former in capsys.readouterr().out.splitlines()


def test_a_key_that_no_label_has_is_not_gone_back_to(desk: Desk) -> None:
    desk.step("prepare")
    desk.paste(desk.key("AWSPENDING"))
    desk.step("switch")
    assert wait_for(lambda: desk.step("verify"), 0)
    new = desk.key("AWSCURRENT")

    assert desk.step("rollback", "--to", "0" * 64) == 2

    assert desk.key("AWSCURRENT") == new


@pytest.mark.parametrize(
    ("taken", "step", "said"),
    [
        ((), "switch", "no rotation is under way"),
        ((), "verify", "no rotation is under way"),
        ((), "rollback", "no former key"),
        (("prepare",), "verify", "a new key waits"),
        (("prepare", "switch"), "prepare", "nobody has seen yet"),
    ],
)
def test_a_step_out_of_turn_changes_nothing_and_says_how_far_it_is(
    desk: Desk, taken: tuple[str, ...], step: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in taken:
        desk.step(name)
    before = (desk.key("AWSCURRENT"), desk.labels())
    capsys.readouterr()

    assert desk.step(step) in {1, 2}

    assert (desk.key("AWSCURRENT"), desk.labels()) == before
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_key_that_is_none_does_not_become_the_functions(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    former = desk.key("AWSCURRENT")
    client_of(desk.stack, "secretsmanager").put_secret_value(
        SecretId=desk.secret, SecretString='{"privateKey": "MIIE"}', VersionStages=["AWSPENDING"]
    )

    assert desk.step("switch") == 1

    assert desk.key("AWSCURRENT") == former
    assert "no good key under AWSPENDING" in " ".join(capsys.readouterr().err.split())


def test_a_verification_of_nothing_in_particular_is_wrong_use(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.step("prepare")
    desk.step("switch")

    assert main(["keys", "rotate", "--step", "verify", "--secret", desk.secret]) == 2

    assert "--stack NAME" in capsys.readouterr().err


def test_a_secret_that_the_deployment_does_not_use_is_not_rotated(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    text = json.dumps({"privateKey": CustomerKeys.fresh().private_key})
    client = client_of(desk.stack, "secretsmanager")
    client.create_secret(Name="another/signing", SecretString=text)

    where = ("--state", str(desk.state))
    assert main(["keys", "rotate", "--step", "prepare", "--secret", "another/signing", *where]) == 2

    assert "signs with another secret" in " ".join(capsys.readouterr().err.split())
    assert "AWSPENDING" not in str(client.describe_secret(SecretId="another/signing"))


def test_a_key_in_the_place_of_the_secrets_name_is_not_repeated(
    desk: Desk, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    key = desk.private("AWSCURRENT")
    (tmp_path / "d.env").write_text(f"SIGNING_SECRET_ID={key}\n")

    assert main(["keys", "rotate", "--step", "prepare", "--env", str(tmp_path / "d.env")]) == 1

    shown = "".join(capsys.readouterr())
    assert key[40:80] not in shown
    assert "have a key where the name" in " ".join(shown.split())


def test_the_deployment_says_which_secret_is_rotated(desk: Desk) -> None:
    arn = client_of(desk.stack, "secretsmanager").describe_secret(SecretId=desk.secret)["ARN"]
    for named in ((), ("--secret", arn), ("--secret", desk.secret)):
        assert main(["keys", "rotate", "--step", "prepare", "--state", str(desk.state), *named]) == 0

    assert "AWSPENDING" in desk.labels()


def test_a_platform_that_takes_another_key_has_verified_nothing(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same name in another account: the deployment reads a secret that is not the one rotated."""
    arguments = argparse.Namespace(
        stack=None, env=None, state=desk.state, secret=None, profile=None, region=None, clock=Clock()
    )
    other = load_public_key(CustomerKeys.fresh().public_key)

    assert wait_for(lambda: probe(arguments, load_public_key(desk.key("AWSCURRENT"))), Outcome.TAKEN)
    assert probe(arguments, other) is Outcome.NOT_TAKEN

    assert "another key" in capsys.readouterr().out


# In a terminal.


class Terminal:
    """A command in a terminal of its own: reads what it shows, types what is answered."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self.master = master
        self.process = process
        self.shown = ""
        self._seen = 0

    def wait_for(self, words: str) -> None:
        """Read until words are shown after those that were waited for last."""
        deadline = time.monotonic() + PATIENCE
        while (place := self._plain().find(words, self._seen)) < 0:
            assert time.monotonic() < deadline, self.shown
            assert self._read(), self.shown
        self._seen = place + len(words)

    def answer(self, text: str) -> None:
        os.write(self.master, f"{text}\n".encode())

    def end(self) -> int:
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _plain(self) -> str:
        return " ".join(self.shown.split())

    def _read(self) -> bool:
        if not select.select([self.master], [], [], PATIENCE)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)


@contextmanager
def terminal(*arguments: str) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "tools", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    ) as process:
        os.close(slave)
        try:
            yield Terminal(master, process)
        finally:
            process.kill()
            os.close(master)


def wait_for(look: Any, expected: object) -> bool:
    """Look again until it is as expected: functions have the new key within a second."""
    deadline = time.monotonic() + PATIENCE
    while look() != expected:
        if time.monotonic() > deadline:
            return False
    return True


def test_an_operator_is_led_through_a_rotation(desk: Desk) -> None:
    where = ("--secret", desk.secret, "--state", str(desk.state))
    with terminal("keys", "rotate", *where) as screen:
        screen.wait_for("there is a gap")
        screen.wait_for("Make a new pair now? [yes/no]")
        screen.answer("yes")
        screen.wait_for("Has the open platform saved it? [yes/no]")
        new = desk.key("AWSPENDING")
        assert new in screen.shown
        desk.paste(new)
        screen.answer("yes")
        screen.wait_for("sending a signed request")
        code = screen.end()

    assert "the rotation is done" in screen.shown
    assert code == 0
    assert desk.key("AWSCURRENT") == new
    assert desk.labels() == {"AWSCURRENT", "AWSPREVIOUS"}
    assert desk.private("AWSCURRENT")[40:80] not in screen.shown


def test_an_operator_who_stops_goes_on_where_it_was_left_and_may_go_back(desk: Desk) -> None:
    former = desk.key("AWSCURRENT")
    where = ("--secret", desk.secret, "--state", str(desk.state))
    with terminal("keys", "rotate", *where) as screen:
        screen.wait_for("Make a new pair now?")
        screen.answer("yes")
        screen.wait_for("Has the open platform saved it?")
        screen.answer("no")
        assert screen.end() == 1
    new = desk.key("AWSPENDING")

    with terminal("keys", "rotate", *where) as screen:
        screen.wait_for("waits in")
        screen.wait_for("Has the open platform saved it?")
        screen.answer("yes")  # which is not so
        screen.wait_for("The new key is not verified")
        screen.wait_for("What now? [again/rollback/stop]")
        assert desk.key("AWSCURRENT") == new
        screen.answer("rollback")
        assert screen.end() == 0

    assert desk.key("AWSCURRENT") == former
    assert former in screen.shown


def test_a_no_at_the_start_changes_nothing(desk: Desk) -> None:
    with terminal("keys", "rotate", "--state", str(desk.state)) as screen:
        screen.wait_for("Make a new pair now?")
        screen.answer("no")
        assert screen.end() == 1

    assert desk.labels() == {"AWSCURRENT"}


def test_an_app_key_is_not_shown_while_it_is_typed(desk: Desk) -> None:
    app_key = "AA03E6C60D0B0D14320B9A3F0B5AAD99"
    with terminal("keys", "put", "verification", "--secret", "typed") as screen:
        screen.wait_for("appKey (not shown)")
        screen.answer(app_key)
        screen.wait_for("the platform's public key")
        screen.answer(desk.key("AWSCURRENT"))
        assert screen.end() == 0

    assert app_key not in screen.shown
    text = client_of(desk.stack, "secretsmanager").get_secret_value(SecretId="typed")["SecretString"]
    assert json.loads(text)["appKey"] == app_key


def test_a_key_is_not_shown_while_it_is_pasted_in_one_line_or_as_a_whole_pem(desk: Desk) -> None:
    for name, key in (
        ("pasted/line", desk.key("AWSCURRENT")),
        ("pasted/pem", openssl.pem(desk.key("AWSCURRENT")).decode().strip()),
    ):
        with terminal("keys", "put", "verification", "--secret", name) as screen:
            screen.wait_for("appKey (not shown)")
            screen.answer("AA03E6C60D0B0D14320B9A3F0B5AAD99")
            screen.wait_for("the platform's public key")
            screen.answer(key)
            assert screen.end() == 0

        assert desk.key("AWSCURRENT")[100:140] not in "".join(screen.shown.split())
        text = client_of(desk.stack, "secretsmanager").get_secret_value(SecretId=name)["SecretString"]
        assert json.loads(text)["platformPublicKey"] == key


@pytest.mark.parametrize("question", ["appKey", "the platform's public key"])
def test_ctrl_d_at_a_question_is_no_mistake_of_the_tool(desk: Desk, question: str) -> None:
    del desk  # which is the AWS that it asks
    with terminal("keys", "put", "verification", "--secret", "ended") as screen:
        if question != "appKey":
            screen.wait_for("appKey (not shown)")
            screen.answer("AA03E6C60D0B0D14320B9A3F0B5AAD99")
        screen.wait_for(f"{question}")
        screen.wait_for("(not shown)")
        os.write(screen.master, b"\x04")
        assert screen.end() == 2

    assert "the input ended" in screen.shown
    assert "mistake of its own" not in screen.shown
