"""The platform's time: 17 digits of Shanghai, whatever zone an instant is written in."""

from datetime import UTC, datetime, timedelta

import pytest

from cmpassport.clock import utc_now
from presign.grammar import parse_timestamp
from verify.budget import seconds_left
from verify.message import format_timestamp


@pytest.mark.parametrize(
    ("instant", "digits"),
    [
        ("2026-11-23T04:05:06.007Z", "20261123120506007"),
        ("2026-11-23T15:59:59.999999Z", "20261123235959999"),  # cut off, not rounded
        ("2026-12-31T16:00:00Z", "20270101000000000"),
        ("2028-02-28T16:00:00Z", "20280229000000000"),
        ("2026-01-01T00:30:00+14:00", "20251231183000000"),
    ],
)
def test_an_instant_is_written_and_read_in_shanghais_time(instant: str, digits: str) -> None:
    moment = datetime.fromisoformat(instant)

    assert format_timestamp(moment) == digits
    assert timedelta(0) <= moment - parse_timestamp(digits) < timedelta(milliseconds=1)
    assert parse_timestamp(digits).utcoffset() == timedelta(hours=8)
    assert utc_now().utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("local", "seconds"),
    [
        *(("23T00:00:00", 86400), ("23T00:00:00.000001", 86400), ("23T12:00:00", 43200)),
        *(("23T23:59:59.999999", 1), ("24T00:00:00.1", 1)),  # begun before midnight, refused after it
    ],
)
def test_midnight_is_shanghais_and_is_never_promised_too_early(local: str, seconds: int) -> None:
    instant = datetime.fromisoformat(f"2026-11-{local}+08:00")

    assert seconds_left("owner#20261123", instant) == seconds
    assert seconds_left("owner#20261123", instant.astimezone(UTC)) == seconds
