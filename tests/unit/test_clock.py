"""The platform's time: 17 digits of Shanghai, whatever zone an instant is written in."""

from datetime import UTC, datetime, timedelta, timezone

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
        (datetime(2026, 11, 23, 4, 5, 6, 7000, UTC), "20261123120506007"),
        (datetime(2026, 11, 23, 15, 59, 59, 999000, UTC), "20261123235959999"),
        (datetime(2026, 11, 23, 16, 0, tzinfo=UTC), "20261124000000000"),
        (datetime(2026, 11, 30, 16, 0, tzinfo=UTC), "20261201000000000"),
        (datetime(2026, 12, 31, 16, 0, tzinfo=UTC), "20270101000000000"),
        (datetime(2028, 2, 28, 16, 0, tzinfo=UTC), "20280229000000000"),
        (datetime(2026, 7, 1, 12, 0, tzinfo=timezone(timedelta(hours=-7))), "20260702030000000"),
        (datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=14))), "20251231183000000"),
    ],
)
def test_an_instant_is_written_in_shanghais_time(instant: datetime, digits: str) -> None:
    assert format_timestamp(instant) == digits


@pytest.mark.parametrize(
    ("microsecond", "milliseconds"), [(0, "000"), (999, "000"), (1000, "001"), (999_999, "999")]
)
def test_less_than_a_millisecond_is_cut_off_not_rounded(microsecond: int, milliseconds: str) -> None:
    instant = datetime(2026, 11, 23, 15, 59, 59, microsecond, UTC)

    assert format_timestamp(instant) == f"20261123235959{milliseconds}"


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


@pytest.mark.parametrize(
    "digits",
    [
        "20260229000000000",  # no leap year
        "21000229000000000",  # a century that is no leap year
        "20260230000000000",
        "20260431000000000",
        "20260001000000000",
        "20261301000000000",
        "20260100000000000",
        "20260132000000000",
        "20260101240000000",
        "20260101250000000",
        "20260101006000000",
        "20260101000060000",  # no leap second either
        "00000101000000000",
    ],
)
def test_digits_that_are_no_moment_are_refused(digits: str) -> None:
    with pytest.raises(ValueError, match=r"must be in|out of range|must be between"):
        parse_timestamp(digits)


@pytest.mark.parametrize("digits", ["20280229000000000", "20000229235959999", "99991231235959999"])
def test_rare_moments_of_the_calendar_are_read(digits: str) -> None:
    assert format_timestamp(parse_timestamp(digits)) == digits


@pytest.mark.parametrize(
    ("local", "seconds"),
    [
        ((0, 0, 0, 0), 86400),
        ((0, 0, 0, 1), 86400),
        ((0, 0, 1, 0), 86399),
        ((12, 0, 0, 0), 43200),
        ((23, 59, 59, 0), 1),
        ((23, 59, 59, 999_999), 1),
    ],
)
def test_midnight_is_shanghais_and_is_never_promised_too_early(
    local: tuple[int, int, int, int], seconds: int
) -> None:
    instant = datetime(2026, 11, 23, *local, tzinfo=SHANGHAI)

    assert seconds_to_midnight(instant) == seconds
    assert seconds_to_midnight(instant.astimezone(UTC)) == seconds


@given(INSTANTS)
def test_after_that_many_seconds_it_is_another_day(instant: datetime) -> None:
    seconds = seconds_to_midnight(instant)

    assert 1 <= seconds <= 86400
    today = instant.astimezone(SHANGHAI).date()
    assert (instant + timedelta(seconds=seconds)).astimezone(SHANGHAI).date() == today + timedelta(days=1)
    assert (instant + timedelta(seconds=seconds - 1)).astimezone(SHANGHAI).date() == today


def test_the_present_is_aware() -> None:
    assert utc_now().utcoffset() == timedelta(0)
