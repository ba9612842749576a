"""The simulator's memory of what passed over the wire.

It holds full values, numbers and tokens too, so that a test can compare them byte for byte and the
developer's panel can show them; it stays in the simulator's memory and goes into no log.
"""

import threading
from collections import deque
from datetime import datetime
from typing import Any, Final

SIZE: Final = 2_000


class Journal:
    """Entries in the order they came, numbered from 1; the oldest go when it is full. Safe for threads."""

    def __init__(self, size: int = SIZE) -> None:
        self._entries: deque[dict[str, Any]] = deque(maxlen=size)
        self._last = 0
        self._lock = threading.Lock()

    def add(self, at: datetime, entry: dict[str, Any]) -> None:
        """Append an entry; it must not be changed afterwards."""
        with self._lock:
            self._last += 1
            self._entries.append({"id": self._last, "at": at.isoformat(timespec="milliseconds"), **entry})

    def entries(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the entries with an id above ``after``, newest last."""
        with self._lock:
            return [entry for entry in self._entries if entry["id"] > after]

    def clear(self) -> None:
        """Forget all entries; numbering goes on."""
        with self._lock:
            self._entries.clear()
