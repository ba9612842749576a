"""The settings of the presign function."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from cmpassport.settings import CommonSettings, read_number


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the presign function.

    Attributes
    ----------
    common
        Settings shared with verify.
    window
        How far a preSign's timestamp may lie from now, either way; None for any.
    """

    common: CommonSettings
    window: timedelta | None

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """Read the variables; raise SettingsError for the first that is not valid."""
        hours = read_number(env, "PRESIGN_WINDOW_HOURS", 24, low=0, high=8760)
        return cls(CommonSettings.from_environment(env), timedelta(hours=hours) if hours else None)
