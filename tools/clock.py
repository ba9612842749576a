"""The clock that commands are handed: the time, and waiting."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cmpassport.clock import utc_now


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock.

    Attributes
    ----------
    now
        Gives the present instant, aware.
    sleep
        Waits for some seconds.
    """

    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], None] = time.sleep
