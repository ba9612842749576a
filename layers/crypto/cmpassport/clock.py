"""The clock, and the time zone of the platform.

The guide names no time zone; every sample of it has a server clock in China. China has had one zone without
daylight saving since 1991, so a fixed offset is exact, and no time zone database is loaded.
"""

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

SHANGHAI: Final = timezone(timedelta(hours=8), "Asia/Shanghai")


def utc_now() -> datetime:
    """Return the present instant; what the functions are handed as `now` outside tests."""
    return datetime.now(UTC)
