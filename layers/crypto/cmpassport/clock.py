"""The platform's time: 17 digits, `yyyyMMddHHmmssSSS` (guide section 3.2.1), kept in Asia/Shanghai.

The guide names no time zone; every sample of it has a server clock in China. China has had one zone without
daylight saving since 1991, so a fixed offset is exact, and no time zone database is loaded.
"""

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

SHANGHAI: Final = timezone(timedelta(hours=8), "Asia/Shanghai")


def utc_now() -> datetime:
    """Give the present instant; what the functions are handed as `now` outside tests."""
    return datetime.now(UTC)


def format_timestamp(instant: datetime) -> str:
    """Write an aware instant as 17 digits of Shanghai time, truncated to the millisecond."""
    local = instant.astimezone(SHANGHAI)
    return f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}"


def parse_timestamp(digits: str) -> datetime:
    """Read 17 ASCII digits as Shanghai time.

    Raises
    ------
    ValueError
        The digits name no day of the calendar or no time of the day.
    """
    return datetime(
        int(digits[0:4]),
        int(digits[4:6]),
        int(digits[6:8]),
        int(digits[8:10]),
        int(digits[10:12]),
        int(digits[12:14]),
        int(digits[14:17]) * 1000,
        tzinfo=SHANGHAI,
    )


def seconds_to_midnight(instant: datetime) -> int:
    """Count the seconds until the next Shanghai day begins: 1 to 86400."""
    local = instant.astimezone(SHANGHAI)
    midnight = datetime(local.year, local.month, local.day, tzinfo=SHANGHAI) + timedelta(days=1)
    return -int((local - midnight) // timedelta(seconds=1))
