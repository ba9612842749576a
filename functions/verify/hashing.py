"""Keyed hashes, which stand for numbers, tokens and addresses wherever something is stored or logged.

There are about 10^10 mobile numbers: a plain hash could be reversed by trying them all, so the hash is keyed
with a pepper from Secrets Manager.
"""

import hmac
from enum import StrEnum
from typing import Final

LOGGED_HASH_DIGITS: Final = 16
"""Hexadecimal digits of a number's keyed hash that a log line may carry."""


class Salt(StrEnum):
    """Domain separation: equal texts of different kinds have unrelated hashes."""

    NUMBER = "number"
    TOKEN = "token"  # noqa: S105 - the kind, not a token
    ADDRESS = "address"
    REQUEST = "request"
    SIM = "sim"
    DEVICE = "device"


def keyed_hash(pepper: bytes, salt: Salt, text: str) -> str:
    """Return the HMAC-SHA256 (RFC 2104) of a salted text as 64 hexadecimal digits."""
    return hmac.digest(pepper, f"{salt.value}\0{text}".encode(), "sha256").hex()
