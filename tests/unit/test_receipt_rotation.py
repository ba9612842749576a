"""The keys of receipts change without a gap: at no time does a back end meet a receipt that it cannot check.

Time is simulated. A function, the one that publishes its keys, and a back end keep what they read for as long
as they may, each from the worst moment on; and no back end is so kind as to look again when it meets a key
that it does not know.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest

from cmpassport.receipt_keys import PUBLISHED_MAX_AGE, ReceiptKeys
from cmpassport.secret_cache import CachedSecret
from cmpassport.settings import MAX_SECRET_AGE
from tests.support.fakes import FakeClock
from tests.support.receipt_secrets import LONG_AGO, new_key, secret
from tools.keys.receipts import KEPT, LEAD

LIFE: Final = 600
"""Seconds: the longest life that a receipt may be given."""
STEP: Final = 20


class World:
    """What reads the secret, and has just read it: function, publisher and, as late as it may, back end."""

    def __init__(self, clock: FakeClock, text: str) -> None:
        self.clock = clock
        self.secret = text
        self.refused = 0
        self.signed_with: list[str] = []
        self._keys = self._kept(lambda: ReceiptKeys.parse(self.secret), MAX_SECRET_AGE)
        published = self._kept(lambda: ReceiptKeys.parse(self.secret).public_set(), MAX_SECRET_AGE)
        kids = lambda: {key["kid"] for key in published.get()["keys"]}  # noqa: E731
        self._back_end = self._kept(kids, PUBLISHED_MAX_AGE)
        self._keys.get()
        published.get()

    def _kept(self, load: Callable[[], Any], max_age: float) -> CachedSecret[Any]:
        fail = lambda error: pytest.fail(repr(error))  # noqa: E731
        return CachedSecret(load, max_age=max_age, monotonic=self.clock.monotonic, on_stale=fail)

    def live(self, span: timedelta) -> None:
        """Let time pass; sign receipts, and have each checked when it is new and when it is about to end."""
        for _ in range(span // timedelta(seconds=STEP)):
            self.clock.advance(STEP)
            self.signed_with.append(self._keys.get().signing_at(self.clock.now()).kid)
            new, ending = self.signed_with[-1], self.signed_with[-LIFE // STEP :][0]
            self.refused += len({new, ending} - self._back_end.get())


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
