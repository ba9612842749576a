"""How long a rotation's verification waits, what it makes of each outcome, and what is said after a kill."""

import argparse
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import pytest

from cmpassport.keys import load_private_key
from tests.support.operator import OTHER_SMALL, SMALL
from tools.findings import Finding, ToolError, fault, fine, warning
from tools.key_text import bare_public, fingerprint
from tools.keys import rotate
from tools.keys.rotate import Rotation
from tools.messages import Language
from tools.output import Output
from tools.secret_text import signing_text
from tools.store import Description

GOOD: Final = [fine("presign", origin="planted"), fine("probe")]
OUTPUT: Final = Output(Language.ENGLISH, {})
FORMER: Final = bare_public(SMALL.public_key())
TO_FORMER: Final = f"rollback {fingerprint(SMALL.public_key())}"
ARGUMENTS: Final = {"secret": "shop/signing", "step": "verify", "stack": "shop", "state": None, "bits": 2048}


class KilledError(BaseException):
    """The process ends here."""


class FakeSecret:
    """A signing secret whose labels move as Secrets Manager moves them; dies after a number of writes."""

    name = "shop/signing"

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        self.dies_after = 99
        self.put(signing_text(SMALL), "AWSCURRENT")

    def describe(self) -> Description:
        return Description("arn", None, dict(self.labels))

    def read(self, label: str = "AWSCURRENT") -> str:
        return self.texts[self.labels[label]]

    def put(self, text: str, label: str) -> None:
        version = f"version {len(self.texts)}"
        self.texts[version] = text
        self.labels[label] = version
        self._written()

    def move(self, label: str, *, source: str, to: str | None = None) -> None:
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
        return bare_public(load_private_key(json.loads(self.read())["privateKey"]).public_key())

    def _written(self) -> None:
        self.dies_after -= 1
        if self.dies_after <= 0:
            raise KilledError


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the same new key at once, and a platform that takes it."""
    monkeypatch.setattr(rotate, "make_key", lambda *_: OTHER_SMALL)
    monkeypatch.setattr(rotate, "look", lambda *_: GOOD)


def take(secret: Any, step: str, **more: Any) -> int:
    """Take a step; a refusal is printed, as the command line does."""
    name, _, to = step.partition(" ")
    arguments = argparse.Namespace(**{**ARGUMENTS, "step": name, "to": to or None, **more})
    run: Any = rotate._STEPS[name]  # noqa: SLF001 - the step without its command line
    try:
        code: int = run(Rotation.of(secret), arguments, OUTPUT)
    except ToolError as error:
        OUTPUT.fail(error.text)
        return error.exit_code
    return code


def switched() -> FakeSecret:
    secret = FakeSecret()
    for step in ("prepare", "switch"):
        take(secret, step)
    return secret


LAGS: Final = [fault("presign-signature"), GOOD[1]]
REFUSED: Final = [GOOD[0], fault("probe-refused", code="130018", said="planted")]
NEITHER: Final = [LAGS[0], REFUSED[1]]
LISTED: Final = [GOOD[0], fault("probe-refused", code="110004", said="planted")]
CORS: Final = fault("presign-cors", origin="planted")


@pytest.mark.parametrize(
    ("outcomes", "pauses", "code"),
    [
        ([GOOD], [], 0),
        ([LAGS, [CORS, *LAGS], GOOD], [30, 30], 0),
        ([NEITHER, LAGS, GOOD], [11, 30], 0),  # which was refused to the former key
        ([REFUSED, GOOD], [11], 0),
        ([REFUSED, REFUSED], [11], 1),
        ([LISTED], [], 1),
        ([[warning("probe-limit", code="121011"), GOOD[0]]], [], 1),
        ([[*GOOD, CORS]], [], 0),  # the key is good
        ([LAGS] * 12, [30] * 11, 1),  # a little longer than a secret lasts
    ],
)
def test_what_passes_by_itself_is_waited_for_and_the_key_alone_is_judged(
    outcomes: list[list[Finding]], pauses: list[int], code: int, monkeypatch: Any, capsys: Any
) -> None:
    secret, left, waited = switched(), iter(outcomes), list[float]()
    monkeypatch.setattr(rotate, "look", lambda *_: next(left))
    capsys.readouterr()

    assert take(secret, "verify", sleep=waited.append) == code
    assert (waited, next(left, None)) == (pauses, None)
    shown = capsys.readouterr()
    assert ("AWSPENDING" in secret.labels, "rollback" in shown.err) == (code > 0, code > 0)
    assert ("130018" in shown.out) == (outcomes[-1] == REFUSED)  # the first refusal is not shown
    assert ("apart from it: The API does not let" in shown.out) == (CORS in outcomes[-1])


def test_a_failure_after_the_switch_tells_both_ways_on(monkeypatch: Any, capsys: Any) -> None:
    def fail(*_: object) -> list[Finding]:
        raise ToolError("aws-unreachable", subject="AWS")

    secret: Any = switched()
    monkeypatch.setattr(rotate, "look", fail)
    monkeypatch.setattr(Output, "ask", lambda *_: "stop")

    rotate._guide(secret, argparse.Namespace(**ARGUMENTS), OUTPUT)  # noqa: SLF001

    said = " ".join(capsys.readouterr().err.split())
    assert "error: AWS: AWS cannot be reached" in said
    assert re.search("use the new key, which is not verified.*--step verify.*--step rollback", said)


def test_a_waiting_key_that_is_broken_is_not_switched_to(capsys: Any) -> None:
    secret = FakeSecret()
    secret.put('{"privateKey": "MIIE"}', "AWSPENDING")

    assert take(secret, "switch") == 1
    assert secret.key() == FORMER
    assert "no good key under AWSPENDING" in " ".join(capsys.readouterr().err.split())


# A kill between two calls of AWS.

CLAIMS: Final[Mapping[str, Callable[[FakeSecret], bool]]] = {
    "the functions use the former one": lambda secret: secret.key() == FORMER,
    "The functions use the former key": lambda secret: secret.key() == FORMER,
    "Switched:": lambda secret: secret.key() != FORMER,
    "the rotation is done": lambda secret: secret.key() != FORMER,
    "no rotation is under way": lambda secret: "AWSPENDING" not in secret.labels,
    "there is no former key": lambda secret: "AWSPREVIOUS" not in secret.labels,
    "ew key waits": lambda secret: secret.labels["AWSPENDING"] != secret.labels["AWSCURRENT"],
    "he functions use the new key,": lambda secret: secret.key() != FORMER,
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
    before = {**secret.labels}

    refused = take(secret, following) > 0

    out, err = capsys.readouterr()
    said = " ".join(f"{out} {err}".split())
    claims = {words: holds(secret) for words, holds in CLAIMS.items() if words in said}
    assert claims
    assert all(claims.values()), claims
    assert not refused or secret.labels == before
    if following.startswith("rollback") and len(out.splitlines()) > 1:
        assert secret.key() in out.splitlines()

    if "verify" not in {*walk, following}:  # taken until nothing is left, it ends where it began
        for _ in range(3):
            take(secret, "rollback")
        assert (secret.key(), {*secret.labels}) == (FORMER, {"AWSCURRENT"})
