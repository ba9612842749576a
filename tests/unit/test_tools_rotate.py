"""How long a rotation's verification waits, what it makes of each outcome, and what is said after a kill."""

import argparse
import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from cmpassport.keys import load_private_key
from tests.support.operator import OTHER, OWN
from tools.findings import ToolError, UseError
from tools.keys import rotate
from tools.keys.new import signing_text
from tools.keys.rotate import Rotation
from tools.keys.store import Description
from tools.messages import Language
from tools.output import Output
from tools.pairs import bare_public, fingerprint
from tools.signed_probe import Verdict

if TYPE_CHECKING:
    from tools.keys.store import Store

SWITCHED: Final = {"AWSCURRENT": "new", "AWSPENDING": "new", "AWSPREVIOUS": "former"}
ARGUMENTS: Final = argparse.Namespace(
    secret="shop/signing",
    step="verify",
    stack="shop",
    state=None,
    profile=None,
    region=None,
    to=None,
)


OUTPUT: Final = Output(Language.ENGLISH, {})


class FakeStore:
    """Remembers which labels were taken off."""

    def __init__(self) -> None:
        self.dropped: list[tuple[str, str, str]] = []

    def drop(self, name: str, label: str, version: str) -> None:
        self.dropped.append((name, label, version))

    def read(self, _name: str, _label: str) -> str:
        return signing_text(FORMER)


Verify = Callable[..., tuple[int, FakeStore, list[float]]]


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch) -> Verify:
    """Verify with probes of given outcomes; gives exit code, store and pauses."""

    def run(*outcomes: Verdict) -> tuple[int, FakeStore, list[float]]:
        left, pauses, store = list(outcomes), list[float](), FakeStore()
        monkeypatch.setattr(rotate, "probe", lambda *_: left.pop(0))
        rotation = Rotation(cast("Store", store), "shop/signing", SWITCHED)
        step: Any = rotate._STEPS["verify"]  # noqa: SLF001 - the step without its command line
        arguments = argparse.Namespace(**vars(ARGUMENTS), sleep=pauses.append)
        code = step(rotation, arguments, OUTPUT)
        assert left == []
        return code, store, pauses

    return run


LAGS: Final = Verdict.PRESIGN_LAGS


@pytest.mark.parametrize(
    ("verdicts", "code", "dropped", "pauses"),
    [
        ((Verdict.TAKEN,), 0, 1, []),
        ((LAGS, LAGS, Verdict.TAKEN), 0, 1, [30, 30]),
        ((LAGS, Verdict.NOT_TAKEN), 1, 0, [30]),
        ((LAGS,) * 12, 1, 0, [30] * 11),  # a little longer than a secret lasts
    ],
)
def test_a_presign_that_lags_is_waited_for_and_nothing_else(
    verify: Verify, verdicts: tuple[Verdict, ...], code: int, dropped: int, pauses: list[int]
) -> None:
    ended, store, waited = verify(*verdicts)

    assert (ended, waited) == (code, pauses)
    assert store.dropped == [("shop/signing", "AWSPENDING", "new")] * dropped


@pytest.mark.parametrize("answer", ["stop", None])
def test_a_failure_after_the_switch_says_where_one_stands_and_both_ways_on(
    answer: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> Verdict:
        raise ToolError("aws-unreachable", subject="AWS")

    def answered(*_: object) -> str:
        if answer is None:  # the terminal is gone
            raise UseError("input-ended")
        return answer

    secret = FakeSecret()
    for step in ("prepare", "switch"):
        take(secret, step)
    monkeypatch.setattr(rotate, "probe", fail)
    monkeypatch.setattr(rotate, "ask", answered)

    with nullcontext() if answer else pytest.raises(UseError):
        rotate._guide(cast("Store", secret), argparse.Namespace(**vars(ARGUMENTS)), OUTPUT)  # noqa: SLF001

    said = " ".join(capsys.readouterr().err.split())
    assert "The functions use the new key since the switch, and the verification failed: AWS" in said
    assert "keys rotate --step verify" in said
    assert "keys rotate --step rollback" in said


# A kill between two calls of AWS.


class KilledError(BaseException):
    """The process ends here."""


class FakeSecret:
    """A signing secret whose labels move as Secrets Manager moves them; dies after a number of writes."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        self.writes = 0
        self.dies_after = 99
        self.put("shop/signing", signing_text(FORMER), "AWSCURRENT")
        self.writes = 0

    def describe(self, _: str) -> Description:
        return Description("arn", None, dict(self.labels))

    def read(self, _: str, label: str = "AWSCURRENT") -> str:
        return self.texts[self.labels[label]]

    def put(self, _: str, text: str, label: str) -> str:
        version = f"version {len(self.texts)}"
        self.texts[version] = text
        self.labels[label] = version
        self._written()
        return version

    def move(self, _: str, label: str, *, to: str, source: str) -> None:
        assert label == "AWSCURRENT"
        assert self.labels[label] == source
        self.labels |= {"AWSPREVIOUS": source, "AWSCURRENT": to}
        self._written()

    def drop(self, _: str, label: str, version: str) -> None:
        assert self.labels[label] == version
        assert label != "AWSCURRENT"
        del self.labels[label]
        self._written()

    def key(self, label: str) -> str:
        """Return the public half under a label."""
        return bare_public(load_private_key(json.loads(self.read("", label))["privateKey"]).public_key())

    def _written(self) -> None:
        self.writes += 1
        if self.writes >= self.dies_after:
            raise KilledError


FORMER: Final = OWN
NEW: Final = OTHER
FORMER_HALF: Final = bare_public(FORMER.public_key())
CLAIMS: Final[Mapping[str, Callable[[FakeSecret], bool]]] = {
    "the functions use the former one": lambda secret: secret.key("AWSCURRENT") == FORMER_HALF,
    "The functions go back to the former key": lambda secret: secret.key("AWSCURRENT") == FORMER_HALF,
    "The functions use that key already": lambda secret: secret.key("AWSCURRENT") == FORMER_HALF,
    "Switched:": lambda secret: secret.key("AWSCURRENT") != FORMER_HALF,
    "the rotation is done": lambda secret: secret.key("AWSCURRENT") != FORMER_HALF,
    "no rotation is under way": lambda secret: "AWSPENDING" not in secret.labels,
    "there is no former key": lambda secret: "AWSPREVIOUS" not in secret.labels,
    "waits in shop/signing": lambda secret: secret.labels["AWSPENDING"] != secret.labels["AWSCURRENT"],
    "a new key waits,": lambda secret: secret.labels["AWSPENDING"] != secret.labels["AWSCURRENT"],
    "the functions use the new key,": lambda secret: secret.key("AWSCURRENT") != FORMER_HALF,
}
"""What the steps say of the secret, and whether it is so."""

TO_FORMER: Final = f"rollback {fingerprint(FORMER.public_key())}"
WALKS: Final = (
    ("prepare",),
    ("prepare", "switch"),
    ("prepare", "switch", "verify"),
    ("prepare", "rollback"),
    ("prepare", "switch", "rollback"),
    ("prepare", "switch", "rollback", "rollback"),
    ("prepare", "switch", "verify", TO_FORMER),
)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the same new key at once, and a platform that takes it."""
    monkeypatch.setattr(rotate, "new_private_key", lambda _: NEW)
    monkeypatch.setattr(rotate, "probe", lambda *_: Verdict.TAKEN)


def take(secret: FakeSecret, step: str) -> None:
    """Take a step; a refusal is printed, as the command line does."""
    name, _, to = step.partition(" ")
    arguments = argparse.Namespace(**{**vars(ARGUMENTS), "step": name, "to": to or None, "bits": 2048})
    run: Any = rotate._STEPS[name]  # noqa: SLF001 - the step without its command line
    try:
        run(Rotation.of(cast("Store", secret), "shop/signing"), arguments, OUTPUT)
    except ToolError as error:
        OUTPUT.fail(error.text)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("following", ["prepare", "switch", "verify", "rollback", TO_FORMER])
@pytest.mark.parametrize("dies_after", [1, 2])
@pytest.mark.parametrize("walk", WALKS, ids=" ".join)
def test_what_is_said_after_a_kill_is_true(
    walk: tuple[str, ...], dies_after: int, following: str, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = FakeSecret()
    for step in walk[:-1]:
        take(secret, step)
    secret.writes, secret.dies_after = 0, dies_after
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
        assert secret.key("AWSCURRENT") in out.splitlines()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("dies_after", [1, 2])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_rollback_that_is_taken_until_nothing_is_left_ends_at_the_former_key(
    dies_after: int, times: int
) -> None:
    secret = FakeSecret()
    for step in ("prepare", "switch"):
        take(secret, step)
    for _ in range(times):
        secret.writes, secret.dies_after = 0, dies_after
        with suppress(KilledError):
            take(secret, "rollback")
    secret.dies_after = 99

    for _ in range(3):
        take(secret, "rollback")

    assert secret.key("AWSCURRENT") == FORMER_HALF
    assert {*secret.labels} == {"AWSCURRENT"}
