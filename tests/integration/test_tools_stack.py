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
from tests.support.operator import APP_KEY, OTHER, PLATFORM_KEY, PRIVATE, PUBLIC, Run, Shown, replying, runner
from tests.support.planted import leaks
from tests.support.server import serving
from tests.support.stacks import client_of, embedded, phone_of
from tools.key_text import bare_private, bare_public, fingerprint

PATIENCE: Final = 60.0
SIGNING, VERIFICATION = "SIGNING_SECRET_ID", "VERIFICATION_SECRET_ID"
META: Final = b'<!doctype html><html><head><META CONTENT="always" name="referrer"></head></html>'


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

    def put(self, variable: str, text: str) -> None:
        self.secrets.put_secret_value(SecretId=self.stack.secret_ids[variable], SecretString=text)

    def text(self, variable: str, label: str = "AWSCURRENT") -> str:
        value = self.secrets.get_secret_value(SecretId=self.stack.secret_ids[variable], VersionStage=label)
        return str(value["SecretString"])

    def key(self, label: str = "AWSCURRENT") -> str:
        """Return the public half of the signing key under a label."""
        private = json.loads(self.text(SIGNING, label))["privateKey"]
        return bare_public(load_private_key(private).public_key())

    def versions(self) -> dict[str, list[str]]:
        """Return the labels of the signing secret's versions."""
        versions: dict[str, list[str]] = self.secrets.describe_secret(
            SecretId=self.stack.secret_ids[SIGNING]
        )["VersionIdsToStages"]
        return versions

    def labels(self) -> set[str]:
        return {label for held in self.versions().values() for label in held}

    def paste(self, **entries: Any) -> None:
        """Enter something on the open platform."""
        self.simulator.customer = replace(self.simulator.customer, **entries)

    def reset(self) -> None:
        """Have one version of a key that the platform knows, and no rotation under way."""
        self.put(SIGNING, json.dumps({"privateKey": self.stack.keys.private_key}))
        for version, labels in self.versions().items():
            for label in {*labels} - {"AWSCURRENT"}:
                self.secrets.update_secret_version_stage(
                    SecretId=self.stack.secret_ids[SIGNING], VersionStage=label, RemoveFromVersionId=version
                )
        self.simulator.faults.clear()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A stack with receipts, whose functions read their secrets each second."""
    folder = tmp_path_factory.mktemp("tools")
    with embedded(Options(receipts=ReceiptNumber.HASH, warm=frozenset())) as stack:
        stack.functions = {name: _quick(pool, folder / name) for name, pool in stack.functions.items()}
        state.write(folder / "stack.json", stack)
        yield Desk(stack, folder / "stack.json", client_of(stack, "secretsmanager"))
        for pool in stack.functions.values():
            pool.stop()


def _quick(pool: Pool, log: Path) -> Pool:
    variables = {**pool.function.variables, "SECRET_MAX_AGE_SECONDS": "1"}
    pool.stop()
    return Pool(replace(pool.function, variables=variables), 1, log)


@pytest.fixture
def desk(running: Desk) -> Iterator[Desk]:
    """The stack as it was started; what a test changes is put back."""
    texts = {variable: running.text(variable) for variable in running.stack.secret_ids}
    customer = running.simulator.customer
    running.reset()
    yield running
    running.simulator.customer = customer
    for variable, text in texts.items():
        if running.text(variable) != text:
            running.put(variable, text)


@pytest.fixture
def run(desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on the stack; nothing of a secret is ever shown."""
    for name, value in AwsCredentials().variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", desk.stack.aws)
    command = runner(monkeypatch, capsys)

    def watched(*arguments: object, **more: Any) -> Shown:
        shown = command(*arguments, **more)
        private = "".join(re.findall("MI[A-Za-z0-9+/]{900,}", desk.text(SIGNING))) or "-" * 99
        assert not leaks(
            shown.out + shown.err, {private[:64], desk.stack.keys.app_key, bare_private(OTHER)[:64]}
        )
        return shown

    return watched


@pytest.fixture
def doctor(desk: Desk, run: Run) -> Run:
    return lambda *arguments, **more: run("doctor", "--state", desk.state, *arguments, **more)


def marked(shown: Shown, mark: str) -> list[str]:
    return [line.strip() for line in shown.out.splitlines() if line.strip().startswith(mark)]


# doctor.


def test_a_running_stack_is_all_in_order_and_the_probe_too(desk: Desk, doctor: Run) -> None:
    table = client_of(desk.stack, "dynamodb")
    before = table.scan(TableName=desk.stack.table_name)["Count"]

    shown = doctor(
        "--probe", "--page", f"{desk.stack.page}/?from=sms", "--page", f"{desk.stack.page}/#/login"
    )

    assert shown.code == 0
    assert (marked(shown, "✗"), marked(shown, "!"), marked(shown, "·")) == ([], [], [])
    assert "The platform refuses the made-up token alone (120020)" in shown.words
    assert f"referer): {desk.stack.page}/ 请求来源 (origin): {desk.stack.page} " in shown.words
    assert f"(public key): {desk.stack.keys.public_key} " in shown.words
    assert "has the key that signs" in shown.words
    assert table.scan(TableName=desk.stack.table_name)["Count"] == before
    asked = [entry for entry in desk.simulator.journal.entries() if entry["name"] == "verify"]
    assert asked[-1]["resultCode"] == "120020"


def test_without_probe_the_platform_is_not_asked_and_chinese_is_spoken(desk: Desk, doctor: Run) -> None:
    asked = len(desk.simulator.journal.entries())

    shown = doctor("--lang", "zh")

    assert shown.code == 0
    assert "没有发送探测" in shown.words
    new = desk.simulator.journal.entries()[asked:]
    assert "verify" not in {entry["name"] for entry in new}


@pytest.mark.parametrize(
    ("entries", "said", "fix"),
    [
        ({"addresses": frozenset({"10.9.9.9"})}, "answers 110004", "EgressAddresses"),
        ({"app_key": "0" * 32}, "answers 130016", "keys check"),
        ({"public_key": PUBLIC}, "answers 130018", "keys check --public FILE"),
        ({"resultCode": "110025"}, "answers 110025", "Check the capability's end date"),
        ({"resultCode": "000"}, "A made-up token got a verdict (000)", "what answers is not the platform"),
        ({"resultCode": "424242"}, "answers 424242, which no table has", "explain 424242"),
        ({"resultCode": "121011"}, "", "no reason to roll back"),
        ({"fault": "html"}, "no answer of its protocol", "finds the call by its msgId"),
    ],
)
def test_what_is_wrong_on_the_platforms_side_is_what_the_probe_finds(
    desk: Desk, doctor: Run, entries: dict[str, Any], said: str, fix: str
) -> None:
    if entries.keys() & {"resultCode", "fault"}:
        desk.simulator.faults.arm({"fault": "resultCode", **entries, "times": 1})
    else:
        desk.paste(**entries)

    shown = doctor("--probe")

    assert (shown.code, len(marked(shown, "✗"))) == ((1, 1) if said else (0, 0))
    assert said in shown.words
    assert fix in shown.words


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        (SIGNING, json.dumps({"privateKey": PRIVATE}), "The halves are not a pair"),
        (VERIFICATION, json.dumps({"appKey": APP_KEY}), "platformPublicKey is missing"),
        ("PEPPER_SECRET_ID", "planted-pepper-0123456789", "fewer than 32 characters"),
        ("RECEIPT_SECRET_ID", "{}", "every verdict would be refused"),
        ("reported", PUBLIC, "The halves are not a pair"),
    ],
)
def test_a_wrong_secret_or_reported_key_is_found(
    desk: Desk, doctor: Run, variable: str, text: str, said: str
) -> None:
    reported = variable == "reported"
    if not reported:
        desk.put(variable, text)

    shown = doctor(*(("--public", "-") if reported else ()), given=text)

    assert (shown.code, said in shown.words, len(marked(shown, "✗"))) == (1, True, 1)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html></html>", "no referrer policy"),
        (200, META + b"<meta name=referrer content=no-referrer>", "or another one"),
        (200, META, "whole address go out"),
        (302, b"", "a redirection (302)"),
        (404, b"", "HTTP 404"),
    ],
)
def test_a_page_is_held_against_the_guides_rules(doctor: Run, status: int, body: bytes, said: str) -> None:
    with serving(replying(status, body)) as elsewhere:
        shown = doctor("--page", f"{elsewhere}/a/mobile.html?x#y", "--address-service", elsewhere)

    assert said in shown.words
    assert f"its origin {elsewhere} is not among the allowed ones" in shown.words


def test_wrong_use_is_told(run: Run) -> None:
    for arguments, said in (
        (("doctor", "--state", "/no/such/file"), "python -m local up"),
        (("doctor", "--page", "www.abc.com"), "https://www.abc.com/a/mobile.html"),
        (("doctor", "--stack", ""), "empty or not a stack's name"),
        (("doctor", "--stack", "a", "--state", "b"), "not allowed with argument"),
        (("keys", "rotate"), "nothing was entered"),
    ):
        shown = run(*arguments, given="\n")
        assert (shown.code, shown.out, said in shown.words) == (2, "", True), shown


# keys rotate.


@pytest.fixture
def step(desk: Desk, run: Run) -> Callable[..., Shown]:
    """Take a step; the pauses of a verification are as long as a secret lasts here."""

    def take(name: str, *options: str) -> Shown:
        where = ("--state", desk.state)
        return run("keys", "rotate", "--step", name, *where, *options, sleep=lambda _: time.sleep(0.3))

    return take


def test_a_rotation_there_and_done_and_back_to_the_key_that_is_named(desk: Desk, step: Any) -> None:
    former = desk.key()
    desk.put(SIGNING, json.dumps({**json.loads(desk.text(SIGNING)), "note": "made in 2026"}))

    prepared, again = step("prepare"), step("prepare")
    new = desk.key("AWSPENDING")
    assert (prepared.code, again.code, desk.key()) == (0, 0, former)
    assert new in prepared.out.splitlines()
    assert new in again.out.splitlines()
    assert json.loads(desk.text(SIGNING, "AWSPENDING"))["note"] == "made in 2026"
    assert "keys rotate --step switch --state" in prepared.words

    desk.paste(public_key=new)
    assert (step("switch").code, step("switch").code, desk.key()) == (0, 0, new)
    done = step("verify")
    assert (done.code, "the rotation is done" in done.words) == (0, True), done.words
    assert (desk.labels(), desk.key("AWSPREVIOUS")) == ({"AWSCURRENT", "AWSPREVIOUS"}, former)
    phone = phone_of(desk.stack)
    assert phone.verify(phone.sim, phone.ticket()).status == 200

    digest = fingerprint(load_public_key(former))
    asked = step("rollback")
    assert (asked.code, f"--step rollback --to {digest}" in asked.words) == (2, True)
    assert step("rollback", "--to", "0" * 64).code == 2
    assert desk.key() == new
    for _ in range(2):  # again: nothing more
        back = step("rollback", "--to", digest)
        assert (back.code, desk.key(), former in back.out.splitlines()) == (0, former, True)


def test_a_key_that_the_platform_does_not_know_is_taken_back_and_forgotten(desk: Desk, step: Any) -> None:
    former = desk.key()
    step("prepare")
    new = desk.key("AWSPENDING")
    step("switch")

    refused = step("verify")
    assert refused.code == 1
    assert "130018" in refused.words
    assert "--step rollback" in refused.words
    assert "AWSPENDING" in desk.labels()

    assert (step("rollback").code, desk.key(), desk.key("AWSPENDING")) == (0, former, new)
    assert (step("rollback").code, desk.labels()) == (0, {"AWSCURRENT"})
    third = step("rollback")
    assert (third.code, desk.key()) == (1, former)
    assert "no former key to go back to" in third.words


def test_the_deployment_says_which_secret_is_rotated(desk: Desk, run: Run) -> None:
    client = desk.secrets
    client.create_secret(Name="another/signing", SecretString=json.dumps({"privateKey": PRIVATE}))
    prepare = ("keys", "rotate", "--step", "prepare")

    other = run(*prepare, "--secret", "another/signing", "--state", desk.state)
    arn = client.describe_secret(SecretId=desk.stack.secret_ids[SIGNING])["ARN"]
    own = run(*prepare, "--secret", arn, "--state", desk.state)
    unnamed = run(*prepare[:3], "verify", "--secret", arn)

    assert (other.code, own.code, unnamed.code) == (2, 0, 2)
    assert "signs with another secret" in other.words


def test_an_operator_is_led_through_a_rotation_stops_goes_on_and_goes_back(desk: Desk, run: Run) -> None:
    former, rotate = desk.key(), ("keys", "rotate", "--state", desk.state)

    stopped = run(*rotate, given="yes\nno\n")
    new = desk.key("AWSPENDING")
    back = run(*rotate, given="yes\nrollback\n")  # "saved", which is not so

    for told in (  # in this order: which secret, where and for what comes before the first question
        (
            "Changing the key in secret",
            "there is a gap",
            "Make a new pair now? [yes/no]",
            "A new key waits in",
        ),
        ("Has the open platform saved it? [yes/no]", "The functions still use the former key"),
    ):
        assert re.search(".*".join(map(re.escape, told)), stopped.err, re.DOTALL), stopped.err
    asked = (
        "Has the open platform saved it?",
        "Switched",
        "The platform has another key",
        "What now? [again/",
    )
    assert re.search(".*".join(map(re.escape, asked)), back.err, re.DOTALL), back.err
    assert (stopped.code, back.code, desk.key(), desk.key("AWSPENDING")) == (1, 0, former, new)
    assert new in stopped.out.splitlines()
    assert former in back.out.splitlines()


# In a terminal.


def typed(answers: Iterable[tuple[str, bytes]], *arguments: object) -> tuple[int, str]:
    """Run a command in a terminal of its own, and type each answer after its question was shown."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "tools", *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    ) as process:
        os.close(slave)
        shown, left = "", deque(answers)
        with suppress(OSError):  # Linux's way to say that the other end is closed
            while select.select([master], [], [], PATIENCE)[0] and (data := os.read(master, 65536)):
                shown += data.decode(errors="replace")
                if left and shown.endswith(left[0][0]):
                    os.write(master, left.popleft()[1])
        if left:
            process.kill()
        os.close(master)
        return process.wait(PATIENCE), shown


@pytest.mark.usefixtures("run")
def test_keys_are_not_shown_while_they_are_typed_and_ctrl_d_ends_quietly(desk: Desk) -> None:
    pem = "-----BEGIN PUBLIC KEY-----\n" + PLATFORM_KEY + "\n-----END PUBLIC KEY-----"
    put = ("keys", "put", "verification", "--secret")
    app_key, platform_key = "appKey (not shown): ", "the platform's public key (平台公钥) (not shown): "

    stored = typed([(app_key, f"{APP_KEY}\n".encode()), (platform_key, f"{pem}\n".encode())], *put, "typed")
    ended = typed([(app_key, b"\x04")], *put, "ended")

    text = desk.secrets.get_secret_value(SecretId="typed")["SecretString"]
    assert json.loads(text) == {"appKey": APP_KEY, "platformPublicKey": pem}
    assert (stored[0], ended[0]) == (0, 2)
    assert APP_KEY not in stored[1]
    assert PLATFORM_KEY[100:140] not in "".join(stored[1].split())
    assert "the input ended" in ended[1]
