"""The keys of receipts change without a gap: at no time does a back end meet a receipt that it cannot check.

Time is simulated. Functions and back ends keep what they read for as long as they may, each since another
moment, and no back end is so kind as to look again when it meets a key that it does not know.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import pytest
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from cmpassport.receipt_keys import PUBLISHED_MAX_AGE, ReceiptKeys
from cmpassport.secret_cache import CachedSecret
from cmpassport.settings import MAX_SECRET_AGE
from tests.support.fakes import FakeClock
from tests.support.receipt_secrets import LONG_AGO, new_key, part, secret
from tools.keys.receipts import KEPT, LEAD
from verify.outcome import Outcome
from verify.receipt import Receipts
from verify.settings import NumberForm, ReceiptSettings

MAX_AGE: Final = 300
"""Seconds for which a function keeps a secret unless told otherwise."""
LIFE: Final = 600
"""Seconds: the longest life that a receipt may be given."""
STEP: Final = 20


class World:
    """A secret, three verify functions, one that publishes its keys, and three back ends.

    They begin to read one after the other, spread over the age of a secret.
    """

    def __init__(self, clock: FakeClock, text: str, max_age: float) -> None:
        self.clock = clock
        self.secret = text
        self.refused = 0
        self.signed_with: list[str] = []
        self._issued: list[tuple[float, str]] = []
        published = self._kept(lambda: ReceiptKeys.parse(self.secret).public_set(), max_age)
        published.get()
        self._issuers, self._back_ends = [], []
        for _ in range(3):
            self.clock.advance(max_age / 3)
            settings = ReceiptSettings("receipts", NumberForm.MASKED, LIFE, "https://api.example.com")
            keys = self._kept(lambda: ReceiptKeys.parse(self.secret), max_age)
            self._issuers.append(Receipts(settings, "000340", keys.get, self.clock.now))
            self._back_ends.append(self._kept(lambda: _by_kid(published.get()), PUBLISHED_MAX_AGE))
            self.step()

    def _kept(self, load: Callable[[], Any], max_age: float) -> CachedSecret[Any]:
        return CachedSecret(
            load,
            max_age=max_age,
            monotonic=self.clock.monotonic,
            on_stale=lambda error: pytest.fail(repr(error)),
        )

    def step(self) -> None:
        """Issue receipts, and have every back end check the new ones and those about to end."""
        now = self.clock.now().timestamp()
        new = [self._issue(issuer, int(now)) for issuer in self._issuers]
        self.signed_with += [part(receipt, 0)["kid"] for receipt in new]
        self._issued += [(now, receipt) for receipt in new]
        ending = [receipt for issued, receipt in self._issued if issued <= now - LIFE + STEP]
        self._issued = [(issued, receipt) for issued, receipt in self._issued if issued > now - LIFE + STEP]
        for receipt in [*new, *ending]:
            self.refused += sum(not _checks(back_end.get(), receipt) for back_end in self._back_ends)

    @staticmethod
    def _issue(issuer: Receipts, now: int) -> str:
        verdict = Outcome(None, "000", "", "message-1", "", 4, now)
        login = issuer.prepare("13912345678", domain_name="", audience="a", nonce=None)
        receipt = issuer.issue(verdict, login)
        assert receipt is not None
        return receipt

    def live(self, span: timedelta) -> None:
        """Let time pass."""
        for _ in range(span // timedelta(seconds=STEP)):
            self.clock.advance(STEP)
            self.step()


def _by_kid(published: Any) -> Mapping[str, ECKey]:
    return {key["kid"]: ECKey.import_key(key) for key in published["keys"]}


def _checks(keys: Mapping[str, ECKey], receipt: str) -> bool:
    try:
        jws.deserialize_compact(receipt, keys[part(receipt, 0)["kid"]], algorithms=["ES256"])
    except (KeyError, JoseError):
        return False
    return True


def test_a_rotation_leaves_no_gap(clock: FakeClock) -> None:
    former, following = new_key(), new_key()
    world = World(clock, secret((former, LONG_AGO)), MAX_SECRET_AGE)

    taken_over = clock.now() + LEAD
    world.secret = secret((former, LONG_AGO), (following, taken_over))
    world.live(LEAD + timedelta(minutes=20))
    clock.advance(KEPT.total_seconds())
    world.live(timedelta(minutes=12))
    world.secret = secret((following, taken_over))
    world.live(timedelta(seconds=MAX_SECRET_AGE + 2 * LIFE))

    assert world.refused == 0
    kids = list(dict.fromkeys(world.signed_with))
    assert len(kids) == 2
    assert world.signed_with == sorted(world.signed_with, key=kids.index)  # no function goes back


def test_with_less_lead_than_the_caches_take_there_is_a_gap(clock: FakeClock) -> None:
    former = (new_key(), LONG_AGO)
    world = World(clock, secret(former), MAX_AGE)

    world.secret = secret(former, (new_key(), clock.now() + timedelta(seconds=MAX_AGE)))
    world.live(timedelta(minutes=20))

    assert world.refused
