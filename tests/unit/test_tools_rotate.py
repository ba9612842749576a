"""How long a rotation's verification waits, what it makes of each outcome, and what is said after a kill."""

import argparse
import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from typing import Any, Final

import pytest

from cmpassport.keys import load_private_key
from tests.support.operator import OTHER, OWN
from tools.findings import ToolError, UseError
from tools.key_text import bare_public, fingerprint
from tools.keys import rotate
from tools.keys.pair import signing_text
from tools.keys.rotate import Rotation
from tools.messages import Language
from tools.output import Output
from tools.store import Description

OUTPUT: Final = Output(Language.ENGLISH, {})
FORMER: Final = bare_public(OWN.public_key())
TO_FORMER: Final = f"rollback {fingerprint(OWN.public_key())}"
ARGUMENTS: Final = {"secret": "shop/signing", "step": "verify", "stack": "shop", "state": None, "bits": 2048}


class KilledError(BaseException):
    """The process ends here."""


class FakeSecret:
    """A signing secret whose labels move as Secrets Manager moves them; dies after a number of writes."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        self.dies_after = 99
        self.put("shop/signing", signing_text(OWN), "AWSCURRENT")

    def describe(self, _: str) -> Description:
        return Description("arn", None, dict(self.labels))

    def read(self, _: str, label: str = "AWSCURRENT") -> str:
        return self.texts[self.labels[label]]

    def put(self, _: str, text: str, label: str) -> None:
        version = f"version {len(self.texts)}"
        self.texts[version] = text
        self.labels[label] = version
        self._written()

    def move(self, _: str, label: str, *, source: str, to: str | None = None) -> None:
        assert self.labels[label] == source
        if to is None:
            assert label != "AWSCURRENT"
            del self.labels[label]
        else:
            assert label == "AWSCURRENT"
            self.labels |= {"AWSPREVIOUS": source, "AWSCURRENT": to}
        self._written()

    def key(self) -> str:
        """Return the public half of the key that the functions use."""
        return bare_public(load_private_key(json.loads(self.read(""))["privateKey"]).public_key())

    def _written(self) -> None:
        self.dies_after -= 1
        if self.dies_after <= 0:
            raise KilledError


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the same new key at once, and a platform that takes it."""
    monkeypatch.setattr(rotate, "make_key", lambda *_: OTHER)
    monkeypatch.setattr(rotate, "look_for_faults", lambda *_: set())


def take(secret: Any, step: str, **more: Any) -> int:
    """Take a step; a refusal is printed, as the command line does."""
    name, _, to = step.partition(" ")
    arguments = argparse.Namespace(**{**ARGUMENTS, "step": name, "to": to or None, **more})
    run: Any = rotate._STEPS[name]  # noqa: SLF001 - the step without its command line
    try:
        code: int = run(Rotation.of(secret, "shop/signing"), arguments, OUTPUT)
    except ToolError as error:
        OUTPUT.fail(error.text)
        return error.exit_code
    return code


def switched() -> FakeSecret:
    secret = FakeSecret()
    for step in ("prepare", "switch"):
        take(secret, step)
    return secret


LAGS: Final = {"presign-signature"}


@pytest.mark.parametrize(
    ("outcomes", "pauses", "back"),
    [
        ([set()], 0, None),
        ([LAGS, LAGS, set()], 2, None),
        ([LAGS, {"130018"}], 1, True),
        ([{"121011"}], 0, False),  # a limit stands before the answer, which says nothing against the key
        ([LAGS] * 12, 11, False),  # a little longer than a secret lasts
    ],
)
def test_a_presign_that_lags_is_waited_for_and_a_key_that_is_refused_alone_is_taken_back(
    outcomes: list[set[str]],
    pauses: int,
    back: bool | None,  # noqa: FBT001 - a column of the table
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    secret, left, waited = switched(), iter(outcomes), list[float]()
    monkeypatch.setattr(rotate, "look_for_faults", lambda *_: next(left))
    capsys.readouterr()

    code = take(secret, "verify", sleep=waited.append)

    assert (code, waited, next(left, None)) == (0 if back is None else 1, [30] * pauses, None)
    assert ("AWSPENDING" in secret.labels) == (back is not None)
    assert ("rollback" in capsys.readouterr().err) == bool(back)


@pytest.mark.parametrize("answer", ["stop", None])
def test_a_failure_after_the_switch_says_where_one_stands_and_both_ways_on(
    answer: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> set[str]:
        raise ToolError("aws-unreachable", subject="AWS")

    def answered(*_: object) -> str:
        if answer is None:  # the terminal is gone
            raise UseError("input-ended")
        return answer

    secret: Any = switched()
    monkeypatch.setattr(rotate, "look_for_faults", fail)
    monkeypatch.setattr(Output, "ask", answered)

    with nullcontext() if answer else pytest.raises(UseError):
        rotate._guide(secret, argparse.Namespace(**ARGUMENTS), OUTPUT)  # noqa: SLF001

    said = " ".join(capsys.readouterr().err.split())
    assert "The functions use the new key since the switch, and the verification failed: AWS" in said
    assert "keys rotate --step verify" in said
    assert "keys rotate --step rollback" in said


@pytest.mark.parametrize(
    ("taken", "pending", "name", "said"),
    [
        ((), None, "switch", "no rotation is under way"),
        ((), None, "verify", "no rotation is under way"),
        (("prepare",), None, "verify", "a new key waits"),
        (("prepare", "switch"), None, "prepare", "nobody has seen yet"),
        ((), '{"privateKey": "MIIE"}', "switch", "no good key under AWSPENDING"),
    ],
)
def test_a_step_that_cannot_be_taken_changes_nothing_and_says_why(
    taken: tuple[str, ...], pending: str | None, name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = FakeSecret()
    for each in taken:
        take(secret, each)
    if pending:
        secret.put("", pending, "AWSPENDING")
    before = {**secret.labels}

    assert take(secret, name) > 0
    assert secret.labels == before
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_switch_that_names_no_stack_leads_on_to_a_verification_that_has_to(capsys: Any) -> None:
    secret = FakeSecret()
    take(secret, "prepare")
    take(secret, "switch", stack=None)

    assert "keys rotate --step verify --stack NAME`" in capsys.readouterr().err


# A kill between two calls of AWS.

CLAIMS: Final[Mapping[str, Callable[[FakeSecret], bool]]] = {
    "the functions use the former one": lambda secret: secret.key() == FORMER,
    "The functions go back to the former key": lambda secret: secret.key() == FORMER,
    "The functions use that key already": lambda secret: secret.key() == FORMER,
    "Switched:": lambda secret: secret.key() != FORMER,
    "the rotation is done": lambda secret: secret.key() != FORMER,
    "no rotation is under way": lambda secret: "AWSPENDING" not in secret.labels,
    "there is no former key": lambda secret: "AWSPREVIOUS" not in secret.labels,
    "ew key waits": lambda secret: secret.labels["AWSPENDING"] != secret.labels["AWSCURRENT"],
    "the functions use the new key,": lambda secret: secret.key() != FORMER,
}
"""What the steps say of the secret, and whether it is so."""
WALKS: Final = (
    ("prepare",),
    ("prepare", "switch"),
    ("prepare", "switch", "verify"),
    ("prepare", "rollback"),
    ("prepare", "switch", "rollback"),
    ("prepare", "switch", "rollback", "rollback"),
    ("prepare", "switch", "verify", TO_FORMER),
)


@pytest.mark.parametrize("following", ["prepare", "switch", "verify", "rollback", TO_FORMER])
@pytest.mark.parametrize("dies_after", [1, 2])
@pytest.mark.parametrize("walk", WALKS, ids=" ".join)
def test_what_is_said_after_a_kill_is_true(
    walk: tuple[str, ...], dies_after: int, following: str, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = FakeSecret()
    for step in walk[:-1]:
        take(secret, step)
    secret.dies_after = dies_after
    with suppress(KilledError):
        take(secret, walk[-1])
    secret.dies_after = 99
    capsys.readouterr()

    take(secret, following)

    out, err = capsys.readouterr()
    said = " ".join(f"{out} {err}".split())
    claims = {words: holds(secret) for words, holds in CLAIMS.items() if words in said}
    assert claims
    assert all(claims.values()), claims
    if following.startswith("rollback") and len(out.splitlines()) > 1:
        assert secret.key() in out.splitlines()


@pytest.mark.parametrize("dies_after", [1, 2])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_rollback_that_is_taken_until_nothing_is_left_ends_at_the_former_key(
    dies_after: int, times: int
) -> None:
    secret = switched()
    for _ in range(times):
        secret.dies_after = dies_after
        with suppress(KilledError):
            take(secret, "rollback")
    secret.dies_after = 99

    for _ in range(3):
        take(secret, "rollback")

    assert (secret.key(), {*secret.labels}) == (FORMER, {"AWSCURRENT"})
