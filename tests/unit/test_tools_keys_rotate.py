"""How long a rotation's verification waits, and what it makes of each outcome."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from tools.keys import rotate
from tools.keys.probe import Outcome
from tools.keys.rotate import Rotation

if TYPE_CHECKING:
    from tools.keys.store import Store

SWITCHED: Final = {"AWSCURRENT": "new", "AWSPENDING": "new", "AWSPREVIOUS": "former"}
ARGUMENTS: Final = argparse.Namespace(
    secret="shop/signing", step="verify", stack="shop", env=None, state=None, profile=None, region=None
)


class FakeStore:
    """Remembers which labels were taken off."""

    def __init__(self) -> None:
        self.dropped: list[tuple[str, str, str]] = []

    def drop(self, name: str, label: str, version: str) -> None:
        self.dropped.append((name, label, version))


Verify = Callable[..., tuple[int, FakeStore, list[float]]]


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch) -> Verify:
    """Verify with probes of given outcomes; gives exit code, store and pauses."""

    def run(*outcomes: Outcome) -> tuple[int, FakeStore, list[float]]:
        left, pauses, store = list(outcomes), list[float](), FakeStore()
        monkeypatch.setattr(rotate, "probe", lambda *_: left.pop(0))
        monkeypatch.setattr("tools.keys.rotate.time.sleep", pauses.append)
        rotation = Rotation(cast("Store", store), "shop/signing", SWITCHED)
        step: Any = rotate._STEPS["verify"]  # noqa: SLF001 - the step without its command line
        code = step(rotation, ARGUMENTS)
        assert left == []
        return code, store, pauses

    return run


def test_a_key_that_is_taken_is_verified_at_once(verify: Verify) -> None:
    code, store, pauses = verify(Outcome.TAKEN)

    assert code == 0
    assert store.dropped == [("shop/signing", "AWSPENDING", "new")]
    assert pauses == []


def test_a_presign_that_has_the_former_key_is_waited_for(verify: Verify) -> None:
    code, store, pauses = verify(Outcome.PRESIGN_LAGS, Outcome.PRESIGN_LAGS, Outcome.TAKEN)

    assert code == 0
    assert len(store.dropped) == 1
    assert pauses == [30, 30]


def test_a_key_that_is_not_taken_is_not_waited_for(verify: Verify) -> None:
    code, store, pauses = verify(Outcome.PRESIGN_LAGS, Outcome.NOT_TAKEN)

    assert code == 1
    assert store.dropped == []
    assert pauses == [30]


def test_a_presign_that_never_changes_is_given_up_after_the_age_of_a_secret(verify: Verify) -> None:
    code, store, pauses = verify(*[Outcome.PRESIGN_LAGS] * 12)

    assert code == 1
    assert store.dropped == []
    assert 300 < sum(pauses) < 400
