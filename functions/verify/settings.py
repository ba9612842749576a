"""The settings of the verify function."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from cmpassport.settings import (
    CommonSettings,
    SettingsError,
    read_choice,
    read_number,
    read_secret_id,
    read_text,
)
from verify.platform import Limits

_URL: Final = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?/[!-~]+")
_ADDRESS: Final = re.compile(r"(?:https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?)?")
_TEST_LINE: Final = "http://120.197.235.102"
_PRODUCTION_APP_ID_DIGITS: Final = 12
_TABLE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}")


def read_integer(env: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    """Read a whole number between two bounds, both included."""
    number = read_number(env, name, default, low=low, high=high)
    if number != int(number):
        raise SettingsError(name, f"is not a whole number; {low} to {high} is expected")
    return int(number)


class NumberForm(StrEnum):
    """How a receipt tells the business which number was verified."""

    HASH = "hash"
    """Hash keyed with a key that the business has too."""
    MASKED = "masked"
    """Middle digits hidden."""
    ENCRYPTED = "encrypted"
    """The number itself, for the business's key alone."""


@dataclass(frozen=True, slots=True)
class ReceiptSettings:
    """Settings of receipts.

    Attributes
    ----------
    secret_id
        Name or ARN of the secret with the receipts' keys.
    number_form
        How the number is in a receipt.
    life_seconds
        Seconds from the verdict to the receipt's end.
    issuer
        Address of the API, without a trailing slash; empty for the name under which it is called.
    """

    secret_id: str
    number_form: NumberForm
    life_seconds: int
    issuer: str

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self | None:
        """Read the variables; return None where receipts are off: without a secret."""
        if not env.get("RECEIPT_SECRET_ID", "").strip():
            return None
        return cls(
            secret_id=read_secret_id(env, "RECEIPT_SECRET_ID"),
            number_form=read_choice(env, "RECEIPT_NUMBER", NumberForm.HASH),
            life_seconds=read_integer(env, "RECEIPT_LIFE_SECONDS", 120, low=30, high=600),
            issuer=read_text(env, "RECEIPT_ISSUER", _ADDRESS, "an address without a path is expected"),
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the verify function.

    Attributes
    ----------
    common
        Settings shared with presign.
    platform_url
        Full address of verifyVmMobileApi.htm.
    verification_secret_id
        Name or ARN of the secret that holds `{"appKey", "platformPublicKey"}`.
    pepper_secret_id
        Name or ARN of the secret whose whole text keys the hashes.
    table_name
        DynamoDB table of attempts and outcomes.
    daily_attempt_limit
        Attempts per number and Shanghai day.
    client_hourly_limit
        Requests per client network and hour; 0 for no limit.
    mismatch_hourly_limit
        Mismatches per client network and hour; 0 for no limit.
    device_days
        Days for which a device is known after a match; 0 where devices are off.
    limits
        Bounds of the exchange with the platform.
    receipts
        Settings of receipts; None where they are off.
    """

    common: CommonSettings
    platform_url: str
    verification_secret_id: str
    pepper_secret_id: str
    table_name: str
    daily_attempt_limit: int
    client_hourly_limit: int
    mismatch_hourly_limit: int
    device_days: int
    limits: Limits
    receipts: ReceiptSettings | None

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """Read the variables; raise SettingsError for the first that is not valid."""
        common = CommonSettings.from_environment(env)
        platform_url = read_text(
            env, "PLATFORM_URL", _URL, "the full http(s) address of verifyVmMobileApi.htm is expected"
        )
        if platform_url.startswith(_TEST_LINE) and len(common.app_id) == _PRODUCTION_APP_ID_DIGITS:
            raise SettingsError(
                "PLATFORM_URL", "is of the test line, which is plain HTTP; APP_ID is of a production app"
            )
        return cls(
            common=common,
            platform_url=platform_url,
            verification_secret_id=read_secret_id(env, "VERIFICATION_SECRET_ID"),
            pepper_secret_id=read_secret_id(env, "PEPPER_SECRET_ID"),
            table_name=read_text(env, "TABLE_NAME", _TABLE_NAME, "the name of a DynamoDB table is expected"),
            daily_attempt_limit=read_integer(env, "DAILY_ATTEMPT_LIMIT", 5, low=1, high=1000),
            client_hourly_limit=read_integer(env, "CLIENT_HOURLY_LIMIT", 0, low=0, high=1_000_000),
            mismatch_hourly_limit=read_integer(env, "MISMATCH_HOURLY_LIMIT", 100, low=0, high=1_000_000),
            device_days=read_integer(env, "DEVICE_DAYS", 90, low=0, high=366),
            limits=Limits(
                connect=read_number(env, "PLATFORM_CONNECT_TIMEOUT", 2, low=0.1, high=20),
                read=read_number(env, "PLATFORM_READ_TIMEOUT", 5, low=0.1, high=20),
                # Of a request's 13 s, 3 are kept for settling, and 1 for what comes before.
                deadline=read_number(env, "PLATFORM_DEADLINE", 8, low=0.1, high=9),
            ),
            receipts=ReceiptSettings.from_environment(env),
        )
