"""doctor and `keys rotate` on a running local stack: all in order, and each planted mistake found.

Mistakes are planted where they happen: in the stack's secrets, and in what the simulator's customer has
entered in the open platform.
"""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from cmpassport.keys import load_private_key, load_public_key
from local import ROOT, state
from local.aws import AwsCredentials
from local.environment import Pool
from local.keys import ReceiptNumber
from local.simulator import Simulator
from local.stack import Options, Stack
from tests.support.operator import APP_KEY, PLATFORM_KEY, PRIVATE, Run, Shown, runner
from tests.support.server import serving
from tests.support.stacks import client_of, embedded, phone_of
from tools.key_text import bare_public, fingerprint

PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Desk:
    """An operator's desk beside a running stack, and what is on the open platform."""

    stack: Stack
    state: Path
    secrets: Any
    """A client, of Secrets Manager."""

    @property
    def simulator(self) -> Simulator:
        assert self.stack.simulator is not None
        return self.stack.simulator

    @property
    def name(self) -> str:
        """The signing secret's name."""
        return self.stack.secret_ids["SIGNING_SECRET_ID"]

    def put(self, **members: str) -> None:
        self.secrets.put_secret_value(SecretId=self.name, SecretString=json.dumps(members))

    def content(self, label: str = "AWSCURRENT") -> Any:
        value = self.secrets.get_secret_value(SecretId=self.name, VersionStage=label)
        return json.loads(value["SecretString"])

    def key(self, label: str = "AWSCURRENT") -> str:
        """Return the public half of the signing key under a label."""
        return bare_public(load_private_key(self.content(label)["privateKey"]).public_key())

    def labels(self) -> dict[str, str]:
        """Return the signing secret's versions by their labels."""
        versions = self.secrets.describe_secret(SecretId=self.name)["VersionIdsToStages"]
        return {label: version for version, held in versions.items() for label in held}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A stack with receipts, whose functions read their secrets each second."""
    folder = tmp_path_factory.mktemp("tools")
    with embedded(Options(receipts=ReceiptNumber.HASH, warm=frozenset())) as stack:
        quick = dict[str, Pool]()
        for name, pool in stack.functions.items():
            pool.stop()
            variables = {**pool.function.variables, "SECRET_MAX_AGE_SECONDS": "1"}
            quick[name] = Pool(replace(pool.function, variables=variables), 1, folder / name)
        stack.functions = quick
        state.write(folder / "stack.json", stack)
        yield Desk(stack, folder / "stack.json", client_of(stack, "secretsmanager"))
        for pool in stack.functions.values():
            pool.stop()


@pytest.fixture
def desk(running: Desk) -> Iterator[Desk]:
    """The stack with one version of a key that the platform knows, and no rotation under way."""
    customer = running.simulator.customer
    running.put(privateKey=running.stack.keys.private_key)
    labels = running.labels()
    for label in {*labels} - {"AWSCURRENT"}:
        version = {"VersionStage": label, "RemoveFromVersionId": labels[label]}
        running.secrets.update_secret_version_stage(SecretId=running.name, **version)
    yield running
    running.simulator.customer = customer


@pytest.fixture
def run(desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs a command on the stack."""
    for name, value in AwsCredentials().variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", desk.stack.aws)
    return runner(monkeypatch, capsys)


# doctor.


def test_a_running_stack_is_in_order_and_a_probe_alone_is_sent(desk: Desk, run: Run) -> None:
    def asked() -> list[str]:
        entries = desk.simulator.journal.entries()
        return [entry["resultCode"] for entry in entries if entry["name"] == "verify"]

    pages = ("--page", f"{desk.stack.page}/?from=sms", "--page", f"{desk.stack.page}/#/login")
    answers = iter((b"<html></html>", b"198.51.100.7\n"))
    with serving(lambda _, start: (start("200 OK", []), [next(answers)])[1]) as service:
        doctor = ("doctor", "--state", desk.state, "--address-service", service)
        unasked, before = run(*doctor, "--lang", "zh"), asked()
        shown = run(*doctor, "--probe", *pages)

    assert (unasked.code, "没有发送探测" in unasked.words, shown.code) == (0, True, 0)
    assert asked() == [*before, "120020"]
    assert not re.search("^ *[✗!·]", shown.out, re.MULTILINE)
    assert "The platform refuses the made-up token alone (120020)" in shown.words
    assert f"referer): {desk.stack.page}/ 请求来源 (origin): {desk.stack.page} " in shown.words
    assert f"(public key): {desk.stack.keys.public_key} " in shown.words
    assert ("198.51.100.7" in unasked.words, "(white list): 198.51.100.7 " in shown.words) == (False, True)
    assert "has the key that signs" in shown.words
    assert desk.stack.keys.app_key not in shown.words


# keys rotate.


@pytest.fixture
def step(desk: Desk, run: Run) -> Callable[..., Shown]:
    """Take a step of a rotation."""
    return lambda name, *more: run("keys", "rotate", "--step", name, "--state", desk.state, *more)


@pytest.fixture
def _aged() -> None:
    """Let the secrets that functions have read grow old: what a rotation asks first reads the new key."""
    time.sleep(1.1)


@pytest.mark.usefixtures("_aged")
def test_a_rotation_there_and_done_and_back_to_the_key_that_is_named(desk: Desk, step: Any) -> None:
    former = desk.key()
    desk.put(**desk.content(), note="made in 2026")

    prepared, again = step("prepare"), step("prepare")
    new = desk.key("AWSPENDING")
    assert (prepared.code, again.code, desk.key()) == (0, 0, former)
    assert all(new in each.out.splitlines() for each in (prepared, again))
    assert desk.content("AWSPENDING")["note"] == "made in 2026"
    assert "keys rotate --step switch --state" in prepared.words

    desk.simulator.customer = replace(desk.simulator.customer, public_key=new)
    assert (step("switch").code, step("switch").code, desk.key()) == (0, 0, new)
    done = step("verify")
    assert (done.code, "the rotation is done" in done.words) == (0, True), done.words
    assert ({*desk.labels()}, desk.key("AWSPREVIOUS")) == ({"AWSCURRENT", "AWSPREVIOUS"}, former)
    phone = phone_of(desk.stack)
    assert phone.verify(phone.sim, phone.ticket()).status == 200

    digest = fingerprint(load_public_key(former))
    asked, another = step("rollback"), step("rollback", "--to", "0" * 64)
    assert (asked.code, another.code, desk.key()) == (2, 2, new)
    assert f"--step rollback --to {digest}" in asked.words
    for _ in range(2):  # again: nothing more
        back = step("rollback", "--to", digest)
        assert (back.code, desk.key(), former in back.out.splitlines()) == (0, former, True)


def test_the_deployment_says_which_secret_is_rotated(desk: Desk, step: Any, run: Run) -> None:
    text = json.dumps({"privateKey": PRIVATE})
    desk.secrets.create_secret(Name="another/signing", SecretString=text)
    arn = desk.secrets.describe_secret(SecretId=desk.name)["ARN"]

    other, own = (step("prepare", "--secret", each) for each in ("another/signing", arn))
    unnamed = run("keys", "rotate", "--step", "verify", "--secret", arn)

    assert (other.code, own.code, unnamed.code) == (2, 0, 2)
    assert "does not sign with one secret of that name" in other.words


@pytest.mark.usefixtures("_aged")
def test_an_operator_is_led_through_a_rotation_stops_goes_on_and_goes_back(desk: Desk, run: Run) -> None:
    former, rotate = desk.key(), ("keys", "rotate", "--state", desk.state)

    stopped = run(*rotate, given="yes\nno\n")
    new = desk.key("AWSPENDING")
    waited = list[float]()
    back = run(*rotate, given="yes\nrollback\n", sleep=waited.append)  # "saved", which is not so

    # In this order: which secret and for what comes before the first question.
    begun = r"Changing the key in secret.*there is a gap.*Make a new pair now\?.*A new key waits in.*"
    for shown, told in (
        (stopped, begun + r"saved it\? \[yes/no\] The functions still use the former key"),
        (back, r"saved it\?.*Switched.*The functions use the new key, which is not verified.*What now\?"),
    ):
        assert re.search(told, " ".join(shown.err.split())), shown.err
    assert (stopped.code, back.code, desk.key(), desk.key("AWSPENDING")) == (1, 0, former, new)
    assert new in stopped.out.splitlines()
    assert former in back.out.splitlines()
    assert ("The platform answers 130018" in back.words, waited) == (True, [11])

    for answer, code, left in (("no", 1, "AWSPENDING"), ("yes", 0, "AWSCURRENT")):
        asked = run(*rotate, "--step", "rollback", given=f"{answer}\n")
        assert (asked.code, "Forget the new key, which waits?" in asked.err) == (code, True)
        assert left in desk.labels()
    assert {*desk.labels()} == {"AWSCURRENT"}


# In a terminal.


def typed(answers: Iterable[tuple[str, str]], *arguments: object) -> tuple[int, str]:
    """Run a command in a terminal of its own, and type each answer after its question was shown."""
    terminal, other = pty.openpty()
    command = [sys.executable, "-m", "tools", *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdin=other, stdout=other, stderr=other) as process:
        os.close(other)
        shown, left = "", deque(answers)
        with suppress(OSError):  # Linux's way to say that the other end is closed
            while select.select([terminal], [], [], PATIENCE)[0] and (data := os.read(terminal, 65536)):
                shown += data.decode(errors="replace")
                if left and shown.endswith(left[0][0]):
                    os.write(terminal, left.popleft()[1].encode())
        os.close(terminal)
        return process.wait(PATIENCE), shown


@pytest.mark.usefixtures("run")
def test_keys_are_not_shown_while_they_are_typed(desk: Desk) -> None:
    pem = "-----BEGIN PUBLIC KEY-----\n" + PLATFORM_KEY + "\n-----END PUBLIC KEY-----"
    answers = (
        ("appKey (not shown): ", f"{APP_KEY}\n"),
        ("the platform's public key (平台公钥) (not shown): ", f"{pem}\n"),
    )

    code, shown = typed(answers, "keys", "put", "verification", "--secret", "typed")

    text = desk.secrets.get_secret_value(SecretId="typed")["SecretString"]
    assert (code, json.loads(text)) == (0, {"appKey": APP_KEY, "platformPublicKey": pem})
    assert APP_KEY not in shown
    assert PLATFORM_KEY[100:140] not in "".join(shown.split())
