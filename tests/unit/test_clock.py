"""The platform's time: 17 digits of Shanghai, whatever zone an instant is written in."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmpassport.clock import SHANGHAI, utc_now
from presign.grammar import parse_timestamp
from verify.budget import seconds_to_midnight
from verify.message import format_timestamp

INSTANTS = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@pytest.mark.parametrize(
    ("instant", "digits"),
    [
        ("2026-11-23T04:05:06.007Z", "20261123120506007"),
        ("2026-11-23T15:59:59.999999Z", "20261123235959999"),  # cut off, not rounded
        ("2026-11-23T15:59:59.000999Z", "20261123235959000"),
        ("2026-11-23T16:00:00Z", "20261124000000000"),
        ("2026-12-31T16:00:00Z", "20270101000000000"),
        ("2028-02-28T16:00:00Z", "20280229000000000"),
        ("2026-07-01T12:00:00-07:00", "20260702030000000"),
        ("2026-01-01T00:30:00+14:00", "20251231183000000"),
    ],
)
def test_an_instant_is_written_in_shanghais_time(instant: str, digits: str) -> None:
    assert format_timestamp(datetime.fromisoformat(instant)) == digits


@given(INSTANTS)
def test_what_is_written_is_read_back_to_the_millisecond(instant: datetime) -> None:
    digits = format_timestamp(instant)

    assert len(digits) == 17
    assert digits.isascii()
    assert digits.isdigit()
    assert instant - parse_timestamp(digits) < timedelta(milliseconds=1)
    assert format_timestamp(parse_timestamp(digits)) == digits


def test_digits_are_read_as_shanghais_time() -> None:
    moment = parse_timestamp("20261123120506007")

    assert moment == datetime(2026, 11, 23, 4, 5, 6, 7000, UTC)
    assert moment.utcoffset() == timedelta(hours=8)
    assert utc_now().utcoffset() == timedelta(0)


NO_MOMENTS = (
    *(
        "20260229000000000",
        "21000229000000000",
        "20260230000000000",
        "20260431000000000",
        "20260001000000000",
    ),
    *(
        "20261301000000000",
        "20260100000000000",
        "20260132000000000",
        "20260101240000000",
        "20260101250000000",
    ),
    *("20260101006000000", "20260101000060000", "00000101000000000"),
)


@pytest.mark.parametrize("digits", NO_MOMENTS)
def test_digits_that_are_no_moment_are_refused(digits: str) -> None:
    with pytest.raises(ValueError, match=r"must be in|out of range|must be between"):
        parse_timestamp(digits)


@pytest.mark.parametrize("digits", ["20280229000000000", "20000229235959999", "99991231235959999"])
def test_rare_moments_of_the_calendar_are_read(digits: str) -> None:
    assert format_timestamp(parse_timestamp(digits)) == digits


MIDNIGHTS = {
    "00:00:00": 86400,
    "00:00:00.000001": 86400,
    "00:00:01": 86399,
    "12:00:00": 43200,
    "23:59:59": 1,
    "23:59:59.999999": 1,
}


@pytest.mark.parametrize(("local", "seconds"), MIDNIGHTS.items())
def test_midnight_is_shanghais_and_is_never_promised_too_early(local: str, seconds: int) -> None:
    instant = datetime.fromisoformat(f"2026-11-23T{local}+08:00")

    assert seconds_to_midnight(instant) == seconds
    assert seconds_to_midnight(instant.astimezone(UTC)) == seconds


@given(INSTANTS)
def test_after_that_many_seconds_it_is_another_day(instant: datetime) -> None:
    seconds = seconds_to_midnight(instant)

    assert 1 <= seconds <= 86400
    today = instant.astimezone(SHANGHAI).date()
    assert (instant + timedelta(seconds=seconds)).astimezone(SHANGHAI).date() == today + timedelta(days=1)
    assert (instant + timedelta(seconds=seconds - 1)).astimezone(SHANGHAI).date() == today
