"""The keys of receipts change without a gap: at no time does a back end meet a receipt that it cannot check.

A function, the one that publishes its keys, and a back end keep what they read for as long as they may; and
no back end is so kind as to look again when it meets a key that it does not know.
"""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Final

import pytest

from cmpassport.receipt_keys import PUBLISHED_MAX_AGE, ReceiptKeys
from cmpassport.settings import MAX_SECRET_AGE
from tests.support.receipt_secrets import LONG_AGO, new_key, secret
from tools.keys.receipts import KEPT, LEAD

LIFE: Final = timedelta(minutes=10)
"""The longest life that a receipt may be given."""
STEP: Final = timedelta(seconds=20)
BEGIN: Final = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
NOW, LATE = timedelta(), timedelta(seconds=MAX_SECRET_AGE)


@pytest.mark.parametrize(
    ("lead", "kept", "gap"), [(LEAD, KEPT, False), (LATE, KEPT, True), (LEAD, NOW, True)]
)
def test_a_rotation_leaves_no_gap(lead: timedelta, kept: timedelta, gap: bool) -> None:  # noqa: FBT001 - the table's last column
    former, following = new_key(), new_key()
    taken_over = BEGIN + lead
    texts = {
        LONG_AGO: secret((former, LONG_AGO)),
        BEGIN: secret((former, LONG_AGO), (following, taken_over)),
        taken_over + kept: secret((following, taken_over)),
    }
    stored = {since: ReceiptKeys.parse(text) for since, text in texts.items()}

    def read(at: datetime) -> ReceiptKeys:
        return stored[max(since for since in stored if since <= at)]

    unknown, signed_since = 0, set[str]()
    for step in range((lead + kept + 10 * LATE) // STEP):
        at = BEGIN + step * STEP
        for late, age, stale in product(
            (NOW, LATE), (NOW, LIFE), (NOW, LATE + timedelta(seconds=PUBLISHED_MAX_AGE))
        ):
            kid = read(at - late).signing_at(at).kid
            unknown += kid not in {key.kid for key in read(at + age - stale).signing}
            signed_since |= {kid} if at >= taken_over else set()

    assert (unknown > 0) is gap
    assert len(signed_since) == 1 or gap  # no function goes back
