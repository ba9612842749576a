"""The settings of the jwks function."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from cmpassport.settings import MAX_SECRET_AGE, read_number, read_secret_id


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the jwks function.

    Attributes
    ----------
    receipt_secret_id
        Name or ARN of the secret with the receipts' keys.
    secret_max_age
        Seconds for which the parsed secret is used before it is fetched again.
    """

    receipt_secret_id: str
    secret_max_age: float

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """Read the variables; raise SettingsError for the first that is not valid."""
        return cls(
            receipt_secret_id=read_secret_id(env, "RECEIPT_SECRET_ID"),
            secret_max_age=read_number(env, "SECRET_MAX_AGE_SECONDS", 300, low=1, high=MAX_SECRET_AGE),
        )
