"""Stand-ins for what the product is handed: the clock."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Time that passes only when told to. It begins at noon of 23 November 2026 in Shanghai."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)
        self.seconds += seconds
