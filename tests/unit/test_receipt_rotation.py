"""The keys of receipts change without a gap: at no time does a back end meet a receipt that it cannot check.

Time is simulated. A function, the one that publishes its keys, and a back end keep what they read for as long
as they may, each from the worst moment on; and no back end is so kind as to look again when it meets a key
that it does not know.
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

LIFE: Final = 600
"""Seconds: the longest life that a receipt may be given."""
STEP: Final = 20
SETTINGS: Final = ReceiptSettings("receipts", NumberForm.MASKED, LIFE, "https://api.example.com")


class World:
    """What reads the secret, and has just read it: function, publisher and, as late as it may, back end."""

    def __init__(self, clock: FakeClock, text: str) -> None:
        self.clock = clock
        self.secret = text
        self.refused = 0
        self.signed_with: list[str] = []
        self._issued: list[tuple[float, str]] = []
        keys = self._kept(lambda: ReceiptKeys.parse(self.secret), MAX_SECRET_AGE)
        published = self._kept(lambda: ReceiptKeys.parse(self.secret).public_set(), MAX_SECRET_AGE)
        self._issuer = Receipts(SETTINGS, "000340", keys.get, clock.now)
        self._back_end = self._kept(lambda: _by_kid(published.get()), PUBLISHED_MAX_AGE)
        keys.get()
        published.get()

    def _kept(self, load: Callable[[], Any], max_age: float) -> CachedSecret[Any]:
        fail = lambda error: pytest.fail(repr(error))  # noqa: E731
        return CachedSecret(load, max_age=max_age, monotonic=self.clock.monotonic, on_stale=fail)

    def live(self, span: timedelta) -> None:
        """Let time pass; issue receipts, and have each checked when it is new and when it is about to end."""
        for _ in range(span // timedelta(seconds=STEP)):
            self.clock.advance(STEP)
            now = self.clock.seconds
            self._issued = [(at, receipt) for at, receipt in self._issued if now - at < LIFE]
            self._issued.append((now, self._issue()))
            for at, receipt in self._issued:
                if now - at in {0, LIFE - STEP}:
                    self.refused += not _checks(self._back_end.get(), receipt)

    def _issue(self) -> str:
        verdict = Outcome(None, "000", "", "message-1", "", 4, int(self.clock.now().timestamp()))
        login = self._issuer.prepare("13912345678", domain_name="", audience="a", nonce=None)
        receipt = self._issuer.issue(verdict, login)
        assert receipt is not None
        self.signed_with.append(part(receipt, 0)["kid"])
        return receipt


def _by_kid(published: Any) -> Mapping[str, ECKey]:
    return {key["kid"]: ECKey.import_key(key) for key in published["keys"]}


def _checks(keys: Mapping[str, ECKey], receipt: str) -> bool:
    try:
        jws.deserialize_compact(receipt, keys[part(receipt, 0)["kid"]], algorithms=["ES256"])
    except (KeyError, JoseError):
        return False
    return True


@pytest.mark.parametrize(("lead", "gap"), [(LEAD, False), (timedelta(seconds=MAX_SECRET_AGE), True)])
def test_a_rotation_leaves_no_gap(clock: FakeClock, lead: timedelta, gap: bool) -> None:  # noqa: FBT001 - the table's last column
    former, following = new_key(), new_key()
    world = World(clock, secret((former, LONG_AGO)))

    taken_over = clock.now() + lead
    world.secret = secret((former, LONG_AGO), (following, taken_over))
    clock.advance(PUBLISHED_MAX_AGE - 2 * STEP)
    world.live(lead + timedelta(minutes=20))
    clock.advance(KEPT.total_seconds())
    world.live(timedelta(minutes=12))
    world.secret = secret((following, taken_over))
    world.live(timedelta(seconds=MAX_SECRET_AGE + 2 * LIFE))

    assert (world.refused > 0) is gap
    kids = list(dict.fromkeys(world.signed_with))
    assert len(kids) == 2
    assert world.signed_with == sorted(world.signed_with, key=kids.index)  # no function goes back
